"""Several sources: what says which they are, the batches that hold them all, and pairs in one line."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.test_label_sets import loaded, records, written  # noqa: F401
from zoo import train
from zoo.bench import plan
from zoo.bench import suite as suites
from zoo.errors import BadInput, LeakError, Unsupported
from zoo.feed import Feed
from zoo.ops.sources import parts
from zoo.records import read
from zoo.report import compare, table
from zoo.task import Task

TELLER = """
import torch
from zoo.adapters.base import Adapter


class Teller(Adapter):
    \"\"\"Says how many source samples each domain has, and where each domain's mean lies.\"\"\"

    needs = {"Xs", "ys", "ds", "Xt"}
    family = "instance"
    learner = "base"

    def fit(self, task):
        self.model_ = task.learner.fit(task.Xs, task.ys, task.n_classes)
        counts = torch.bincount(task.ds)
        self.certificate_ = {f"n{i}": float(n) for i, n in enumerate(counts)}
        self.certificate_ |= {f"mean{i}": float(task.Xs[task.ds == i].mean()) for i in range(task.n_sources)}
        return self
"""


# The field ------------------------------------------------------------------------------------------------------------


def test_a_task_by_hand_numbers_its_sources():
    X, y = np.arange(12.0).reshape(6, 2), [0, 1, 0, 1, 0, 1]
    made = Task.from_arrays(X, y, X, ds=["web", "web", "photo", "photo", "web", "art"])
    assert made.ds.tolist() == [2, 2, 1, 1, 2, 0]
    assert made.n_sources == 3
    one = Task.from_arrays(X, y, X)
    assert one.ds.tolist() == [0] * 6
    assert one.n_sources == 1
    with pytest.raises(BadInput, match="ds has 2 labels, but there are 6 samples"):
        Task.from_arrays(X, y, X, ds=[0, 1])


def test_who_does_not_need_it_learns_no_number_of_sources():
    fields = {"Xs": torch.zeros(2, 1), "ds": torch.tensor([0, 1])}
    task = Task(fields, needs={"Xs"}, learner=None, n_classes=2, n_sources=2)
    for name in ("ds", "n_sources"):
        with pytest.raises(LeakError):
            getattr(task, name)
    assert Task(fields, needs={"Xs", "ds"}, learner=None, n_classes=2).n_sources == 2


@pytest.mark.parametrize("executor", ["local", "processes"])
def test_the_field_reaches_a_fit_with_its_rows(zoo, written, tmp_path, executor):  # noqa: F811
    plugin = tmp_path / "teller.py"
    plugin.write_text(TELLER)
    suite = written("pairs: ['a+b:c', 'b:c']\n", a="ABCD", b="ABC", c="ABC")
    asked = ("--methods", "teller", "--plugin", plugin, "--executor", executor, "--out", tmp_path / "run")
    done = zoo("run", suite, *asked)
    assert done.code == 0, done.err
    found, (_, _, drawn) = records(tmp_path / "run"), loaded(suite)
    for source in ("a+b", "b"):
        pair, said = drawn.pair(source, "c", 0), found["teller", source, "c"]["certificate"]
        for i, name in enumerate(source.split("+")):
            own = drawn.pair(name, "c", 0).fields["Xs"]
            assert said[f"n{i}"] == len(own) == (pair.fields["ds"] == i).sum()
            assert said[f"mean{i}"] == pytest.approx(own.mean(), abs=1e-5)
        assert f"n{len(source.split('+'))}" not in said


# Batches --------------------------------------------------------------------------------------------------------------


def fed(ds, steps=40, batch_size=10, meta=False):
    n, k = len(ds), int(ds.max()) + 1
    X = torch.arange(n)[:, None].float()
    where = torch.device("meta" if meta else "cpu")
    streams = train.Streams(s=(X.to(where), ds.to(where)), t=X.to(where), ds=ds.to(where), n_sources=k)
    return Feed(streams, train.Budget(steps=steps, batch_size=batch_size), 0, where)


def test_batches_hold_equal_parts_of_every_source_in_order():
    ds = torch.tensor([0] * 7 + [1] * 100 + [2] * 3)[torch.randperm(110, generator=torch.Generator().manual_seed(1))]
    feed = fed(ds)
    seen = []
    for i in range(40):
        b = feed(i)
        assert b.n_sources == 3
        assert b.ds.tolist() == [0] * 3 + [1] * 3 + [2] * 3
        assert torch.equal(b.ds, ds[b.ids])
        assert torch.equal(b.xs[:, 0], b.ids.float())
        assert parts(b.ids, 3).shape == (3, 3)
        assert len(set(parts(b.ids, 3)[1].tolist())) == 3
        seen.append(b.ids)
    # The large one is gone through once before anything of it comes again: 40 batches of 3 are 120 rows of 100.
    assert len(set(torch.cat([s[3:6] for s in seen])[:100].tolist())) == 100


def test_batches_of_one_source_are_those_of_all_methods():
    ds = torch.zeros(50, dtype=torch.int64)
    plain = train.Streams(s=(torch.arange(50)[:, None].float(), ds))
    other = Feed(plain, train.Budget(steps=40, batch_size=10), 0, torch.device("cpu"))
    assert torch.equal(fed(ds).rows["s"], other.rows["s"])


def test_batches_without_numbers_have_their_shape():
    rows = fed(torch.arange(50) % 3, meta=True).rows["s"]
    assert rows.shape == (40, 9)
    assert rows.is_meta


def test_a_batch_too_small_for_the_sources_is_said():
    with pytest.raises(Unsupported, match="two samples and more of each of 6 sources in a batch, and it has 10"):
        fed(torch.arange(60) % 6)


# Pairs in one line ----------------------------------------------------------------------------------------------------


def test_all_one_is_each_domain_once_the_target(zoo, written):  # noqa: F811
    path = written("pairs: all:one\n", a="AB", b="AB", c="AB")
    assert plan.parse_pairs(suites.load(path, {})) == [("b+c", "a"), ("a+c", "b"), ("a+b", "c")]
    assert plan.parse_pairs(suites.load(path, {"pairs": ("all:one", "a:b")}))[-1] == ("a", "b")
    sets = zoo("run", written(a="AB", b="ABC", c="AB"), "--pairs", "all:one", "--dry-run", "--json").json["label_sets"]
    assert list(sets) == ["b+c:a", "a+c:b", "a+b:c"]


def test_two_domains_have_one_source_each(written):  # noqa: F811
    assert plan.parse_pairs(suites.load(written("pairs: all:one\n", a="AB", b="AB"), {})) == [("b", "a"), ("a", "b")]


@pytest.mark.parametrize("pair", ["all:two", "one:all", "all:a", "a:one"])
def test_bad_forms_of_it_are_one_line(zoo, written, pair):  # noqa: F811
    done = zoo("run", written(a="AB", b="AB"), "--pairs", pair, "--dry-run")
    assert done.code == 2
    assert done.err.strip().count("\n") == 0
    assert "all:one" in done.err
    assert pair in done.err


def test_no_domain_is_twice_a_source(zoo, written):  # noqa: F811
    done = zoo("run", written(a="AB", b="AB"), "--pairs", "a+a:b", "--dry-run")
    assert (done.code, done.err.strip().count("\n")) == (2, 0)
    assert "'a+a:b': a stands twice among the sources" in done.err


# Single sources -------------------------------------------------------------------------------------------------------


@pytest.fixture
def each(zoo, written, tmp_path):  # noqa: F811
    """A run of three domains under ``--sources each``, and its records."""
    suite = written("pairs: all:one\nseeds: 2\nmethods: [source_only, coral, target_only]\n", a="AB", b="AB", c="AB")
    suite.write_text(suite.read_text().replace("methods: [source_only]\nseeds: 1\n", ""))
    rng = np.random.default_rng(0)
    for i, name in enumerate("abc"):  # noisy, so that sources differ
        y = np.repeat([*"AB"], 60)
        X = rng.normal(size=(120, 4)) + 0.7 * i + (y == "A")[:, None] * np.array([1.0, 0.3, 0, 0.5 * i])
        np.savez(tmp_path / f"{name}.npz", X=X, y=y)
    asked = ("run", suite, "--out", tmp_path / "run", "--executor", "local")
    done = zoo(*asked, "--sources", "each")
    assert done.code == 0, done.err
    return asked, read(tmp_path / "run"), done


def test_each_source_is_run_alone_and_its_cells_are_ordinary(zoo, each, tmp_path):
    asked, run, _ = each
    assert run.meta["pairs"] == ["b+c:a", "a+c:b", "a+b:c"]
    coral = {(r["source"], r["target"], r["seed"]): r["cell"] for r in run.records if r["method"] == "coral"}
    assert len(coral) == (3 + 6) * 2
    plain = zoo(*asked[:2], "--out", tmp_path / "plain", "--executor", "local", "--pairs", "b:a", "--methods", "coral")
    assert plain.code == 0, plain.err
    other = {r["cell"] for r in read(tmp_path / "plain").records if r["method"] == "coral"}
    assert other == {coral["b", "a", seed] for seed in (0, 1)}
    # The same folder without the option keeps what it shows, and runs nothing anew.
    again = zoo(*asked)
    assert again.code == 0, again.err
    assert "[mean single]" in again.out
    assert len(read(tmp_path / "run").records) == len(run.records)


def expected(run, method, choose):
    """Accuracies by pair and seed of what `choose` makes of the records of the single sources, in their order."""
    by = {(r["source"], r["target"], r["seed"]): r for r in run.records if r["method"] == method}
    return {
        pair: [choose([by[s, pair[-1], seed] for s in pair[:-2].split("+")]) for seed in (0, 1)]
        for pair in run.meta["pairs"]
    }


def shown(run, select=()):
    found = table.build(run, cost=False, select=select)
    rows = {row.label: row for _, rows in found.groups for row in rows}
    return found, {label: {c.key: x for c, x in zip(found.columns, r.cells, strict=True)} for label, r in rows.items()}


def test_the_best_and_the_mean_single_source_stand_below_their_method(each):
    _, run, done = each
    found, rows = shown(run)
    assert list(rows) == [
        *("source_only", "source_only [best single, info_max]", "source_only [mean single]"),
        *("coral", "coral [best single, info_max]", "coral [mean single]", "target_only"),
    ]
    assert "Single sources: the best chosen by info_max for each pair and seed, and their mean" in found.caption
    assert "coral [best single, info_max]" in done.out
    info = {cell: v.value for (cell, rule), v in run.values.items() if rule == "info_max"}
    for method in ("source_only", "coral"):
        for what, rule in (
            ("best single, info_max", lambda rs: max(rs, key=lambda r: info[r["cell"]])["metrics"]["accuracy"]),
            ("mean single", lambda rs: np.mean([r["metrics"]["accuracy"] for r in rs])),
        ):
            for pair, values in expected(run, method, rule).items():
                cell = rows[f"{method} [{what}]"][pair]
                assert cell.value == pytest.approx(np.mean(values))
                assert cell.std == pytest.approx(np.std(values, ddof=1))
    assert not any(c.ranked for c in rows["coral [mean single]"].values())


def test_the_oracle_is_shown_where_it_is_asked_for_and_not_ranked(zoo, each, tmp_path):
    _, run, _ = each
    found, rows = shown(run, ["info_max", "oracle"])
    assert "the best chosen by info_max, oracle" in found.caption
    for pair, values in expected(run, "coral", lambda rs: max(r["metrics"]["accuracy"] for r in rs)).items():
        assert rows["coral [best single, oracle]"][pair].value == pytest.approx(np.mean(values))
        assert not rows["coral [best single, oracle]"][pair].ranked
    best = [np.mean(v) for v in expected(run, "coral", lambda rs: max(r["metrics"]["accuracy"] for r in rs)).values()]
    assert rows["coral [best single, oracle]"]["average"].value == pytest.approx(np.mean(best))
    # and compared with, on request
    _, compared, _ = compare.gains(run, reference="coral [best single, oracle]")
    gain = {(r.label, r.learner): r for r in compared}["coral", "logistic"]
    own = [np.mean([r["metrics"]["accuracy"] for r in run.records if (r["method"], f"{r['source']}:{r['target']}")
                    == ("coral", pair)]) for pair in run.meta["pairs"]]  # fmt: skip
    assert gain.overall.mean == pytest.approx(np.mean(own) - np.mean(best))
    text = zoo("compare", tmp_path / "run", "--reference", "coral [best single, oracle]").out
    assert "over coral [best single, oracle]" in text
    with pytest.raises(BadInput, match=r"unknown reference 'coral .worst.'"):
        compare.gains(run, reference="coral [worst]")


def test_what_no_validator_judged_and_what_did_not_finish_is_said(each):
    _, run, _ = each
    _, rows = shown(replace(run, values={}))
    assert "coral [mean single]" in rows
    assert not any("best" in label for label in rows)
    lost = next(r for r in run.records if (r["method"], r["source"], r["target"]) == ("coral", "b", "c"))
    gone = {**lost, "status": "timeout", "reason": "too long", "metrics": {}}
    _, rows = shown(replace(run, records=[gone if r is lost else r for r in run.records]))
    assert rows["coral [mean single]"]["a+b:c"].tail.endswith("(n=1)")
    assert rows["coral [best single, info_max]"]["a+b:c"].n == 2


def test_a_method_that_tells_sources_apart_is_not_run_on_one(zoo, written, tmp_path):  # noqa: F811
    plugin = tmp_path / "teller.py"
    plugin.write_text(TELLER)
    suite = written("pairs: ['a+b:c']\nsources: each\n", a="AB", b="AB", c="AB")
    asked = ("--methods", "teller,coral", "--plugin", plugin, "--executor", "local", "--out", tmp_path / "run")
    done = zoo("run", suite, *asked)
    assert done.code == 0, done.err
    there = {(r["method"], r["source"]) for r in read(tmp_path / "run").records}
    assert {s for m, s in there if m == "teller"} == {"a+b"}
    assert {s for m, s in there if m == "coral"} == {"a+b", "a", "b"}
    assert "teller [" not in done.out


def test_sources_is_pooled_or_each(zoo, written):  # noqa: F811
    done = zoo("run", written(a="AB", b="AB"), "--sources", "best", "--dry-run")
    assert (done.code, done.err.strip().count("\n")) == (2, 0)
    assert "'pooled' or 'each'" in done.err


def test_a_run_of_each_source_is_planned_anew_to_be_verified(zoo, each, tmp_path):
    done = zoo("verify", tmp_path / "run", "--cells", "3")
    assert done.code == 0, done.out + done.err
    assert "unchecked" not in done.out


def test_a_batch_too_small_for_the_sources_is_in_the_plan(zoo, written):  # noqa: F811
    suite = written("pairs: ['a+b+c:d', 'a:d']\nbatch_size: 5\n", a="AB", b="AB", c="AB", d="AB")
    found = zoo("run", suite, "--methods", "mdan", "--dry-run", "--json").json["unsupported"]
    why = "needs two samples and more of each of 3 sources in a batch, and batch_size is 5"
    assert [(u["label"], u["pair"], u["reason"]) for u in found] == [("mdan", "a+b+c:d", why)]


def test_an_oracle_has_no_single_sources(zoo, written, tmp_path):  # noqa: F811
    """It learns from the target, though under source features a cell of it hangs on a source."""
    more = "pairs: ['a+b:c']\nsources: each\nfeatures: source\nnet: mlp\nsteps: 3\n"
    suite = written(more, a="AB", b="AB", c="AB")
    done = zoo("run", suite, "--methods", "target_only", "--executor", "local", "--out", tmp_path / "run")
    assert done.code == 0, done.err
    there = {(r["method"], r["source"]) for r in read(tmp_path / "run").records}
    assert {s for m, s in there if m == "target_only"} == {"a+b"}
    assert {s for m, s in there if m == "source_only"} == {"a+b", "a", "b"}
    assert "not judged" not in done.out
    assert "target_only [" not in done.out
