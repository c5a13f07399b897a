"""The listing's cache: it shows what the sources say, whatever happened to them or to it."""

import os
import random
import shutil
import subprocess
import sys

import pytest

from zoo import discover, listing, source

HELPER = "from zoo.adapters.base import Mapping\n\n\nclass Shared(Mapping):\n    cite = 'sun2016return'\n"
METHOD = "from zoo.adapters.feature._shared import Shared\n\n\nclass Mine(Shared):\n    '''Help of mine.'''\n"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the zoo with few methods, a minute old, and a cache folder of its own."""
    root = shutil.copytree(source.ROOT, tmp_path / "zoo", ignore=shutil.ignore_patterns("__pycache__", "[!b_c]*.pt"))
    for path in root.glob("adapters/*/*.py"):
        if path.stem not in ("source_only", "kmm", "coral", "dann") and not path.stem.startswith("_"):
            path.unlink()
    (root / "adapters/feature/_shared.py").write_text(HELPER)
    (root / "adapters/feature/mine.py").write_text(METHOD)
    monkeypatch.setattr(source, "ROOT", root)
    monkeypatch.setattr(listing, "SETTLED_NS", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    source.located.cache_clear()
    yield root
    source.located.cache_clear()


def reads(monkeypatch):
    """The files that are read from now on."""
    seen, read = [], discover.read
    monkeypatch.setattr(discover, "read", lambda path, *a, **k: seen.append(path.stem) or read(path, *a, **k))
    return seen


def listed():
    source.located.cache_clear()
    found = listing.methods()
    assert found == discover.methods()
    return found


def test_the_second_listing_reads_no_source(package, monkeypatch):
    listed()
    seen = reads(monkeypatch)
    assert listing.methods().keys() == {"source_only", "kmm", "coral", "dann", "mine"}
    assert seen == []
    with (package / "adapters/instance/kmm.py").open("a") as file:
        file.write("# longer\n")
    listing.methods()
    assert seen == ["kmm"]


def test_the_whole_zoo_is_the_same_from_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(listing, "SETTLED_NS", 0)
    plain = discover.methods()
    assert listing.methods() == plain
    cache = listing.Cache(listing.folder())
    assert len(cache.stored) == len(plain)
    assert listing.methods() == plain
    assert [m.to_json() for m in listing.methods().values()] == [m.to_json() for m in plain.values()]


def test_every_change_of_a_file_is_seen(package):
    feature = package / "adapters/feature"
    assert listed()["mine"].summary == "Help of mine."
    (feature / "mine.py").write_text(METHOD.replace("Help", "Held"))  # of the same size
    assert listed()["mine"].summary == "Held of mine."
    (feature / "_shared.py").write_text(HELPER.replace("sun2016return", "ganin2016jml"))  # a base in another file
    assert listed()["mine"].cite == "ganin2016jml"
    (feature / "other.py").write_text(METHOD.replace("Mine", "Other"))
    assert "other" in listed()
    (feature / "other.py").unlink()
    assert "other" not in listed()
    (feature / "_shared.py").unlink()
    source.located.cache_clear()  # as in another process
    with pytest.raises(discover.BadInput, match="no public subclass"):
        listing.methods()
    (feature / "_shared").mkdir()
    (feature / "_shared/__init__.py").write_text(HELPER)  # the base is now a package's
    assert listed()["mine"].cite == "sun2016return"
    (feature / "_shared.py").write_text(HELPER.replace("sun2016return", "long2013joint"))  # which a file stands before
    assert listed()["mine"].cite == "long2013joint"


def test_a_base_that_travels_through_a_third_file_is_followed(package):
    feature = package / "adapters/feature"
    (feature / "_third.py").write_text(HELPER)
    (feature / "_shared.py").write_text("from zoo.adapters.feature._third import Shared\n")
    assert listed()["mine"].cite == "sun2016return"
    (feature / "_fourth.py").write_text(HELPER.replace("sun2016return", "long2013joint"))
    (feature / "_shared.py").write_text("from zoo.adapters.feature._fourth import Shared\n")
    assert listed()["mine"].cite == "long2013joint"


def test_an_edit_that_keeps_size_and_time_is_seen(package):
    path = package / "adapters/feature/mine.py"
    before = path.stat()
    listed()
    path.write_text(METHOD.replace("Help", "Held"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert listed()["mine"].summary == "Held of mine."


def test_a_file_that_has_just_changed_is_not_kept(package, monkeypatch):
    monkeypatch.setattr(listing, "SETTLED_NS", 3_600_000_000_000)
    listing.methods()
    assert not listing.Cache(listing.folder()).stored.keys()


def respoil(path, spoil):
    """Change what the cache says as someone would who signs it again."""
    text = spoil(path.read_bytes().partition(b"\n")[2].decode())
    path.write_bytes(listing._signed(text.encode()))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: t[: len(t) // 2],
        lambda t: "",
        lambda t: "[" * 100_000,
        lambda t: "null",
        lambda t: t.replace('"key"', '"kex"'),
        lambda t: t.replace("Help", "\\ud800"),
        lambda t: t.replace('"family": "feature"', '"family": "featurf"'),
        lambda t: t.replace('"needs": [', '"needs": [{}, '),
        lambda t: t.replace('"needs": [', '"needs": ["all", '),
        lambda t: t.replace('"parameters": "{', '"parameters": "{__import__(\'os\').getpid(): 1, '),
        lambda t: t.replace('"parameters": "{', '"parameters": "' + "-" * 5_000 + "{"),
        lambda t: t.replace('"plugin": false', '"plugin": 0'),
        lambda t: t.replace('"seen": {', '"sees": {'),
        lambda t: t.replace('"seen": {', '"seen": {"\\u0000": 1, '),
        lambda t: t.replace('"name": "mine"', '"name": "yours"'),
    ],
)
def test_what_is_odd_in_the_cache_is_missing(package, spoil):
    expected = listed()
    path = listing.Cache(listing.folder()).path
    before = path.read_bytes()
    respoil(path, spoil)
    assert path.read_bytes() != before
    assert listing.methods() == expected
    assert path.read_bytes() == before  # and it is made anew


def test_bytes_at_random_in_the_cache_change_no_listing(package):
    expected = listed()
    path = listing.Cache(listing.folder()).path
    whole = path.read_bytes()
    draw = random.Random(0)
    for _ in range(50):
        spoilt = bytearray(whole)
        for _ in range(draw.randint(1, 5)):
            spoilt[draw.randrange(len(spoilt))] = draw.randrange(256)
        path.write_bytes(spoilt)
        assert listing.methods() == expected


def test_another_version_or_python_reads_its_own(package, monkeypatch):
    listed()
    assert listing.Cache(listing.folder()).stored
    for name, value in (("__version__", "99"), ("source", None)):
        with monkeypatch.context() as patch:
            if value:
                patch.setattr(listing, name, value)
            else:
                patch.setattr(sys, "version", "4.0")
            assert not listing.Cache(listing.folder()).stored


@pytest.mark.parametrize("place", ["file", "dangling", "unwritable", "relative", "no home"])
def test_where_nothing_can_be_written_the_listing_is_the_same(package, tmp_path, monkeypatch, place):
    home = tmp_path / "elsewhere"
    if place == "file":
        home.write_text("not a folder")
    elif place == "dangling":
        home.symlink_to(tmp_path / "nowhere" / "at all")
    elif place == "unwritable":
        home.mkdir(mode=0o500)
        monkeypatch.setattr(listing.Path, "mkdir", refuse)
    elif place == "relative":
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "some/where" if place == "relative" else str(home))
    if place == "no home":
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setattr(listing.Path, "home", refuse)
    listed()
    listed()
    assert not (tmp_path / "some").exists()


def refuse(*_, **__):
    raise RuntimeError if not _ else PermissionError(13, "no")


def test_a_plugin_of_this_command_is_read_each_time(package, tmp_path):
    plugin = tmp_path / "yours.py"
    plugin.write_text(METHOD.replace("Mine", "Yours"))
    assert "yours" in listing.methods([plugin])
    assert str(plugin) not in listing.Cache(listing.folder()).stored
    plugin.write_text(METHOD.replace("Mine", "Yours").replace("Help", "Held"))
    assert listing.methods([plugin])["yours"].summary == "Held of mine."


def test_a_run_believes_no_cache(package, monkeypatch):
    """Whoever can write into the user's folder would else change what others are granted."""
    listed()
    path = listing.Cache(listing.folder()).path
    respoil(path, lambda text: text.replace('"needs": [', '"needs": ["yt", '))
    assert "yt" in listing.methods()["coral"].needs  # it is only shown
    assert "yt" not in discover.methods()["coral"].needs


def test_list_imports_no_numpy(tmp_path):
    code = (
        "import sys\nfrom zoo.cli import app\ntry: app(['list'])\nfinally: print({'numpy', 'torch'} & set(sys.modules))"
    )
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
        assert done.stdout.splitlines()[-1] == "set()"


def test_two_at_once_leave_a_whole_file(tmp_path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "zoo.cli", "list", "--json"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for _ in range(2)]
    assert len({p.communicate()[0] for p in both}) == 1
    (path,) = (tmp_path / "zoo").iterdir()
    assert listing._signed(path.read_bytes().partition(b"\n")[2]) == path.read_bytes()
