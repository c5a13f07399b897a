"""The protocol `folds` on a written pair of databases: what a method gets, when, and how it is scored."""

import json

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from zoo.bench import plan, suite
from zoo.facts import Facts
from zoo.kinds.facts import Folds, merged

LEARNS = '''\
import torch

from zoo.adapters.base import Adapter


class {cls}(Adapter):
    """Atoms are true whose first argument has many facts."""

    needs = {needs}
    family = "relational"

    def fit(self, task):
        {fit}
        mapping = {{"source": "a", "target": "b", "inverted": False, "sign": -1, "score": 0.5}}
        tree = {{"test": "friend(A, B)", "yes": {{"value": 1.0, "n": 3}}, "no": {{"value": -1.0, "n": 4}}}}
        self.explanation_ = {{"mapping": [mapping], "trees": [tree]}}
        return self

    def predict(self, X, A=None):
        count = torch.bincount(torch.from_numpy(A.relations["friend"][:, 0]).long(), minlength=len(A.constants))
        p = (1.0 + count[X[:, 0]].double()) / (2.0 + count.max())
        return torch.stack([1 - p, p], 1)
'''


def write_database(root, folds, people, relation, target, seed):
    """Random friends; whoever has more friends is more often liked by the next one."""
    rng = np.random.default_rng(seed)
    for i in range(folds):
        fold = root / f"fold{i + 1}"
        fold.mkdir(parents=True)
        names = [f"{relation}{i}x{j}" for j in range(people)]
        friends = rng.random((people, people)) < np.linspace(0.05, 0.6, people)[:, None]
        true = rng.random((people, people)) < 0.1 + 0.6 * friends.mean(1, keepdims=True)
        rows = [(relation, a, b) for a in range(people) for b in range(people) if friends[a, b]]
        (fold / "facts.txt").write_text("".join(f"{p}({names[a]},{names[b]}).\n" for p, a, b in rows))
        for kind, which in (("pos", true), ("neg", ~true)):
            pairs = [(a, b) for a in range(people) for b in range(people) if a != b and which[a, b]]
            (fold / f"{kind}.txt").write_text("".join(f"{target}({names[a]},{names[b]}).\n" for a, b in pairs))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("facts")
    write_database(root / "old", 2, 9, "parent", "loves", 0)
    write_database(root / "new", 3, 10, "friend", "likes", 1)
    (root / "mine.yaml").write_text(
        "data: {format: facts, domains: {old: old, new: new}, target: {old: loves, new: likes}}\n"
        "pairs: ['old:new']\nseeds: 2\nreference: friends\n"
    )
    return root


@pytest.fixture
def plugin(tmp_path):
    def write(name="friends", needs='{"Ft", "Xl", "yl"}', fit="pass"):
        path = tmp_path / f"{name}.py"
        path.write_text(LEARNS.format(cls=name.title(), needs=needs, fit=fit))
        return path

    return write


def loaded(root, **overrides):
    found = suite.load(str(root / "mine.yaml"), overrides)
    return Folds(found, found.kind.load(found, plan.parse_pairs(found), None))


def test_facts_are_run_in_folds_by_default(root):
    found = suite.load(str(root / "mine.yaml"), {})
    assert (found.protocol, found.reference) == ("folds", "friends")


def test_each_fold_is_trained_on_once_and_the_others_are_tested_on(root):
    folds = loaded(root)
    pair, database = folds.pair("old", "new", 0), folds.data.domains["new"]
    assert pair.n_rounds(False) == 3
    for i, fold in enumerate(database.folds):
        now = pair.round(i, False)
        assert now.fields["Ft"] is fold.facts
        assert list(now.sets) == [f"test {f.name}" for f in database.folds if f is not fold]
        assert all(now.context[f"test {f.name}"] is f.facts for f in database.folds if f is not fold)
    assert len(pair.y_test) == 2 * sum(len(f.y) for f in database.folds)


@pytest.mark.parametrize(("examples", "ratio"), [(3, 2), (0, 1)])
def test_training_atoms_are_drawn_by_the_seed_and_the_stated_ratio(root, examples, ratio):
    folds = loaded(root, examples=examples, negative_ratio=ratio)
    seen = []
    for seed in (0, 1, 0):
        fields = folds.pair("old", "new", seed).round(0, False).fields
        positives = examples or int(folds.data.domains["new"].folds[0].y.sum())
        assert (fields["yl"].sum(), len(fields["yl"])) == (positives, (1 + ratio) * positives)
        seen.append(fields["Xl"].tolist())
        folds = loaded(root, examples=examples, negative_ratio=ratio)
    assert seen[0] == seen[2] != seen[1]


def test_the_target_is_the_same_whatever_the_source(root):
    folds = loaded(root, examples=3)
    alone, paired = (folds.pair(source, "new", 0).round(1, False).fields for source in (None, "old"))
    assert np.array_equal(alone["Xl"], paired["Xl"])
    assert not {"Fs", "Xs", "ys"} & set(alone)


def test_the_source_is_all_its_folds(root):
    folds = loaded(root, examples=3)
    fields, old = folds.pair("old", "new", 0).round(0, False).fields, folds.data.domains["old"]
    assert fields["ys"].sum() == sum(fold.y.sum() for fold in old.folds)  # examples: counts the target's
    assert len(fields["Fs"].relations["parent"]) == sum(len(f.facts.relations["parent"]) for f in old.folds)


def test_merging_folds_keeps_each_fact_once():
    one = Facts("t", {"p": np.array([[0, 1], [1, 2]], np.int32)}, {"p": ("x", "x"), "t": ("x",)}, ("a", "b", "c"))
    other = Facts("t", {"p": np.array([[1, 2], [2, 0]], np.int32)}, one.types, one.constants)
    assert merged([one, other]).relations["p"].tolist() == [[0, 1], [1, 2], [2, 0]]


def test_metrics_are_those_of_each_test_fold_averaged(root, plugin, zoo, tmp_path):
    done = zoo(
        "run", root / "mine.yaml", "--plugin", plugin(), "--methods", "friends", "--out", tmp_path / "r", "--json"
    )
    assert done.code == 0, done.err
    records = [json.loads(line) for f in (tmp_path / "r/records").glob("*") for line in f.read_text().splitlines()]
    assert {(r["source"], r["setting"], r["learner"]) for r in records} == {(None, "few-shot", "own")}
    folds = loaded(root).data.domains["new"].folds
    roc, pr, ll = [], [], []
    for i in range(3):
        for j in (j for j in range(3) if j != i):
            A, X, y = folds[j].facts, folds[j].X, folds[j].y
            count = np.bincount(A.relations["friend"][:, 0], minlength=len(A.constants))
            p = (1 + count[X[:, 0]]) / (2 + count.max())
            roc.append(roc_auc_score(y, p))
            pr.append(average_precision_score(y, p))
            ll.append(np.log(np.where(y == 1, p, 1 - p)).mean())
    for r in records:
        assert r["n_test"] == 2 * sum(len(f.y) for f in folds)
        assert r["metrics"]["auroc"] == pytest.approx(np.mean(roc))
        assert r["metrics"]["auprc"] == pytest.approx(np.mean(pr))
        assert r["metrics"]["cll"] == pytest.approx(np.mean(ll))
    table = zoo("table", tmp_path / "r").out
    assert table.startswith("mine: auroc in %")
    assert "new likes" in table
    assert "all true atoms of the fold and 2 false ones for each" in table


def test_a_method_sees_one_fold_and_the_labels_drawn_from_it_only(root, plugin, zoo, tmp_path):
    """What the worker's process holds while it fits, looked for with the garbage collector."""
    look = """
        import gc
        from zoo.facts import Facts
        held = {id(o): o for o in gc.get_objects() if isinstance(o, Facts)}
        mine = [f for f in held.values() if f.target == "likes"]
        assert len(mine) == 1, len(mine)
        assert int(task.yl.sum()) == 3 and len(task.yl) == 9
        assert not any(task.has(k) for k in ("yt", "Xt", "Xs"))"""
    path = plugin("looks", fit=look.strip())
    args = ("--methods", "looks", "--examples", 3, "--out", tmp_path / "r", "--executor", "processes")
    done = zoo("run", root / "mine.yaml", "--plugin", path, "--plugin", plugin(), *args)
    assert done.code == 0, done.err + done.out


def test_reading_the_source_without_declaring_it_is_a_leak(root, plugin, zoo, tmp_path):
    path = plugin("peeks", fit="task.Fs")
    done = zoo(
        "run", root / "mine.yaml", "--plugin", path, "--plugin", plugin(), "--methods", "peeks", "--out", tmp_path / "r"
    )
    assert done.code == 1
    assert "task.Fs was read, but the adapter's needs do not name 'Fs'" in done.out


def test_methods_of_samples_are_unsupported_and_say_so(root, plugin, zoo, tmp_path):
    args = ("--plugin", plugin(), "--methods", "coral,dann", "--out", tmp_path / "r")
    done = zoo("run", root / "mine.yaml", *args)
    assert done.code == 0, done.err
    assert (
        "unsupported: coral (own), dann (own): learns from samples with features, and this suite has facts" in done.out
    )


def test_a_cell_explains_itself(root, plugin, zoo, tmp_path):
    zoo("run", root / "mine.yaml", "--plugin", plugin(), "--methods", "friends", "--out", tmp_path / "r")
    listed = zoo("explain", "--run", tmp_path / "r", "--json").json
    assert len(listed) == 2
    shown = zoo("explain", listed[0]["cell"], "--run", tmp_path / "r", "--fold", 3)
    assert "training fold 3 of 3" in shown.out
    assert "a                        b              opposite    0.5" in shown.out
    assert "friend(A, B)\n    yes  +1.000  (3 atoms)" in shown.out
    assert zoo("explain", listed[0]["cell"], "--run", tmp_path / "r", "--fold", 4).code == 2
    assert zoo("explain", "nothing", "--run", tmp_path / "r").code == 2
    assert zoo("explain", listed[0]["cell"], "--run", tmp_path / "r", "--out", tmp_path / "trees.png").code == 0
    assert (tmp_path / "trees.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--examples", 99], "examples: 99: own: domain new: fold fold"),
        (["--labels", 3], "labels: 3: of facts say examples: N"),
        (["--protocol", "holdout"], "protocol: holdout: own holds facts, which need protocol: folds"),
        (["--pairs", "old+new:old"], "the target is also a source"),
    ],
)
def test_bad_input_is_one_line(root, plugin, zoo, tmp_path, args, says):
    done = zoo("run", root / "mine.yaml", "--plugin", plugin(), "--methods", "friends", "--out", tmp_path / "r", *args)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert says in done.err
    assert not (tmp_path / "r").exists()


def test_examples_of_samples_are_refused(zoo, suite_file, tmp_path):
    done = zoo("run", suite_file, "--examples", 5, "--out", tmp_path / "r")
    assert done.code == 2
    assert "only facts are counted in examples; say labels: K" in done.err


def test_the_ids_of_other_cells_do_not_hang_on_the_keys_of_facts(suite_file):
    found = suite.load(str(suite_file), {})
    assert not {"examples", "negative_ratio"} & set(found.cell_keys(net=True, base=True))
