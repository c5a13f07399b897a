"""Networks of plugins: whoever's method trains one, its cell is a stranger's, and no other number is in its reach."""

import json

import pytest

from tests.test_plugin_kinds import edited, failed, far, installed, scaffold
from zoo import plugged
from zoo.bench.run import Benchmark
from zoo.errors import BadInput
from zoo.vault import answers
from zoo.vault.wire import Malformed

SHORT = ("--seeds", 1, "--steps", 20)
FEATURES = "return self.body(x)"
DRAWN = """

def drawn(n):
    import os

    m = nn.Linear(n, n)
    m.bias.data += os.urandom(1)[0]
    return m
"""


def records(tmp_path, out="run"):
    found = [json.loads(line) for f in (tmp_path / "cwd" / out / "records").glob("*") for line in f.open()]
    return {(r["method"], r["learner"], r["setting"], r["source"]): r for r in found}


def planned(tmp_path, path, methods, **options):
    made = Benchmark("quickstart", plugins=[path], net="my_net", methods=methods, out=tmp_path / "planned", **options)
    made.close()
    return {c.row.info.name: c for c in made.plan.cells}


@pytest.mark.slow
@pytest.mark.faults  # every method of networks
def test_every_method_trains_it_and_no_line_of_it_runs_here(zoo, own_server, tmp_path, monkeypatch):
    """As a file and installed; deep methods, source-free ones with a source model of it, and bases beside them."""
    installed(tmp_path, monkeypatch, "net")
    path = far(scaffold(tmp_path, "net"))
    for net, files in (("my_net", ("--plugin", path)), ("in_net", ())):
        methods = "source_only,dann,tent,coral"
        done = zoo("run", "quickstart", "--net", net, *files, "--methods", methods, *SHORT, "--out", net)
        assert done.code == 0, done.err
        found = records(tmp_path, net)
        assert {(method, learner) for method, learner, *_ in found} >= {(m, net) for m in ("dann", "tent")}
        assert all(r["status"] == "ok" for r in found.values())
    ours, theirs = records(tmp_path, "my_net"), records(tmp_path, "in_net")
    assert {k: r["metrics"] for k, r in ours.items() if k[1] == "my_net"} == {
        (m, "my_net", *rest): r["metrics"] for (m, learner, *rest), r in theirs.items() if learner == "in_net"
    }
    meta = json.loads((tmp_path / "cwd/my_net/run.json").read_text())
    assert (tmp_path / "cwd/my_net" / meta["net"]).read_bytes() == path.read_bytes()
    assert "1 identical" in zoo("verify", "my_net", "--cells", 1, "--plugin", path).out
    one = ("--method", "tent", "--setting", "source-free unsupervised", "--out", "p.csv")
    refused = zoo("predict", "my_net", *one)
    assert (refused.code, refused.err.count("\n"), "zoo run and zoo verify alone take it" in refused.err) == (
        2,
        1,
        True,
    )


@pytest.mark.slow
def test_it_changes_no_other_number_in_the_run(zoo, tmp_path):
    """It spoils torch, numpy and scikit-learn when imported, built and trained: cells without it are as they were."""
    path = scaffold(tmp_path, "net")
    spoils = """
def spoil():
    import numpy, torch, sklearn.linear_model
    torch.linalg.eigh = torch.linalg.cholesky = lambda *a, **k: 1 / 0
    torch.Tensor.softmax = lambda self, *a, **k: torch.zeros_like(self)
    numpy.argmax = lambda *a, **k: 0
    sklearn.linear_model.LogisticRegression.fit = lambda self, *a, **k: 1 / 0


spoil()
"""
    edited(path, ("from zoo.nets import Net\n", f"from zoo.nets import Net\n{spoils}\n"))
    edited(path, (FEATURES, f"spoil()\n        {FEATURES}"))
    both = ("--methods", "source_only,coral,dann", *SHORT, "--workers", 1)
    assert zoo("run", "quickstart", *both, "--out", "alone").code == 0
    done = zoo("run", "quickstart", *both, "--net", "my_net", "--plugin", path, "--out", "run")
    alone, beside = records(tmp_path, "alone"), records(tmp_path)
    base = [key for key in alone if key[1] == "logistic"]
    assert {m for m, *_ in base} == {"source_only", "coral"}
    for key in base:
        assert beside[key]["predictions_sha256"] == alone[key]["predictions_sha256"]
        assert beside[key]["cell"] == alone[key]["cell"]
    spoilt = [r for (_, learner, *_), r in beside.items() if learner == "my_net"]
    assert spoilt, done.err
    worst = [r for r in spoilt if r["status"] != "ok" or r["metrics"]["accuracy"] < 0.5]
    assert worst  # it did reach its own


@pytest.mark.slow
def test_which_cells_are_a_stranger_s_and_what_names_them(server, tmp_path):
    path = scaffold(tmp_path / "own", "net")  # a folder that holds a run cannot be listed by what imports from it
    every = ["dann", "tent", "coral"]
    before = planned(tmp_path, path, every)
    assert [before[name].stranger for name in every] == [True, True, False]
    path.with_name("beside.py").write_text("WIDTH = 256\n")
    edited(path, ("import math\n", "import math\nimport pathlib\nimport sys\n"))
    edited(path, ("from torch import", "sys.path.insert(0, str(pathlib.Path(__file__).parent))\nfrom torch import"))
    edited(path, ("from zoo.nets import Net\n", "from zoo.nets import Net\n\nfrom beside import WIDTH\n"))
    changed = planned(tmp_path, path, every)
    path.with_name("beside.py").write_text("WIDTH = 257\n")
    loaded = planned(tmp_path, path, every)
    for name in ("dann", "tent"):
        assert len({cells[name].id for cells in (before, changed, loaded)}) == 3
    assert len({cells["tent"].model for cells in (before, changed, loaded)}) == 3
    assert {cells["coral"].id for cells in (before, changed, loaded)} == {before["coral"].id}


@pytest.mark.slow
def test_a_network_that_is_not_row_wise_is_found(zoo, tmp_path):
    """It centres features by the batch in evaluation, so that the test's rows tell of each other."""
    path = edited(scaffold(tmp_path, "net"), (FEATURES, "z = self.body(x)\n        return z - z.mean(0)"))
    done = zoo("run", "quickstart", "--net", "my_net", "--plugin", path, "--methods", "dann", *SHORT, "--out", "run")
    assert done.code == 1
    reasons = {r["reason"] for r in records(tmp_path).values() if r["method"] == "dann"}
    assert all(reason.startswith("not row-wise") for reason in reasons)


def test_without_its_file_it_is_unknown_and_other_rules_are_said(zoo, tmp_path):
    done = zoo("run", "quickstart", "--net", "my_net")
    assert (done.code, done.err.count("\n"), "unknown net 'my_net'" in done.err) == (2, 1, True)
    path = scaffold(tmp_path, "net")
    for command in ("distance",):
        suite = tmp_path / "mine.yaml"
        suite.write_text("dataset: digits_pca\nnet: my_net\n")
        done = zoo(command, suite, "--plugin", path)
        assert (done.code, done.err.count("\n"), "run by zoo run alone" in done.err) == (2, 1, True)
    assert "my_net" in {row["name"] for row in zoo("list", "nets", "--plugin", path, "--json").json}
    edited(path, ("width = 128", "graphs = True\n    width = 128"))
    with pytest.raises(BadInput, match=r"my_net.py:\d+: graphs: a plugin's net reads samples"):
        plugged.found("net", [path])
    with pytest.raises(BadInput, match="the net 'resnet18' is torchvision's: rename this file"):
        plugged.found("net", [scaffold(tmp_path, "net", "other").rename(tmp_path / "resnet18.py")])


@pytest.mark.parametrize("said", [{"fit_s": "1"}, {"fit_s": 1.0, "curves": {"a": 3}}, {"fit_s": float("nan")}])
def test_what_is_said_of_a_source_model_is_checked(said):
    with pytest.raises(Malformed):
        answers.made(said)


def test_a_state_is_kept_under_names_that_can_be():
    import numpy as np

    with pytest.raises(Malformed):
        answers.arrays({"state": {"file": np.zeros(1)}}, "state")
    assert answers.arrays({"state": {"body.1.weight": np.zeros(1)}}, "state")


@pytest.mark.parametrize(
    ("old", "new", "test", "says"),
    [
        (FEATURES, "return self.body(x)[:, 1:]", "shapes", "features(x) gave [32, 127], where [32, 128], samples"),
        (FEATURES, "return self.body(x) / 0", "shapes", "features(x) is NaN or infinite in 32 rows of 32"),
        ("width = 128", 'width = "128"', "shapes", "int"),
        (FEATURES, "z = self.body(x)\n        return z - z.mean(0)", "row wise", "alone than among all, in evaluation"),
        ("self.head =", "self.lost = nn.Linear(2, 2)\n        self.head =", "gradients", "lost.weight gets no"),
        (FEATURES, "self.body[2].running_mean += 1\n        return self.body(x)", "keeps nothing", "has moved"),
        ("nn.Flatten(),", "nn.Flatten(), drawn(math.prod(shape)),", "repeats", "seed"),
        (FEATURES, "import torch\n        return self.body(x) + torch.ones(self.width)", "devices", "meta"),
    ],
)  # fmt: skip
def test_a_broken_promise_is_said_in_words(server, tmp_path, old, new, test, says):
    path = edited(scaffold(tmp_path, "net"), (old, new))
    path.write_text(path.read_text() + DRAWN)
    assert says in failed(path)[test]
