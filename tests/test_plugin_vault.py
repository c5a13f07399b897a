"""What plugins that are no methods can reach, what others can reach of them, and what of their word is believed."""

import json

import numpy as np
import pytest

from tests.test_plugin_kinds import MAP, SUITE, edited, scaffold
from zoo.bench import drawn, foreign
from zoo.bench.apart import packed
from zoo.bench.run import Benchmark
from zoo.check import toyrun
from zoo.data._handed import handed
from zoo.errors import BadInput, ZooError
from zoo.infos import FileInfo, PlotInfo
from zoo.report.table import build
from zoo.vault import confine

landlock = pytest.mark.skipif(not confine.abi(), reason="this kernel has no Landlock")


@pytest.mark.slow
def test_its_code_is_in_the_identity_of_its_cells(server, tmp_path):
    path, suite = scaffold(tmp_path, "dataset"), tmp_path / "mine.yaml"
    suite.write_text(SUITE.format("my_dataset"))

    def planned():
        made = Benchmark(suite, plugins=[path], methods=["coral"], out=tmp_path / "run")
        made.close()
        return made.plan.code["coral"], {n: d.content for n, d in made.data.domains.items()}

    code, content = planned()
    edited(path, ("place = self.domains.index(domain)", "place = 0 + self.domains.index(domain)"))
    other, same = planned()
    assert content == same
    assert code != other
    edited(path, ("place = 0 +", "# in other words\n        place = 0 +"))
    assert planned()[0] == other


@landlock
def test_a_method_reads_neither_the_data_set_s_file_nor_what_it_loads(zoo, tmp_path):
    """Labels that lie beside a data set are read by its own process alone."""
    data = scaffold(tmp_path, "dataset")
    np.savetxt(tmp_path / "mine.csv", np.arange(150) % 3)
    edited(data, ("y = np.arange(150) % 3", "y = np.loadtxt(__file__[:-13] + 'mine.csv').astype(int)"))
    suite, thief = tmp_path / "mine.yaml", tmp_path / "thief.py"
    suite.write_text(SUITE.format("my_dataset"))
    tries = f"""
        self.certificate_ = {{}}
        for i, path in enumerate(({str(data)!r}, {str(tmp_path / "mine.csv")!r}, {str(thief)!r})):
            try:
                self.certificate_[str(i)] = float(len(open(path).read()) > 0)
            except OSError:
                self.certificate_[str(i)] = 0.0
"""
    thief.write_text(MAP.format(fit=tries, source="X", target="X"))
    done = zoo("run", suite, "--plugin", data, "--plugin", thief, "--methods", "thief", "--out", "run")
    assert done.code == 0, done.err
    records = [json.loads(line) for f in (tmp_path / "cwd/run/records").glob("*") for line in f.open()]
    (said,) = [r["certificate"] for r in records if r["method"] == "thief"]
    assert said == {"0": 0.0, "1": 0.0, "2": 1.0}


@landlock
def test_a_data_set_reads_its_own_folder_of_the_data_root_alone(server, tmp_path):
    root = tmp_path / "root"
    for name in ("mine", "theirs"):
        (root / name).mkdir(parents=True)
        (root / name / "x.txt").write_text("150")
    path = edited(
        scaffold(tmp_path, "dataset"),
        ('folder = ""', 'folder = "mine"'),
        ("rng = ", "n = int((root / 'mine' / 'x.txt').read_text())\n        rng = "),
        ("size=(150, 4)", "size=(n, 4)"),
    )
    info = foreign.known([path])["my_dataset"]
    assert foreign.Foreign(info).load("near", root)[0].shape == (150, 4)
    edited(path, ("'mine' / 'x.txt'", "'theirs' / 'x.txt'"))
    with pytest.raises(BadInput, match=r"PermissionError.*\(my_dataset.py:\d+\)"):
        foreign.Foreign(foreign.known([path])["my_dataset"]).load("near", root)


GOOD = {"X": np.zeros((3, 2), np.float32), "y": np.array([0, 1, 1]), "classes": ["a", "b"], "notes": [], "parts": None}


@pytest.mark.parametrize(
    "lies",
    [
        {"X": None}, {"X": [[1.0]]}, {"X": np.zeros((3, 2))}, {"X": np.zeros((0, 2), np.float32)}, {"y": [0, 1, 1]},
        {"X": np.zeros((3, 2, 2), np.float32)}, {"y": np.array([0, 1])}, {"y": np.array([0, 1, 2])}, {"classes": "ab"},
        {"y": np.array([0, -1, 1])}, {"classes": ["a", "a"]}, {"classes": ["a", "b\x1b[31m"]}, {"classes": [1, 2]},
        {"classes": None}, {"notes": "x"}, {"notes": [1]}, {"parts": np.array([1])}, {"classes": []},
    ],
)  # fmt: skip
def test_an_answer_that_is_no_domain_is_refused(tmp_path, lies):
    info = foreign.known([scaffold(tmp_path, "dataset")])["my_dataset"]
    X, y, notes, _ = foreign._believed(GOOD, info, "near")
    assert (X.shape, y.tolist(), notes) == ((3, 2), ["a", "b", "b"], ())
    for said in (GOOD | lies, None, [], {}):
        with pytest.raises(BadInput, match="is no domain"):
            foreign._believed(said, info, "near")


@pytest.mark.parametrize(
    ("gives", "says"),
    [
        ("np.zeros((150, 2), np.float32), np.zeros(149)", r"load\('a'\) gave 149 labels for 150 samples"),
        ("np.zeros((150, 2)), np.zeros(150)", r"gave float64 samples: say \.astype\(np\.float32\)"),
        ("np.full((2, 2), np.nan, np.float32), np.zeros(2)", "NaN or infinity in 2 samples, first in row 0"),
        ("np.zeros(3, np.float32), np.zeros(3)", r"shape \[3\], where \[n, features\] is promised"),
        ("np.zeros((3, 1), np.float32)", "no pair of samples and labels"),
    ],
)
def test_what_a_data_set_gives_instead_is_said_with_its_line(gives, says):
    from zoo.data.base import Dataset

    space = {"np": np}
    exec(compile(f"def load(self, domain, root):\n    return {gives}\n", "my_data.py", "exec"), space)
    with pytest.raises(ZooError, match=says + r".*\(my_data.py:2\)"):
        handed(type("Mine", (Dataset,), {"load": space["load"]}), "a", None)


@landlock
def test_a_plot_reads_neither_the_run_folder_nor_the_data_root(zoo, surf, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "predictions.npz").write_text("labels")
    (tmp_path / "free.txt").write_text("nobody's")
    for place, says in ((run / "predictions.npz", "PermissionError"), (next(surf.rglob("*.mat")), "PermissionError"),
                        (tmp_path / "free.txt", "")):  # fmt: skip
        folder = tmp_path / place.stem
        path = edited(scaffold(folder, "plot"), ("means = accuracies(run)", f"open({str(place)!r}, 'rb').read(); "
                                                 "means = accuracies(run)"))  # fmt: skip
        try:
            drawn.picture([toyrun.whole()], "my_plot", ".png", files=[path], hidden=[run, surf])
            said = ""
        except BadInput as error:
            said = str(error)
        assert (says in said, bool(says)) == (True, bool(said))


class Says:
    """An executor whose stranger answers what it is told to."""

    def __init__(self, answer):
        self.answer, self.server_died = {"status": "ok", "opened": [], **answer}, False

    def open(self, stranger):
        assert stranger
        return self

    def wait(self, channels, timeout):
        return channels

    def receive(self):
        return self.answer

    def expect(self, *message): ...

    send = close = expect


def of(text):
    return np.frombuffer(text, np.uint8)


PNG = b"\x89PNG\r\n\x1a\n and so on"


@pytest.mark.parametrize(
    "gave",
    [
        None, [], {}, {"content": PNG.decode("latin1"), "size": [1, 1], "shows": ""},
        {"content": of(b"<?xml "), "size": [1, 1], "shows": ""}, {"content": of(PNG), "size": [1], "shows": ""},
        {"content": of(PNG), "size": [1, float("nan")], "shows": ""}, {"content": of(PNG), "size": "11", "shows": ""},
        {"content": of(PNG), "size": [1, 1], "shows": 7}, {"content": of(PNG), "size": [1, -1], "shows": ""},
    ],
)  # fmt: skip
def test_what_is_no_picture_is_not_written(tmp_path, gave):
    info = PlotInfo("mine", "", tmp_path / "mine.py")
    good = {"content": of(PNG), "size": [3.0, 2], "shows": "a\x1b[2J line"}
    saved = drawn.drawn(info, [], ".png", executor=Says({"gave": good}))
    assert (saved.content, saved.size, saved.shows) == (PNG, (3.0, 2.0), "a line")
    with pytest.raises(BadInput, match=r"mine\.py cannot be used"):
        drawn.drawn(info, [], ".png", executor=Says({"gave": gave}))


@pytest.mark.parametrize(
    "texts", [None, {}, [], ["a\n"], [of(b"\xff\n")], [of(b"\x1b[2J\n")], [of("\u202eabc\n".encode())], [of(b"a\r\n")]]
)
def test_what_is_no_text_is_not_printed(tmp_path, texts):
    info, table = FileInfo("mine", "", tmp_path / "mine.py"), build(toyrun.bare())
    good = of("a\tß\n".encode())
    assert drawn.rendered([table], info, executor=Says({"gave": {"texts": [good]}})) == ["a\tß\n"]
    with pytest.raises(BadInput, match=r"mine\.py cannot be used"):
        drawn.rendered([table], info, executor=Says({"gave": {"texts": texts}}))
    assert packed(good.astype(np.int64)) == b""
