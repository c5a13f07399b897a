"""A table's columns, notes and caption, against expectations worked out by hand."""

import re

import numpy as np
import pytest

from tests.test_report import A, B, cells, note, row, rows, run, shown
from zoo.errors import BadInput
from zoo.report import table

# -- columns


def test_average_over_common_pairs_with_the_deviation_of_the_seeds_averages():
    first, second = np.array([0.50, 0.60]), np.array([0.80, 0.60])
    t = table.build(run(cells("kmm", list(first)), cells("kmm", list(second), pair=B)))
    average = row(t, "kmm")["average"]
    assert average.value == pytest.approx(np.mean([first, second]))
    assert average.std == pytest.approx(np.std((first + second) / 2, ddof=1))
    assert shown(average) == "62.5 ± 3.5"


def test_incomplete_averages_show_their_pairs_and_are_not_ranked():
    t = table.build(
        run(
            cells("kmm", [0.5, 0.6]),
            cells("kmm", [0.9, 0.9], pair=B),
            cells("coral", [0.7, 0.7]),
            cells("coral", [0.9, "failed"], pair=B),
            cells("dan", ["oom", "oom"], learner="cnn"),
            cells("dan", ["oom", "oom"], learner="cnn", pair=B),
            cells("source_only", [0.4, 0.4], setting="none"),
            cells("source_only", [0.6, 0.6], setting="none", pair=B),
        )
    )
    assert shown(row(t, "kmm")["average"]) == "55.0 ± 7.1 (1/2 pairs)"
    assert shown(row(t, "coral")["average"]) == "70.0 ± 0.0 (1/2 pairs)"
    assert shown(row(t, "dan", "cnn")["average"]) == "–"  # finished nothing: has none, and takes nobody else's away
    assert shown(row(t, "source_only")["average"]) == "50.0 ± 0.0"  # another setting is not affected
    assert {c["average"].mark for c in (row(t, "kmm"), row(t, "coral"))} == {""}
    assert (row(t, "coral")[A].mark, row(t, "kmm")[A].mark) == ("best", "second")
    assert {c[B].mark for c in (row(t, "kmm"), row(t, "coral"))} == {""}  # a finished one alone is not ranked
    assert note(t, "average with a count of pairs") is not None


def test_negative_transfer_compares_with_the_reference_of_the_same_learner():
    t = table.build(
        run(
            *(cells("source_only", [0.5, 0.5], setting="none", pair=p) for p in (A, B)),
            *(cells("source_only", [0.8, 0.8], setting="none", learner="cnn", pair=p) for p in (A, B)),
            cells("kmm", [0.4, 0.6]),
            cells("kmm", [0.4, 0.5], pair=B),  # as good, worse
            cells("dann", [0.7, 0.7], learner="cnn"),
            cells("dann", [0.75, 0.8], learner="cnn", pair=B),
            cells("coral", [0.4, 0.4]),
            cells("coral", ["failed", "failed"], pair=B),
            cells("label_propagation", [0.6, 0.6], learner="own"),
            cells("dan", [0.7, 0.7], learner="lenet"),
            cells("target_only", [0.1, 0.1], setting="oracle"),
        )
    )
    column = {(r.label, r.learner): shown(row(t, r.label, r.learner)["negative_transfer"]) for r in rows(t)}
    assert column == {
        ("source_only", "logistic"): "–", ("source_only", "cnn"): "–", ("kmm", "logistic"): "1/2",
        ("dann", "cnn"): "2/2", ("coral", "logistic"): "1/1", ("label_propagation", "own"): "0/1",
        ("dan", "lenet"): "–", ("target_only", "logistic"): "–",
    }  # fmt: skip


def test_time_and_memory_and_no_cost():
    first = cells("kmm", [0.5], fit_s=2.0, shared_s=1.0, peak_rss_mb=410.4)
    second = cells("kmm", [0.5, 0.6, 0.7], fit_s=4.0, shared_s=None, peak_rss_mb=None)[1:2]
    second += cells("kmm", [0.5, 0.6], pair=B, fit_s=3.0, shared_s=0.5, peak_rss_mb=200.0)[1:]
    third = cells("kmm", ["failed"], pair=B, fit_s=99.0, peak_rss_mb=999.0)
    t = table.build(run(first, second, third))
    assert row(t, "kmm")["time_s"].text == "3.50"
    assert (row(t, "kmm")["memory_mb"].text, row(t, "kmm")["memory_mb"].value) == ("410", 410.4)
    without = table.build(run(first, second, third), cost=False)
    assert [c.key for c in without.columns] == [A, B, "average", "negative_transfer"]
    assert not any("time" in n for n in without.notes)


def test_best_and_second_within_a_setting_with_ties():
    values = {"kmm": 0.801, "coral": 0.8011, "label_propagation": 0.75, "dan": 0.7}
    t = table.build(
        run(
            *(cells(m, [v, v]) for m, v in values.items()),
            cells("dummy", [0.95, 0.95], setting="none"),
            cells("source_only", [0.9, 0.9], setting="none"),
            cells("target_only", [0.99, 0.99], setting="oracle"),
            cells("target_only", [0.98, 0.98], setting="oracle", learner="cnn"),
            cells("labelled_only", [0.6, 0.6], setting="few-shot"),
        )
    )
    marks = {(r.label, r.learner): row(t, r.label, r.learner)[A].mark for r in rows(t)}
    assert {k for k, mark in marks.items() if mark == "best"} == {("kmm", "logistic"), ("coral", "logistic")}
    assert {k for k, mark in marks.items() if mark == "second"} == {("label_propagation", "logistic")}


def test_nll_has_three_decimals_and_less_is_better():
    a = cells("kmm", [0.5, 0.5], metrics={"accuracy": 0.5, "nll": 0.7})
    b = cells("coral", [0.5, 0.5], metrics={"accuracy": 0.5, "nll": 1.23456})
    c = cells("dan", [0.5, 0.5], metrics={"accuracy": 0.5, "nll": None})
    d = cells("dann", [0.5, 0.5], metrics={"accuracy": 0.5, "nll": float("inf")})
    s = cells("source_only", [0.5, 0.5], setting="none", metrics={"accuracy": 0.5, "nll": 1.0})
    t = table.build(run(a, b, c, d, s), metric="nll")
    assert shown(row(t, "coral")[A]) == "1.235 ± 0.000"
    assert (row(t, "kmm")[A].mark, row(t, "coral")[A].mark) == ("best", "second")
    assert shown(row(t, "dan")[A]) == "–"
    assert shown(row(t, "dann")[A]) == "–"
    assert [row(t, m)["negative_transfer"].text for m in ("kmm", "coral")] == ["0/1", "1/1"]
    assert "nll, n = 2 seeds" in t.caption


def test_unknown_metric_names_the_known_ones():
    content = run(cells("kmm", [0.5, 0.5], metrics={"accuracy": 0.5, "nll": 1.0}))
    with pytest.raises(BadInput, match=r"'speed'.*accuracy, nll"):
        table.build(content, metric="speed")
    with pytest.raises(BadInput, match="unknown format 'docx'"):
        table.render(table.build(content), "docx")


# -- notes and caption


def test_unsupported_methods_are_lines_grouped_by_reason_and_no_rows():
    old = cells("coral", ["unsupported"], code="c0")
    content = run(cells("kmm", [0.5, 0.5]), cells("dan", ["unsupported", "unsupported"], learner="cnn"), old)
    content.meta["unsupported"] = [
        {"label": "tent", "learner": "cnn", "reason": "needs\nmodel"},
        {"label": "t3a", "learner": None, "reason": "needs model"},
        {"label": "tent", "learner": "mlp", "reason": "needs model"},
    ]
    t = table.build(content)
    assert [r.label for r in rows(t)] == ["kmm"]
    assert [n for n in t.notes if n.startswith("unsupported")] == [
        "unsupported: t3a, tent (cnn, mlp): needs model",
        "unsupported: dan (cnn): unsupported because",
    ]


def test_cells_at_chance_are_flagged():
    t = table.build(
        run(
            cells("dummy", [0.12, 0.12], setting="none"),
            cells("dummy", [0.05, 0.05], setting="none", pair=B),
            cells("kmm", [0.12, 0.12]),
            cells("kmm", [0.5, 0.5], pair=B),
            cells("coral", [0.13, 0.13]),
            cells("coral", [0.11, 0.11], pair=B),  # above both levels
            cells("dann", [0.1, 0.1], learner="cnn"),
            cells("dann", [0.08, 0.12], learner="cnn", pair=B),
        )
    )
    assert note(t, "at chance") == (
        "at chance (no better than dummy or 1/classes): kmm (logistic) on typeface→optdigits; dann (cnn) on all pairs"
    )


def test_rows_identical_to_source_only_are_flagged():
    def same(value, sha):
        return {"metrics": {"accuracy": value, "nll": 1.0}, "predictions_sha256": sha}

    t = table.build(
        run(
            cells("source_only", [0.5, 0.6], setting="none", **same(0.5, "s")),
            cells("source_only", [0.7, 0.7], setting="none", learner="cnn", **same(0.7, "n")),
            cells("kmm", [0, 0], **same(0.5, "other")),  # all metrics alike
            cells("coral", [0, 0], metrics={"accuracy": 0.5, "nll": None}, predictions_sha256="s"),
            cells("dan", [0, 0], metrics={"accuracy": 0.5, "nll": 2.0}),
            cells("dann", [0, 0], learner="cnn", **same(0.5, "s")),  # like that of another learner
            cells("label_propagation", [0, "failed"], **same(0.5, "s")),
        )
    )
    assert note(t, "identical") == (
        "identical to source_only of the same learner: kmm (logistic), coral (logistic), label_propagation (logistic)"
    )


def test_one_label_in_two_settings_is_told_apart_in_notes():
    t = table.build(
        run(
            cells("dann", ["oom"], learner="cnn"),
            cells("dann", [0.8, 0.8], learner="cnn", setting="semi-supervised"),
        )
    )
    assert note(t, "oom").startswith("oom: dann (cnn, unsupervised) on ")
    assert row(t, "dann", "cnn", "semi-supervised")[A].text == "80.0"


def test_caption_says_what_the_numbers_depend_on():
    content = run(
        cells("dan", [0.5, 0.5], learner="cnn"), normalise=["l1", "zscore"], normalise_by="source", momentum=0.9
    )
    content.meta.update({"device": "cuda:3", "git": "abcdef", "command": "zoo run /secret"})
    said = table.build(content).caption
    for part in (
        "quickstart: accuracy in %, n = 2 seeds", "digits (optdigits 100, typeface 100; 10 classes)", "holdout",
        "l1, zscore (statistics of the source)", "logistic on raw features", "cnn, 300 steps × 64 samples",
        "adam at 0.002", "cosine schedule", "momentum 0.9", "3 a class", "no search", "zoo 0.1.0", "torch 2.9",
        "scikit-learn 1.7", "numpy 2.3",
    ):  # fmt: skip
        assert part in said
    assert not re.search("cuda|abcdef|secret|weight decay|precision", said)
    alone = table.build(run(cells("kmm", [0.5, 0.5]), protocol="transductive", labels=0)).caption
    assert "transductive" in alone
    assert not re.search("cnn|steps|a class", alone)  # no row depends on the network


def test_many_pairs_get_short_heads_explained_in_the_caption():
    names = ["amazon", "caltech", "dslr", "webcam"]
    pairs = [f"{a}:{b}" for a in names for b in names if a != b]
    t = table.build(run(*(cells("kmm", [0.5, 0.5], pair=p) for p in pairs), pairs=pairs))
    assert [c.head for c in t.columns[:4]] == ["A→C", "A→D", "A→W", "C→A"]
    assert t.columns[0].key == "amazon:caltech"
    assert "A amazon, C caltech, D dslr, W webcam" in t.caption
    several = ["mnist+mnistm:svhn", "svhn+synthetic:mnistm", "weights:svhn"]
    t = table.build(run(*(cells("kmm", [0.5, 0.5], pair=p) for p in several), pairs=several))
    assert [c.head for c in t.columns[:3]] == ["Mnist+Mnistm→Sv", "Sv+Sy→Mnistm", "W→Sv"]
