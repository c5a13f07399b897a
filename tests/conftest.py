"""What several test files share: a small data root, the command in this process, and a suite on both."""

# ruff: noqa: E402
import os

for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(pool, "1")  # read at import; two tests at once with two threads each are slower, not faster

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

collect_ignore = ["attacks", "judges", "plugins"]  # adapters to run, not tests
# Files that take half a minute and more come first, so that both workers have something to do up to the end.
LONGEST = (
    "strangers estimators vault cells fidelity_adversarial docs kinds cli pictures fuzz_records kill sparse company "
    "check fidelity_logic compare predict inspect_formats new graph_runs devices regression plot distance install "
    "fidelity_facts folds images shard fuzz_values check_cheats own_data gpu_script office_caltech_classic"
)
DOMAINS = {"caltech": "Caltech10", "amazon": "amazon", "webcam": "webcam", "dslr": "dslr"}
SURF = "office_caltech/{}_SURF_L10.mat"
SUITE = """\
dataset: office_caltech
pairs: ['amazon:webcam', 'webcam:amazon']
protocol: transductive
base: 1nn
steps: 5
batch_size: 16
seeds: 2
methods: [source_only, coral]
"""
PLUGIN = '''\
"""A plugin."""

from zoo.adapters.base import Mapping


class {cls}(Mapping):
    """A shift of the target by a constant."""

    def __init__(self, by: float = {by}) -> None:
        self.by = by

    def fit_map(self, task):
        {fit}

    def target(self, X):
        return X + self.by
'''


@dataclass
class Done:
    """How a call of the command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


def pytest_collection_modifyitems(config, items):
    """A run of everything takes a twelfth of the tests marked `faults`, drawn by ZOO_FAULTS_SEED; ZOO_FAULTS=N all.

    One that is marked `minutes` too is not drawn: it would be a third of the whole.
    """
    rank = {f"test_{name}.py": i for i, name in enumerate(LONGEST.split())}
    items.sort(key=lambda i: rank.get(i.path.name, len(rank)))  # stable: all others as they stood
    named = any("::" in arg or arg.endswith(".py") for arg in config.args)
    if named or "ZOO_FAULTS" in os.environ:
        return
    seed = os.environ.get("ZOO_FAULTS_SEED", "0")
    drawn = {i.nodeid: hashlib.sha256(f"{seed} {i.nodeid}".encode()).digest() for i in items if "faults" in i.keywords}
    alone = {i.nodeid for i in items if "minutes" in i.keywords}
    kept = set(sorted(drawn.keys() - alone, key=drawn.get)[: -(-len(drawn) // 12)])
    left = [i for i in items if i.nodeid in drawn and i.nodeid not in kept]
    items[:] = [i for i in items if i.nodeid not in drawn or i.nodeid in kept]
    config.hook.pytest_deselected(items=left)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A file goes to one worker, which makes its fixtures once, and the next file to whoever has nothing left."""
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False  # in the order of the items
    return LoadFileScheduling(config, log)


def _write_surf(root, *, per_class=8, d=6, change=lambda name, X, y: (X, y)):
    """A data root with four small domains in the files of Office-Caltech; `change` edits one before it is written."""
    for i, (name, stem) in enumerate(DOMAINS.items()):
        rng = np.random.default_rng(i)
        y = np.repeat(np.arange(1, 11), per_class)
        X = rng.normal(size=(len(y), d)) + 3 * np.random.default_rng(9).normal(size=(10, d))[y - 1] + 0.5 * i
        X, y = change(name, X, y)
        path = root / SURF.format(stem)
        path.parent.mkdir(parents=True, exist_ok=True)
        savemat(path, {"fts": X, "labels": y[:, None]})
    return root


def _write_plugin(path, *, by=0.5, fit="pass"):
    """A plugin that shifts the target by `by` and runs `fit` while it fits."""
    path.write_text(PLUGIN.format(cls=path.stem.title().replace("_", ""), by=by, fit=fit))
    return path


@pytest.fixture(scope="session")
def office_caltech():
    """The data root, where it holds Office-Caltech."""
    root = Path(os.environ.get("ZOO_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not (root / "office_caltech").is_dir():
        pytest.skip("no Office-Caltech: set ZOO_DATA")
    return root


def _fit_toy(name, device, *, precision="fp32", steps=6, deterministic=True):
    """A method on the toy pair, after few steps: its scores of a test set, and the set's labels."""
    import torch

    from zoo import discover, streams
    from zoo.check.toys import CLASSES, toy
    from zoo.learners import Learner
    from zoo.task import Task
    from zoo.train import Budget

    info, pair = discover.methods()[name], toy(n_s=60, n_t=60)
    fields, _ = pair.fields(device, "base")
    budget = Budget(steps=steps, batch_size=16, precision=precision, deterministic=deterministic)
    options = {"net": "mlp", "budget": budget, "device": device}
    if "model" in info.needs:
        fields["model"] = Learner(**options, use="net").fit(fields["Xs"], fields["ys"], CLASSES)
    trains = info.kind in ("deep", "parameter") or info.family == "baseline"
    learner = Learner(**options, use="net" if trains else "base")
    task = Task(fields, needs=info.needs, learner=learner, n_classes=CLASSES, device=device, seed=0)
    adapter = discover.load(info)().fit(task)
    if streams.only(info):
        return adapter.observe(pair.X.to(device)).double(), pair.y
    with torch.no_grad():
        if info.transductive_only:
            return adapter.scores_t().double(), pair.yt
        return adapter.predict(pair.X.to(device)).detach().double(), pair.y


@pytest.fixture(scope="session")
def fit_toy():
    return _fit_toy


@pytest.fixture(scope="module")
def one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory):
    """What data of a format are made into is kept in a folder of this module's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def write_surf():
    return _write_surf


@pytest.fixture(scope="session")
def write_plugin():
    return _write_plugin


@pytest.fixture(scope="session")
def surf(tmp_path_factory):
    return _write_surf(tmp_path_factory.mktemp("data"))


OWN = "data: {format: npz, domains: {a: a.npz, b: b.npz}}\nmethods: [source_only, coral]\nseeds: 2\n"


def _write_own_suite(folder):
    for seed, name in enumerate("ab"):
        y = np.arange(40) % 2
        np.savez(folder / f"{name}.npz", X=np.random.default_rng(seed).normal(size=(40, 3)) + y[:, None], y=y)
    (folder / "mine.yaml").write_text(OWN)


@pytest.fixture(scope="session")
def own_suite():
    """Writes two domains of one's own and ``mine.yaml``, a suite of 8 cells on them."""
    return _write_own_suite


@pytest.fixture
def suite_file(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(SUITE)
    return path


@pytest.fixture(scope="session", autouse=True)
def server():
    """All runs of this process share one fork server, started when first asked for: it imports for seconds."""
    from zoo.bench.executors import processes

    class Lasting(processes.Main):
        over = False

        def close(self):
            if self.dead or self.over:
                super().close()

    started = []

    def give():
        if not started or started[-1].dead:
            started.append(Lasting())
        return started[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "Main", give)
        yield Lasting.__base__
    for one in started[-1:]:
        one.over = True
        one.close()


@pytest.fixture
def own_server(server, monkeypatch):
    """A run of this test starts a server of its own, say because that one's output is looked at."""
    from zoo.bench.executors import processes

    monkeypatch.setattr(processes, "Main", server)


@pytest.fixture
def zoo(server, monkeypatch, capsys, surf, tmp_path):
    """Call the command in this process, in an empty folder, with the small data root."""
    from zoo import cli

    empty = tmp_path / "cwd"
    empty.mkdir()
    monkeypatch.chdir(empty)
    monkeypatch.setenv("ZOO_DATA", str(surf))

    def call(*args):
        monkeypatch.setattr(sys, "argv", ["zoo", *map(str, args)])
        capsys.readouterr()
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        return Done(code, *capsys.readouterr())

    return call


@pytest.fixture
def refused(zoo, tmp_path, suite_file):
    """Call ``zoo run`` with what has to be refused; returns the line without its prefix."""

    def call(*args, out=None, executor="local"):
        before = sorted(tmp_path.rglob("*"))
        places = {"tiny": suite_file, "mine": tmp_path / "mine.py"}
        # The executor `local` would be started only by a run, so a refusal costs no imports.
        done = zoo(
            "run", *(str(a).format(**places) for a in args), "--executor", executor, *(("--out", out) if out else ())
        )
        assert done.code == 2
        assert done.out == ""
        assert done.err.startswith("zoo: ")
        assert done.err.endswith("\n")
        assert done.err.count("\n") == 1
        assert sorted(tmp_path.rglob("*")) == before
        return done.err.removeprefix("zoo: ").rstrip()

    return call
