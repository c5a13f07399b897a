"""Static discovery: what is listed agrees with what importing gives, and every refusal says file and line."""

import importlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from zoo import discover, source
from zoo.access import FIELDS
from zoo.adapters.base import Adapter
from zoo.discover import BadInput

PLUGINS = Path(__file__).parent / "plugins"
GOOD = (PLUGINS / "centre.py").read_text()


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# The package ----------------------------------------------------------------------------------------------------------


def test_all_files_are_found_in_the_order_of_the_families():
    found = discover.methods()
    assert set(found) == {p.stem for p in source.ROOT.glob("adapters/*/*.py") if not p.stem.startswith("_")}
    assert list(found) == sorted(found, key=lambda n: (discover.FAMILIES.index(found[n].family), n))
    assert {"dummy", "source_only", "target_only", "joint", "labelled_only"} <= set(found)
    assert all(m.summary.endswith(".") and not m.plugin for m in found.values())


@pytest.mark.parametrize("name", discover.methods())
def test_what_is_read_is_what_importing_gives(name):
    info = discover.methods()[name]
    cls = discover.load(info)
    assert issubclass(cls, Adapter)
    assert cls.__name__ == info.cls
    for attribute in ("needs", "learner", "cite", "space", "deterministic", "transductive_only"):
        assert getattr(cls, attribute) == getattr(info, attribute)
    assert cls().get_params() == info.parameters
    assert info.doc == (inspect.getdoc(cls) or "")
    assert info.family == info.path.parent.name
    assert info.forward == (cls.forward if info.kind == "deep" else "")
    row = info.to_json()
    assert list(row) == ["name", "family", "setting", "learner", "needs", "kind", "summary", "cite", "parameters"]
    assert json.loads(json.dumps(row)) == row


def test_data_sets_and_nets_agree_with_importing():
    for kind, base in (
        ("datasets", "zoo.data.base.Dataset"),
        ("nets", "zoo.nets.Net"),
        ("kinds", "zoo.kinds.base.Kind"),
    ):
        module, _, name = base.rpartition(".")
        root = getattr(importlib.import_module(module), name)
        found = getattr(discover, kind)()
        assert found
        for info in found.values():
            cls = discover.load(info)
            assert issubclass(cls, root)
            assert info.summary == (inspect.getdoc(cls) or "").splitlines()[0]
            if kind == "datasets":
                for attribute in ("domains", "kind", "photographs", "cite", "origin", "licence", "folder"):
                    assert getattr(info, attribute) == getattr(cls, attribute)


def test_suites_show_their_first_comment(tmp_path, monkeypatch):
    write(tmp_path, "suites/tiny.yaml", "\n# Two pairs, a second.\n# more\nname: tiny\n")
    write(tmp_path, "suites/bare.yaml", "name: bare\n")
    monkeypatch.setattr(source, "ROOT", tmp_path)
    assert {k: v.summary for k, v in discover.suites().items()} == {"bare": "", "tiny": "Two pairs, a second."}


def test_listing_is_light():
    code = (
        "import sys, time; t = time.process_time(); from zoo import discover as d;"
        "d.methods(), d.datasets(), d.nets(), d.executors(), d.suites(); t = time.process_time() - t;"
        "print(t, *{'torch', 'numpy', 'scipy', 'sklearn', 'ot', 'pandas'} & set(sys.modules))"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(3)]
    seconds, *heavy = min(r.stdout.split() for r in runs)
    assert heavy == []
    assert float(seconds) < 0.8  # of CPU, whatever else the machine does


# Plugins --------------------------------------------------------------------------------------------------------------


def test_a_plugin_needs_one_file():
    info = discover.methods([PLUGINS / "centre.py"])["centre"]
    assert (info.family, info.kind, info.setting, info.plugin) == ("feature", "mapping", "unsupervised", True)
    assert info.parameters == {"strength": 1.0}
    assert discover.load(info)(strength=0.5).get_params() == {"strength": 0.5}


def test_a_plugin_inherits_from_another_adapters_file():
    found = discover.methods([PLUGINS / "deeper_dann.py"])
    ours, theirs = found["deeper_dann"], found["dann"]
    for attribute in ("family", "kind", "learner", "needs", "cite", "space", "deterministic", "forward"):
        assert getattr(ours, attribute) == getattr(theirs, attribute)
    assert (ours.parameters["weight"], theirs.parameters["weight"]) == (0.5, 1.0)


@pytest.mark.parametrize(
    ("imports", "base", "expected"),
    [
        ("from zoo.adapters.base import Reweighting", "Reweighting", ("instance", "reweighting", "base")),
        ("from zoo.adapters import base", "base.DeepAdapter", ("feature", "deep", "net")),
        ("import zoo.adapters.base", "zoo.adapters.base.Tuning", ("parameter", "parameter", "net")),
        ("import zoo.adapters.base as b", "b.Mapping", ("feature", "mapping", "base")),
        ("from zoo.adapters.base import Tuning as T", "T", ("parameter", "parameter", "net")),
        (
            "from zoo.adapters.base import DeepAdapter\nclass _Own(DeepAdapter):\n    learner = 'own'\n    views = 2",
            "_Own",
            ("feature", "deep", "own"),
        ),
        (
            "from zoo.adapters.base import Adapter, Mapping\nclass _Mixin(Adapter):\n    cite = 'x'",
            "_Mixin, Mapping",
            ("feature", "mapping", "base"),
        ),
    ],
)
def test_bases_are_resolved_however_they_are_named(tmp_path, imports, base, expected):
    path = write(tmp_path, "mine.py", f"{imports}\nclass Mine({base}):\n    '''Help.'''\n")
    info = discover.methods([path])["mine"]
    assert (info.family, info.kind, info.learner) == expected
    cls = discover.load(info)
    assert (cls.learner, cls.cite, cls.needs) == (info.learner, info.cite, info.needs)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("class Centre(Mapping):", "class Centre(Mapping:", 6, "syntax error: "),
        ("class Centre(Mapping):", "class Centre:", 1, "no public subclass"),
        ("class Centre(Mapping):", "class _Centre(Mapping):", 1, "no public subclass"),
        (
            'space = {"strength":',
            'needs = {"Xs", "Xtt"}\n    space = {"strength":',
            9,
            "unknown name 'Xtt': did you mean",
        ),
        (
            'space = {"strength":',
            'learner = "bass"\n    space = {"strength":',
            9,
            "unknown name 'bass': did you mean 'ba",
        ),
        ('space = {"strength":', 'needs = ["Xs", "ys"]\n    space = {"strength":', 9, "needs has to be a set literal"),
        ('space = {"strength":', 'deterministic = 1\n    space = {"strength":', 9, "has to be a bool literal"),
        ('space = {"strength":', 'cite = "a".upper()\n    space = {"strength":', 9, "cite has to be a literal"),
        ('space = {"strength":', 'needs |= {"yt"}\n    space = {"strength":', 9, "needs has to be a literal"),
        ('space = {"strength":', 'if True:\n        cite = "x"\n    space = {"strength":', 9, "cite has to be a lit"),
        (
            "    def fit_map",
            "    @property\n    def learner(self):\n        pass\n\n    def fit_map",
            15,
            "learner has",
        ),
        ('space = {"strength":', 'family = "features"\n    space = {"strength":', 9, "did you mean 'feature'"),
        ('"strength": (', '"strenght": (', 9, "did you mean 'strength'"),
        ("strength: float = 1.0", "strength: float", 11, "parameter 'strength' has no literal default"),
        ("strength: float = 1.0", "strength: float = 2 * 0.5", 11, "parameter 'strength' has no literal default"),
        ("strength: float = 1.0", "*, strength: float", 11, "parameter 'strength' has no literal default"),
        ("strength: float = 1.0", "strength: float = 1.0, **more", 11, "takes * or **"),
    ],
)
def test_a_broken_rule_is_refused_with_file_and_line(tmp_path, old, new, line, says):
    assert GOOD.count(old) == 1
    path = write(tmp_path, "centre.py", GOOD.replace(old, new))
    with pytest.raises(BadInput) as e:
        discover.methods([path])
    message = str(e.value)
    assert message.startswith(f"{path}:{line}: ")
    assert says in message
    assert "\n" not in message


def test_two_adapters_in_a_file_are_refused(tmp_path):
    path = write(tmp_path, "centre.py", GOOD + "\n\nclass Second(Mapping):\n    pass\n")
    with pytest.raises(BadInput, match=re.escape(f"{path}:24: more than one public adapter class (Centre, Second)")):
        discover.methods([path])
    write(tmp_path, "centre.py", GOOD + "\n\nclass _Second(Mapping):\n    pass\n\n\nclass Third:\n    pass\n")
    assert discover.methods([path])["centre"].cls == "Centre"


def test_a_plain_adapter_states_its_family(tmp_path):
    text = "from zoo.adapters.base import Adapter\n\nclass Plain(Adapter):\n    '''Help.'''\n"
    path = write(tmp_path, "plain.py", text)
    with pytest.raises(BadInput, match=re.escape(f"{path}:3: ") + ".*has to state its family"):
        discover.methods([path])
    write(tmp_path, "plain.py", text + "    family = 'relational'\n")
    info = discover.methods([path])["plain"]
    assert (info.family, info.kind) == ("relational", "relational")
    write(tmp_path, "plain.py", text + "    family = 'instance'\n")
    assert discover.methods([path])["plain"].kind == "adapter"


def test_a_name_that_exists_is_refused(tmp_path):
    path = write(tmp_path, "dummy.py", GOOD)
    with pytest.raises(BadInput, match=re.escape(f"{path}:1: the method 'dummy' exists already")):
        discover.methods([path])
    other = write(tmp_path, "b/centre.py", GOOD)
    with pytest.raises(BadInput, match=re.escape(f"{other}:1: the method 'centre' exists already")):
        discover.methods([PLUGINS / "centre.py", other])
    assert "centre" in discover.methods([PLUGINS / "centre.py"] * 2)


@pytest.mark.parametrize("name", ["nothing_here.py", "a_folder.py"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path, name):
    (tmp_path / "a_folder.py").mkdir()
    with pytest.raises(BadInput, match=re.escape(f"{tmp_path / name}:1: cannot be read")):
        discover.methods([tmp_path / name])


@pytest.mark.parametrize("name", ["My-Method.py", "a.b.py", "centre.txt"])
def test_a_file_name_that_the_command_line_could_not_say_is_refused(tmp_path, name):
    with pytest.raises(BadInput, match="the file's name is the method's"):
        discover.methods([write(tmp_path, name, GOOD)])


def test_a_plugin_that_raises_on_import_is_refused_where_it_raised(tmp_path):
    path = write(tmp_path, "centre.py", GOOD + "\n\nraise OSError('the disk\\nis full')\n")
    info = discover.methods([path])["centre"]
    with pytest.raises(BadInput, match=re.escape(f"{path}:24: import raises OSError: the disk is full")):
        discover.load(info)


def test_a_class_that_changes_on_import_is_refused(tmp_path):
    path = write(tmp_path, "centre.py", GOOD + "\n\nCentre.needs = {'Xs', 'ys', 'Xt', 'yt'}\n")
    with pytest.raises(BadInput, match="needs"):
        discover.load(discover.methods([path])["centre"])


def test_an_edited_plugin_is_imported_again(tmp_path):
    path = write(tmp_path, "centre.py", GOOD)
    assert discover.load(discover.methods([path])["centre"])().strength == 1.0
    write(tmp_path, "centre.py", GOOD.replace("float = 1.0", "float = 2.0"))
    assert discover.load(discover.methods([path])["centre"])().strength == 2.0


def test_entry_points_are_located_without_importing_them(tmp_path):
    write(tmp_path, "their_zoo/__init__.py", "raise RuntimeError('imported while listing')\n")
    write(tmp_path, "their_zoo/methods/__init__.py", "")
    module = write(tmp_path, "their_zoo/methods/centre.py", GOOD)
    meta = write(tmp_path, "their_zoo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: their_zoo\nVersion: 1.0\n")
    write(meta.parent, "entry_points.txt", "[zoo.adapters]\ncentre = their_zoo.methods.centre\n")
    code = (
        "from zoo import discover as d; i = d.methods()['centre']; print(i.path, i.plugin, i.module);"
        "open('their_zoo/__init__.py', 'w').close(); print(d.load(i).__module__)"
    )

    def run():
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
        return done.stdout + done.stderr

    assert run() == f"{module} True their_zoo.methods.centre\ntheir_zoo.methods.centre\n"
    write(meta.parent, "entry_points.txt", "[zoo.adapters]\ncentre = their_zoo.gone\n")
    assert "BadInput: entry point their_zoo.gone of group zoo.adapters: there is no module their_zoo.gone" in (
        run().replace("zoo.errors.", "")
    )


def test_needs_are_the_fields_of_a_task():
    assert all(m.needs <= set(FIELDS) for m in discover.methods().values())


# Hashes ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package in the zoo's place."""
    root = tmp_path / "zoo"
    for name, text in {
        "__init__.py": "VERSION = 1",
        "adapters/__init__.py": "",
        "adapters/a.py": "from zoo.ops import near\nfrom zoo.ops.far import f\n",
        "ops/__init__.py": "",
        "ops/near.py": "def g():\n    from zoo.ops import lazy\n    import zoo.ops.late\n",
        "ops/far.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import zoo.ops.typed\n",
        "ops/lazy.py": "from . import sibling\nfrom .cousin import x\n",
        "ops/late.py": "import numpy, zoo.missing\n",
        "ops/sibling.py": "from zoo.adapters import a\n",  # a circle
        "ops/cousin.py": "import typing\nif typing.TYPE_CHECKING:\n    pass\nelse:\n    import zoo.ops.otherwise\n",
        "ops/otherwise.py": "from zoo.nets import Net",
        "nets/__init__.py": "class Net: pass",
        "nets/mlp.py": "",
        "ops/typed.py": "",
        "ops/unused.py": "",
    }.items():
        write(root, name, text)
    monkeypatch.setattr(source, "ROOT", root)
    source.located.cache_clear()
    yield root
    source.located.cache_clear()


def test_the_hash_follows_imports_and_nothing_else(package):
    start = package / "adapters" / "a.py"
    before = discover.code_hash(start)
    moved = set()
    for path in sorted(package.rglob("*.py")):
        text = path.read_text()
        path.write_text(text + "\nEDITED = True\n")
        if discover.code_hash(start) != before:
            moved.add(str(path.relative_to(package)))
        path.write_text(text)
        assert discover.code_hash(start) == before
    ops = {"near", "far", "lazy", "late", "sibling", "cousin", "otherwise"}
    assert moved == {"adapters/a.py", "nets/__init__.py"} | {f"ops/{name}.py" for name in ops}


def test_more_files_count_in_any_order(package):
    a, b = package / "nets/mlp.py", package / "ops/unused.py"
    assert discover.code_hash(a, b) == discover.code_hash(b, a) != discover.code_hash(a)


def test_a_copied_plugin_keeps_its_hash_and_an_edited_zoo_file_changes_it(package, tmp_path):
    text = "from zoo.ops.far import f\n"
    here, there = write(tmp_path, "x/mine.py", text), write(tmp_path, "y/mine.py", text)
    before = discover.code_hash(here)
    assert discover.code_hash(there) == before
    assert discover.code_hash(write(tmp_path, "y/other.py", text)) != before
    write(package, "ops/far.py", "f = 2\n")
    assert discover.code_hash(here) != before


def test_the_zoos_hashes_are_distinct():
    paths = [m.path for m in discover.methods().values()]
    assert len({discover.code_hash(p) for p in paths}) == len(paths)


def test_an_unknown_name_gets_suggestions():
    assert "did you mean 'source_only'" in str(discover.unknown("method", "sourceonly", discover.methods()))
    assert str(discover.unknown("suite", "zzz", [])) == "unknown suite 'zzz': there are none"
