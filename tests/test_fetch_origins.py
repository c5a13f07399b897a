"""What `zoo data` says of every data set, and what is known of where its files come from."""

import re
import subprocess
import sys

import pytest

from zoo import discover
from zoo.data._origins import ORIGINS, digest

UNFETCHED = ("sentiment", "sentiment_rating")  # the public archive has these sentences unmasked


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("ofice31", "--data-root", "."), "did you mean 'office31'"),
        (("amazon_reviews", "--data-root", "."), "get books_400.mat, dvd_400.mat, elec_400.mat, kitchen_400.mat from"),
        (("pacs", "--data-root", "."), "get PACS.zip from https://drive.google.com"),
        (("digits",), "say where to with --data-root DIR, or set ZOO_DATA"),
        (("visda2017", "--data-root", "a_file"), "a_file/visda2017: Not a directory"),
    ],
)
def test_one_line_of_bad_input(zoo, monkeypatch, tmp_path, args, says):
    monkeypatch.delenv("ZOO_DATA")
    (tmp_path / "cwd" / "a_file").touch()
    done = zoo("data", "fetch", *args)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert says in done.err


def test_embedded_data_need_no_fetching(zoo, monkeypatch):
    monkeypatch.delenv("ZOO_DATA")
    done = zoo("data", "fetch", "digits8")
    assert (done.code, done.out, done.err) == (0, "digits8 comes with the package: nothing to fetch\n", "")


def test_list_starts_light():
    code = "import sys; from zoo import cli; sys.argv = ['zoo', 'data', 'list']\n"
    code += "try: cli.main()\nexcept SystemExit: print('heavy:', {'torch', 'scipy', 'sklearn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "heavy: set()"


def test_list_knows_all_of_every_data_set(zoo, monkeypatch, surf):
    rows = {row["name"]: row for row in zoo("data", "list", "--json").json}
    assert list(rows) == list(discover.datasets())
    references = discover.references()
    for name, row in rows.items():
        assert row["domains"] == list(discover.datasets()[name].domains)
        assert row["licence"], name
        assert row["origin"], name
        assert row["cite"], name
        assert set(row["cite"]) <= references.keys(), name
        assert row["folder"] is None or row["size"] or name in UNFETCHED, name
    assert rows["office_caltech"]["there"] == "yes"
    assert rows["office_caltech"]["folder"] == str(surf / "office_caltech")
    assert (rows["digits"]["there"], rows["digits8"]["there"]) == ("no", "in the package")
    assert rows["digits"]["urls"][0].startswith("https://ossci-datasets.s3.amazonaws.com/mnist/")
    text = zoo("data", "list").out
    assert all(f"{name}: {row['summary']}\n" in text and row["licence"] in text for name, row in rows.items())
    monkeypatch.delenv("ZOO_DATA")
    assert {row["there"] for row in zoo("data", "list", "--json").json} == {"unknown", "in the package"}


def test_in_part(zoo, tmp_path):
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits/usps.bz2").touch()
    rows = {row["name"]: row for row in zoo("data", "list", "--json", "--data-root", tmp_path).json}
    assert rows["digits"]["there"] == "in part"


# What is known of the origins -----------------------------------------------------------------------------------------


def test_every_data_set_has_its_files():
    folders = {d.folder for d in discover.datasets().values()} - {"", *UNFETCHED}
    assert folders == ORIGINS.keys()
    lengths = {"md5": 32, "sha256": 64}
    for origin in ORIGINS.values():
        assert origin.page.startswith("https://")
        for file in origin.files:
            assert all(url.startswith(("https://", "http://")) for url in file.urls)
            for said in (file.digest, *(check.digest for check in file.checks)):
                if said:
                    algorithm, _, value = digest(said).partition(":")
                    assert re.fullmatch(f"[0-9a-f]{{{lengths[algorithm]}}}", value)


def test_digits_are_torchvisions():
    from torchvision.datasets import MNIST, USPS

    known = dict(MNIST.resources) | {name: md5 for _, name, md5 in USPS.split_list.values()}
    files = {file.name.rpartition("/")[2]: file for file in ORIGINS["digits"].files}
    assert {name: digest(file.digest) for name, file in files.items()} == {n: f"md5:{md5}" for n, md5 in known.items()}
    assert all(MNIST.mirrors[0] + name in file.urls for name, file in files.items() if "ubyte" in name)
    assert all(url in files[name].urls for url, name, _ in USPS.split_list.values())


@pytest.mark.parametrize("name", ["office_caltech", "amazon_reviews", "office31"])
def test_the_real_files_are_found_right(zoo, office_caltech, name):
    if not (office_caltech / name).is_dir():
        pytest.skip(f"no {name}: set ZOO_DATA")
    done = zoo("data", "fetch", name, "--data-root", office_caltech)
    assert (done.code, done.err) == (0, "")
    assert all(
        line.endswith(("there, checksum right", "there, number of files right")) for line in done.out.splitlines()
    )
    assert done.out
