"""Splits, labelled draws, folds and normalisation, against what the suite promises."""

from itertools import product

import numpy as np
import pytest

from zoo.bench.suite import Suite
from zoo.kinds.base import Data
from zoo.kinds.samples import FOLDS, Protocol
from zoo.task import Domain

SIZES = {"a": 20, "b": 15, "c": 11}
CLASSES = ["0", "1", "2"]


def raw(name, shift=0.0):
    """Rows as in a file: sorted by class; the first column numbers them, the last is constant."""
    y = np.repeat(np.arange(3), SIZES[name])
    X = np.random.default_rng(len(y)).normal(shift, 1, size=(len(y), 5))
    X[:, 0], X[:, -1] = 1 + np.arange(len(y)), 7.0
    return X.astype(np.float32), y


def protocol(change=None, **keys):
    domains = {name: Domain.build(name, *raw(name), CLASSES) for name in SIZES} | (change or {})
    return Protocol(Suite(name="s", dataset="d", net="mlp", **keys), Data(domains, CLASSES))


def numbers(X):
    """The file rows that samples stood in, by their first column (only without normalisation)."""
    return X[:, 0].astype(int) - 1


@pytest.mark.parametrize("seed", [0, 1])
def test_holdout_is_stratified_and_disjoint(seed):
    p = protocol().pair("a", "b", seed)
    train, held, adapt, test = (numbers(X) for X in (p.fields["Xs"], p.validation, p.fields["Xt"], p.test))
    for left, right, name in ((train, held, "a"), (adapt, test, "b")):
        assert sorted([*left, *right]) == list(range(3 * SIZES[name]))
        labels = raw(name)[1]
        assert np.bincount(labels[right]).tolist() == [round(0.2 * SIZES[name])] * 3
    np.testing.assert_array_equal(raw("a")[1][train], p.fields["ys"])
    np.testing.assert_array_equal(raw("b")[1][test], p.y_test)


def test_rows_map_back_to_the_file():
    p = protocol(labels=2).pair("a", "b", 0)
    np.testing.assert_array_equal(p.rows["test"], numbers(p.test))
    np.testing.assert_array_equal(p.rows["adapt"], numbers(p.fields["Xt"]))
    np.testing.assert_array_equal(p.rows["validation"], numbers(p.validation))


def test_rows_tell_nothing_of_labels():
    """Files are sorted by class; what is handed out is not, split by split."""
    p = protocol(labels=3).pair("a", "b", 0)
    for X, name in ((p.fields["Xs"], "a"), (p.fields["Xt"], "b"), (p.test, "b"), (p.fields["Xl"], "b")):
        order = numbers(X)
        assert (np.diff(order) < 0).any()
        assert (np.diff(raw(name)[1][order]) < 0).any()


def test_the_permutation_follows_the_content_labels_included():
    X, y = raw("a")
    one = Domain.build("a", X, y, CLASSES)
    np.testing.assert_array_equal(Domain.build("other name", X, y, CLASSES).rows, one.rows)
    moved = y.copy()
    moved[[0, -1]] = moved[[-1, 0]]
    touched = X.copy()
    touched[3, 2] += 1e-3
    for other in (Domain.build("a", X, moved, CLASSES), Domain.build("a", touched, y, CLASSES)):
        assert other.content != one.content
        assert not np.array_equal(other.rows, one.rows)
    assert Domain.build("a", X, y, ["0", "1", "3"]).content != one.content
    np.testing.assert_array_equal(X[one.rows], one.X)
    np.testing.assert_array_equal(y[one.rows], one.y)


def test_a_domain_is_split_alike_in_every_pair_and_otherwise_by_every_seed():
    p = protocol()
    target = [numbers(p.pair(s, "b", 0).test) for s in ("a", "c", None, "a+c")]
    assert all(np.array_equal(t, target[0]) for t in target)
    source = [numbers(p.pair("a", t, 0).fields["Xs"]) for t in ("b", "c")]
    np.testing.assert_array_equal(*source)
    # The same rows are held out whether a domain is source or target.
    assert set(numbers(p.pair("b", "a", 0).validation)) == set(target[0])
    seeds = [tuple(numbers(p.pair("a", "b", seed).test)) for seed in range(5)]
    assert len(set(seeds)) == 5
    # What a method needs, its learner and the budget are not asked, nor is the order of questions.
    again = protocol(base="1nn", steps=3)
    again.pair("c", "b", 3)
    np.testing.assert_array_equal(numbers(again.pair("a", "b", 0).test), target[0])


def test_several_sources_are_told_apart():
    p = protocol().pair("a+c", "b", 0)
    one, other = (protocol().pair(s, "b", 0) for s in "ac")
    np.testing.assert_array_equal(p.fields["Xs"], np.concatenate([one.fields["Xs"], other.fields["Xs"]]))
    np.testing.assert_array_equal(p.fields["ds"], np.repeat([0, 1], [len(one.fields["Xs"]), len(other.fields["Xs"])]))
    np.testing.assert_array_equal(
        p.rows["validation"], np.concatenate([one.rows["validation"], other.rows["validation"]])
    )


@pytest.mark.parametrize("how", ["holdout", "transductive"])
def test_k_labels_are_taken_out_of_xt_and_the_test(how):
    plain, p = protocol(protocol=how).pair("a", "b", 0), protocol(protocol=how, labels=3).pair("a", "b", 0)
    labelled, adapt, test = (numbers(X) for X in (p.fields["Xl"], p.fields["Xt"], p.test))
    assert np.bincount(p.fields["yl"]).tolist() == [3, 3, 3]
    np.testing.assert_array_equal(raw("b")[1][labelled], p.fields["yl"])
    assert not set(labelled) & (set(adapt) | set(test))
    assert set(labelled) | set(adapt) == set(numbers(plain.fields["Xt"]))
    if how == "holdout":
        assert set(test) == set(numbers(plain.test))  # the same test with and without labels
    else:
        np.testing.assert_array_equal(test, adapt)
    # The oracle keeps the whole adapt part, the K included; no one else has its labels.
    np.testing.assert_array_equal(numbers(p.oracle["Xt"]), numbers(plain.fields["Xt"]))
    np.testing.assert_array_equal(raw("b")[1][numbers(p.oracle["Xt"])], p.oracle["yt"])
    assert "yt" not in p.fields
    assert set(numbers(protocol(protocol=how, labels=3).pair("a", "b", 1).fields["Xl"])) != set(labelled)
    assert set(numbers(protocol(protocol=how, labels=3).pair("c", "b", 0).fields["Xl"])) == set(labelled)


def test_more_labels_keep_those_of_fewer():
    few, many = (set(numbers(protocol(labels=k).pair("a", "b", 0).fields["Xl"])) for k in (1, 4))
    assert few < many


def test_all_labels_leave_xt_and_the_test_alone():
    plain, p = protocol().pair("a", "b", 0), protocol(labels="all").pair("a", "b", 0)
    for one, other in (
        (p.fields["Xt"], plain.fields["Xt"]),
        (p.fields["Xl"], plain.fields["Xt"]),
        (p.test, plain.test),
    ):
        np.testing.assert_array_equal(one, other)


def test_transductive_is_everything_and_its_oracle_is_judged_out_of_fold():
    p = protocol(protocol="transductive")
    pair = p.pair("a", "b", 0)
    for X, name in ((pair.fields["Xs"], "a"), (pair.fields["Xt"], "b"), (pair.test, "b")):
        assert sorted(numbers(X)) == list(range(3 * SIZES[name]))
    assert len(pair.validation) == 0
    folds = pair.oracle_folds
    assert len(folds) == len(pair.oracle["Xt"])
    assert np.ptp(np.bincount(folds, minlength=FOLDS)) <= 1
    for c in range(3):  # a class is spread over the folds
        assert np.ptp(np.bincount(folds[pair.oracle["yt"] == c], minlength=FOLDS)) <= 1
    for source, seed in product(("a", "c", None), range(2)):  # fixed by data set and domain
        np.testing.assert_array_equal(p.pair(source, "b", seed).oracle_folds, folds)
    # With K labels the test is a part of what is folded.
    pair = protocol(protocol="transductive", labels=2).pair("a", "b", 0)
    np.testing.assert_array_equal(pair.oracle["Xt"][pair.oracle_tested], pair.test)
    np.testing.assert_array_equal(pair.oracle["yt"][pair.oracle_tested], pair.y_test)
    assert protocol().pair("a", "b", 0).oracle_folds is None


# Normalisation --------------------------------------------------------------------------------------------------------


def outliers(name, rows, value=1e6):
    """The domain with some rows (of the file) far away, in the places of the plain domain."""
    plain = Domain.build(name, *raw(name), CLASSES)
    X = plain.X.copy()
    X[np.isin(plain.rows, rows), 1] = value
    return {name: Domain(name, X, plain.y, plain.rows, plain.secret)}


@pytest.mark.parametrize("by", ["domain", "source"])
def test_statistics_are_of_the_training_parts_only(by):
    keys = {"normalise": ("zscore",), "normalise_by": by}
    plain = protocol().pair("a", "b", 0)
    p = protocol(**keys).pair("a", "b", 0)
    train, adapt = plain.fields["Xs"].astype(float), plain.fields["Xt"].astype(float)
    statistics = train if by == "source" else adapt
    scale = np.where(statistics.std(0) > 0, statistics.std(0), 1)
    np.testing.assert_allclose(p.test, (plain.test - statistics.mean(0)) / scale, atol=1e-5)
    np.testing.assert_allclose(p.fields["Xs"].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(p.fields["Xs"][:, :-1].std(0), 1, atol=1e-4)
    # Test rows of the target and held-out rows of the source move nothing that anyone is fitted on.
    far = outliers("b", plain.rows["test"]) | outliers("a", plain.rows["validation"])
    other = protocol(far, **keys).pair("a", "b", 0)
    for name in p.fields:
        np.testing.assert_array_equal(other.fields[name], p.fields[name])
    assert not np.array_equal(other.test, p.test)
    # The statistics do see the adapt part.
    moved = protocol(outliers("b", plain.rows["adapt"][:1]), **keys).pair("a", "b", 0)
    assert np.array_equal(moved.test, p.test) == (by == "source")


def test_labelled_rows_share_the_scale_of_the_unlabelled():
    keys = {"normalise": ("zscore",)}
    plain, few = protocol(**keys).pair("a", "b", 0), protocol(**keys, labels=3).pair("a", "b", 0)
    np.testing.assert_array_equal(few.test, plain.test)
    np.testing.assert_array_equal(few.oracle["Xt"], plain.oracle["Xt"])


def test_a_constant_column_becomes_zero():
    p = protocol(normalise=("zscore",)).pair("a", "b", 0)
    for X in (p.fields["Xs"], p.fields["Xt"], p.test, p.validation):
        assert (X[:, -1] == 0).all()


@pytest.mark.parametrize(("how", "order"), [("l1", 1), ("l2", 2)])
def test_row_norms_come_first_and_spare_rows_of_zeros(how, order):
    plain = Domain.build("b", *raw("b"), CLASSES)
    X = plain.X.copy()
    X[0] = 0
    empty = {"b": Domain("b", X, plain.y, plain.rows, plain.secret)}
    p = protocol(empty, normalise=(how,)).pair("a", "b", 0)
    norms = np.concatenate([np.linalg.norm(Z, ord=order, axis=1) for Z in (p.fields["Xt"], p.test)])
    assert np.sort(norms)[0] == 0
    np.testing.assert_allclose(np.sort(norms)[1:], 1, rtol=1e-5)
    both = protocol(normalise=(how, "zscore")).pair("a", "b", 0)
    np.testing.assert_allclose(both.fields["Xt"].mean(0), 0, atol=1e-5)


def test_images_are_normalised_pixel_by_pixel():
    y = np.repeat(np.arange(3), 10)
    domains = {
        name: Domain.build(name, np.random.default_rng(i).random((30, 1, 4, 4), dtype=np.float32), y, CLASSES)
        for i, name in enumerate("ab")
    }
    p = protocol(domains, normalise=("zscore",)).pair("a", "b", 0)
    assert p.fields["Xt"].shape == (24, 1, 4, 4)
    np.testing.assert_allclose(p.fields["Xt"].mean(0), 0, atol=1e-5)
