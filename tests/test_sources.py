"""Several sources: what says which they are, the batches that hold them all, and pairs in one line."""

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
