"""Reading records and making tables, against expectations worked out by hand (and numpy for means)."""

import csv
import io
import json
import random
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console

from zoo import records
from zoo.errors import BadInput
from zoo.records.ids import cell_id
from zoo.report import table
from zoo.report.frame import frame

A, B = "typeface:optdigits", "optdigits:typeface"
SUITE = {
    "name": "quickstart", "dataset": "digits", "normalise": [], "normalise_by": "domain", "pairs": [A, B],
    "protocol": "holdout", "base": "logistic", "net": "cnn", "reference": "source_only", "labels": 3,
    "features": "raw", "steps": 300, "batch_size": 64, "learning_rate": 0.002, "optimiser": "adam", "momentum": 0,
    "weight_decay": 0, "schedule": "cosine", "seeds": 2, "trials": 0, "precision": "auto",
}  # fmt: skip
FAMILY = {
    "dummy": "baseline", "source_only": "baseline", "target_only": "baseline", "labelled_only": "baseline",
    "kmm": "instance", "coral": "feature", "dan": "feature", "dann": "feature", "fine_tune": "parameter",
    "label_propagation": "relational",
}  # fmt: skip


def cells(method, accuracies, *, pair=A, setting="unsupervised", learner="logistic", label=None, **more):
    """One record a seed; an accuracy may be a status instead. `accuracies` that are no list: a seedless cell."""
    seeds = enumerate(accuracies) if isinstance(accuracies, list) else [(None, accuracies)]
    source, target = pair.split(":")
    source = None if more.pop("sourceless", False) else source
    made = []
    for seed, value in seeds:
        ok = not isinstance(value, str)
        record = {
            "source": source, "target": target, "data": {n: f"sha-{n}" for n in (source, target) if n},
            "setting": setting, "method": method, "family": FAMILY[method], "learner": learner, "seed": seed,
            "trial": 0, "parameters": {}, "suite": {}, "code": "c1", "status": "ok" if ok else value,
            "reason": "" if ok else f"{value} because", "metrics": {"accuracy": value} if ok else {}, "validators": {},
            "n_test": 360, "fit_s": 1.0, "fit_cpu_s": 1.0, "shared_s": 0.5, "predict_s": 0.1, "peak_rss_mb": 300.0,
            "peak_cuda_mb": None, "certificate": {}, "device": "cpu", "versions": {}, "predictions_sha256": None,
        }  # fmt: skip
        record |= more
        made.append({"cell": cell_id(record), **record})
    return made


def meta(recs, *, pairs=(A, B), **suite):
    names = sorted({name for pair in pairs for side in pair.split(":") for name in side.split("+")})
    rows = {}
    for r in recs:
        row = rows.setdefault(r["method"], {k: r[k] for k in ("method", "family", "parameters")} | {"code": {}})
        row["code"][r["learner"]] = "c1"
    return {
        "suite": SUITE | suite,
        "domains": {name: {"content": f"sha-{name}", "n": 100, "classes": 10} for name in names},
        "pairs": list(pairs), "rows": rows, "unsupported": [], "device": "cpu", "git": "abc", "command": "zoo run",
        "versions": {"zoo": "0.1.0", "torch": "2.9", "scikit-learn": "1.7", "numpy": "2.3", "python": "3.11"},
    }  # fmt: skip


def run(*groups, **kw):
    recs = [r for group in groups for r in group]
    return records.Run(meta(recs, **kw), records.resolve(recs))


def rows(t):
    return [row for _, group in t.groups for row in group]


def row(t, label, learner="logistic", setting=None):
    (found,) = (r for r in rows(t) if (r.label, r.learner) == (label, learner) and setting in (None, r.setting))
    return dict(zip((c.key for c in t.columns), found.cells, strict=True))


def shown(cell):
    return cell.text + cell.tail


def note(t, start):
    found = [n for n in t.notes if n.startswith(start)]
    assert len(found) <= 1
    return found[0] if found else None


def write(folder, content, *files):
    (folder / "records").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(content))
    for i, lines in enumerate(files):
        (folder / "records" / f"{i}.jsonl").write_bytes(lines)


def dump(recs):
    return "".join(json.dumps(r) + "\n" for r in recs).encode()


# -- reading


@pytest.mark.parametrize("tail", [b'{"cell": "ab', b"\n", b"\0\0\0", b"\xff\xfe\n", b"17\n", b'{"a": 1}\n', b""])
def test_torn_and_garbage_lines_are_ignored(tmp_path, tail):
    recs = cells("kmm", [0.5, 0.7])
    write(tmp_path / "run", meta(recs), dump(recs[:1]) + tail, dump(recs[1:]) + tail)
    assert records.read(tmp_path / "run").records == sorted(recs, key=lambda r: r["cell"])


def test_ok_wins_then_the_last_one(tmp_path):
    (ok,), (failed,), (late,) = cells("kmm", [0.5]), cells("kmm", ["failed"]), cells("kmm", ["oom"])
    again = ok | {"fit_s": 9.0}
    for order, winner in [([ok, failed], ok), ([failed, ok], ok), ([failed, late], late), ([ok, again, late], again)]:
        assert records.resolve(order) == [winner]
    write(tmp_path / "run", meta([ok]), dump([ok]), dump([failed]))
    assert records.read(tmp_path / "run").records == [ok]


def test_no_run_and_damaged_run_json(tmp_path):
    with pytest.raises(BadInput, match="no run here"):
        records.read(tmp_path / "nowhere")
    for content in ("{", "[]", '{"suite": {}}', '{"suite": {}, "domains": {}, "pairs": {}, "rows": {}}'):
        (tmp_path / "run.json").write_text(content)
        with pytest.raises(BadInput, match=r"run\.json: damaged"):
            records.read(tmp_path)


def test_a_run_without_records_has_an_empty_table(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps(meta([])))
    t = table.build(records.read(tmp_path))
    assert t.groups == []
    assert t.notes == ["no finished cells yet"]
    for form in ("md", "latex", "csv", "html", "json"):
        assert table.render(t, form)
    Console(file=io.StringIO()).print(table.rich(t))


# -- rows


def test_rows_by_setting_then_learner_then_family():
    settings = [
        ("target_only", "oracle", "logistic"), ("dann", "semi-supervised", "cnn"), ("labelled_only", "few-shot", "cnn"),
        ("fine_tune", "source-free few-shot", "cnn"), ("dann", "unsupervised", "cnn"),
        ("dan", "source-free unsupervised", "cnn"), ("kmm", "unsupervised", "logistic@cnn"),
        ("label_propagation", "unsupervised", "logistic"), ("coral", "unsupervised", "logistic"),
        ("kmm", "unsupervised", "logistic"), ("source_only", "none", "cnn"), ("source_only", "none", "logistic"),
        ("dummy", "none", "logistic"),
    ]  # fmt: skip
    t = table.build(run(*(cells(m, [0.5, 0.6], setting=s, learner=x) for m, s, x in settings)))
    assert [(r.setting, r.learner, r.label) for r in rows(t)] == [
        ("none", "logistic", "dummy"),
        ("none", "logistic", "source_only"),
        ("none", "cnn", "source_only"),
        ("unsupervised", "logistic", "kmm"),
        ("unsupervised", "logistic", "coral"),
        ("unsupervised", "logistic", "label_propagation"),
        ("unsupervised", "logistic@cnn", "kmm"),
        ("unsupervised", "cnn", "dann"),
        ("source-free unsupervised", "cnn", "dan"),
        ("few-shot", "cnn", "labelled_only"),
        ("source-free few-shot", "cnn", "fine_tune"),
        ("semi-supervised", "cnn", "dann"),
        ("oracle", "logistic", "target_only"),
    ]
    assert [s for s, _ in t.groups] == [
        "none", "unsupervised", "source-free unsupervised", "few-shot", "source-free few-shot", "semi-supervised",
        "oracle",
    ]  # fmt: skip


def test_labels_are_told_apart_by_parameters():
    weak, strong = (
        cells("coral", [0.5, 0.5], parameters={"reg": 0.1}),
        cells("coral", [0.7, 0.7], parameters={"reg": 1}),
    )
    content = run(weak, strong)
    base = {"method": "coral", "family": "feature", "code": {"logistic": "c1"}}
    content.meta["rows"] = {"coral": base | {"parameters": {"reg": 1.0}}, "weak": base | {"parameters": {"reg": 0.1}}}
    t = table.build(content)
    assert row(t, "coral")[A].text == "70.0"
    assert row(t, "weak")[A].text == "50.0"


def test_stale_records_are_left_out_and_counted_for_each_label():
    new = cells("kmm", [0.5, 0.7])
    old_code = cells("kmm", [0.9, 0.9, 0.9], code="c0")
    old_data = cells("coral", [0.9], data={"typeface": "other", "optdigits": "sha-optdigits"})
    other_parameters = cells("dan", [0.9, 0.9], learner="cnn", parameters={"bandwidth": 2})
    content = run(new, old_code, old_data)
    content = records.Run(content.meta, records.resolve(content.records + other_parameters))
    t = table.build(content)
    assert [r.label for r in rows(t)] == ["kmm"]
    assert shown(row(t, "kmm")[A]) == f"60.0 ± {100 * np.std([0.5, 0.7], ddof=1):.1f}"
    assert note(t, "stale") == "stale records, of other code, data or parameters, left out: coral 1, dan 2, kmm 3"
    assert "n = 2 seeds" in t.caption


def test_trials_of_a_search_are_not_the_default_row():
    t = table.build(run(cells("kmm", [0.5, 0.5]), cells("kmm", [0.9, 0.9], trial=1, parameters={"B": 3})))
    assert row(t, "kmm")[A].text == "50.0"
    assert note(t, "stale") is None


# -- cells


def test_mean_and_sample_standard_deviation():
    values = [0.512, 0.634, 0.598]
    t = table.build(run(cells("kmm", values), seeds=3))
    cell = row(t, "kmm")[A]
    assert cell.value == pytest.approx(np.mean(values), abs=1e-15)
    assert cell.std == pytest.approx(np.std(values, ddof=1), abs=1e-15)
    assert (cell.n, shown(cell)) == (3, "58.1 ± 6.3")
    assert "n = 3 seeds" in t.caption


def test_one_seed_has_no_standard_deviation():
    t = table.build(run(cells("kmm", [0.5]), seeds=1))
    assert shown(row(t, "kmm")[A]) == "50.0"
    assert "n = 1 seed." in t.caption
    assert note(t, "±") is None


def test_unfinished_failed_and_missing_cells():
    t = table.build(
        run(
            cells("kmm", [0.5, 0.6, 0.7]),
            cells("coral", [0.5, "failed", 0.7]),
            cells("dan", ["timeout", "failed", "timeout"], learner="cnn"),
            cells("dann", ["diverged"], learner="cnn"),
            cells("label_propagation", [0.5]),
            seeds=3,
        )
    )
    assert shown(row(t, "kmm")[A]) == "60.0 ± 10.0"
    assert shown(row(t, "kmm")[B]) == "–"
    assert shown(row(t, "coral")[A]) == "60.0 ± 14.1 (n=2)"
    assert shown(row(t, "dan", "cnn")[A]) == "failed/timeout"
    assert shown(row(t, "dann", "cnn")[A]) == "diverged"
    assert shown(row(t, "label_propagation")[A]) == "50.0 (n=1)"
    assert [n for n in t.notes if n.split(":")[0] in ("failed", "timeout", "diverged")] == [
        "failed: coral (logistic) on typeface→optdigits (seed 1): failed because",
        "failed: dan (cnn) on typeface→optdigits (seed 1): failed because",
        "timeout: dan (cnn) on typeface→optdigits (seeds 0, 2): timeout because",
        "diverged: dann (cnn) on typeface→optdigits (seed 0): diverged because",
    ]
    assert note(t, "–") is not None


def test_more_seeds_in_the_records_than_in_the_last_plan():
    t = table.build(run(cells("kmm", [0.5, 0.6, 0.7]), cells("coral", [0.5, 0.6]), seeds=2))
    assert "n = 3 seeds" in t.caption
    assert shown(row(t, "kmm")[A]) == "60.0 ± 10.0"
    assert row(t, "coral")[A].tail.endswith("(n=2)")


def test_a_seedless_cell_stands_for_all_seeds():
    t = table.build(
        run(
            cells("coral", 0.5), cells("coral", 0.7, pair=B), cells("kmm", [0.4, 0.6]), cells("kmm", [0.6, 0.6], pair=B)
        )
    )
    coral, kmm = row(t, "coral"), row(t, "kmm")
    assert (shown(coral[A]), shown(coral["average"])) == ("50.0", "60.0")
    assert [r.name for _, rows in t.groups for r in rows] == ["kmm", "coral (n=1)"]  # said once, for the whole row
    assert (coral[A].std, coral[A].n, coral["average"].mark) == (None, 1, "best")
    assert shown(kmm["average"]) == f"55.0 ± {100 * np.std([0.5, 0.6], ddof=1):.1f}"

    alone = table.build(run(cells("coral", 0.5), cells("coral", 0.7, pair=B)))
    assert "n = 1, no cell depends on the seed" in alone.caption
    assert [shown(c) for c in list(row(alone, "coral").values())[:3]] == ["50.0", "70.0", "60.0"]


def test_a_seedless_pair_joins_the_seeds_of_the_others_in_the_average():
    t = table.build(run(cells("kmm", 0.5), cells("kmm", [0.6, 0.8], pair=B)))
    average = row(t, "kmm")["average"]
    assert average.value == pytest.approx(0.6)
    assert average.std == pytest.approx(np.std([0.55, 0.65], ddof=1))


def test_a_cell_without_source_fills_every_pair_of_its_target():
    pairs = ["a:c", "b:c", "a:b"]
    t = table.build(
        run(
            cells("labelled_only", [0.5, 0.7], pair="a:c", setting="few-shot", sourceless=True, fit_s=2.0),
            cells("labelled_only", [0.9, 0.9], pair="a:b", setting="few-shot", sourceless=True, fit_s=1.0),
            pairs=pairs,
        )
    )
    cell = row(t, "labelled_only")
    assert [cell[p].text for p in pairs] == ["60.0", "60.0", "90.0"]
    assert cell["average"].text == "70.0"
    assert cell["time_s"].text == "2.00"  # four cells: 2.5, 2.5, 1.5, 1.5
    assert cell["time_s"].n == 4


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


# -- purity and formats


@pytest.fixture(scope="module")
def full():
    """Every kind of row, cell and note at once."""
    content = run(
        *(
            cells(m, [x + d, x - d], setting=s, learner=k, pair=p)
            for p, d in ((A, 0.013), (B, 0.021))
            for m, s, k, x in [
                ("dummy", "none", "logistic", 0.1), ("source_only", "none", "logistic", 0.6),
                ("source_only", "none", "cnn", 0.7), ("kmm", "unsupervised", "logistic", 0.6),
                ("dan", "unsupervised", "cnn", 0.8), ("label_propagation", "unsupervised", "logistic", 0.85),
                ("fine_tune", "source-free few-shot", "cnn", 0.9), ("target_only", "oracle", "cnn", 0.97),
            ]
        ),
        cells("coral", [0.7, "failed"], reason="Error: 50 % <of> a_b | {x} & y # \\ ~ ^ [z]\nline"),
        cells("dann", ["timeout"], learner="cnn"),
        cells("kmm", [0.9, 0.9, 0.9], code="c0"),
        cells("labelled_only", 0.66, setting="few-shot", sourceless=True),
    )  # fmt: skip
    content.meta["unsupported"] = [{"label": "tent", "learner": "cnn", "reason": "needs ∇ model"}]
    return content


@pytest.mark.parametrize("form", ["md", "latex", "csv", "html", "json"])
def test_same_records_in_any_order_give_the_same_bytes(full, tmp_path, form):
    full = replace(full, undigested=len(full.records))  # as they are read, being of version 1
    once = table.render(table.build(full), form)
    assert once.endswith("\n")
    shuffle = random.Random(0)
    for i in range(5):
        recs = shuffle.sample(full.records, len(full.records))
        cut = shuffle.randrange(len(recs))
        rows = dict(shuffle.sample(list(full.meta["rows"].items()), len(full.meta["rows"])))
        write(tmp_path / str(i), full.meta | {"rows": rows}, dump(recs[:cut]), dump(recs[cut:]))
        assert table.render(table.build(records.read(tmp_path / str(i))), form) == once
        assert table.render(table.build(replace(full, records=recs)), form) == once


def test_cost_and_device_do_not_touch_the_table_without_cost(full):
    slower = [r | {"fit_s": 77.0, "shared_s": 5.0, "peak_rss_mb": 1.0, "device": "cuda"} for r in full.records]
    slower = records.Run(full.meta | {"device": "cuda", "command": "x", "git": None}, slower)
    for form in ("md", "latex", "csv", "html", "json"):
        assert table.render(table.build(full, cost=False), form) == table.render(table.build(slower, cost=False), form)
        assert table.render(table.build(full), form) != table.render(table.build(slower), form)


def test_markdown_is_aligned_and_marked(full):
    t = table.build(full)
    text = table.render(t, "md")
    grid = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in grid}) == 1
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in grid} == {3 + len(t.columns) + 1}
    assert re.fullmatch(r"\|(?: :-+ \|){3}(?: -+: \|)+", grid[1])
    assert "**85.0** ± 1.8" in text
    assert "<ins>80.0</ins> ± 1.8" in text
    oracle = next(i for i, line in enumerate(grid) if "*oracle*" in line)
    assert set(grid[oracle - 1]) == set("|- ")
    assert r"50 % \<of> a_b \| {x}" in text


def test_latex_structure(full):
    t = table.build(full)
    text = table.render(t, "latex")
    stack = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert stack == []
    assert re.search(r"^\\begin\{table\}", text, re.M)
    bare = re.sub(r"\\[\\{}%&$#_]", "", text)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert text.isascii()

    columns = re.search(r"\\begin\{tabular\}\{([lr]+)\}", text)[1]
    assert columns == "lll" + "r" * len(t.columns)
    body = re.search(r"\\toprule\n(.*)\\bottomrule", text, re.S)[1].splitlines()
    lines = [line for line in body if not line.startswith(r"\midrule")]
    for line in lines:
        assert line.endswith(r" \\")
        spans = re.fullmatch(r"\\multicolumn\{(\d+)\}.*", line)
        assert int(spans[1]) == len(columns) if spans else len(re.findall(r"(?<!\\)&", line)) + 1 == len(columns)
    assert len(lines) == 1 + len(t.groups) + len(rows(t))
    assert body.count(r"\midrule") == len(t.groups) - 1
    assert body[body.index(r"\midrule[\heavyrulewidth]") + 1].endswith(r"{\emph{oracle}} \\")
    assert r"\textbf{85.0} $\pm$ 1.8" in text
    assert r"\underline{80.0} $\pm$ 1.8" in text
    assert r"label\_propagation & logistic & relational" in text
    reason = r"50 \% \textless{}of\textgreater{} a\_b \textbar{} \{x\} \& y \# \textbackslash{}"
    assert reason in text


def test_csv_and_json_hold_the_unrounded_values(full):
    t = table.build(full)
    lines = list(csv.DictReader(io.StringIO(table.render(t, "csv"))))
    assert len(lines) == len(rows(t)) * len(t.columns)
    (kmm,) = (x for x in lines if (x["method"], x["column"]) == ("kmm", B))
    assert float(kmm["value"]) == pytest.approx(0.6)
    assert float(kmm["std"]) == pytest.approx(np.std([0.621, 0.579], ddof=1))
    assert (kmm["n"], kmm["status"], kmm["metric"], kmm["setting"]) == ("2", "ok", "accuracy", "unsupervised")
    (dann,) = (x for x in lines if (x["method"], x["column"]) == ("dann", A))
    assert (dann["value"], dann["status"]) == ("", "timeout")

    data = json.loads(table.render(t, "json"))
    assert (data["caption"], data["notes"]) == (t.caption, t.notes)
    by_csv = {(x["setting"], x["learner"], x["method"], x["column"]): x["value"] for x in lines}
    for r in data["rows"]:
        for key, cell in r["cells"].items():
            said = by_csv[r["setting"], r["learner"], r["label"], key]
            assert (float(said) if said else None) == cell["value"]


def test_html_is_balanced_and_escaped(full):
    class Check(HTMLParser):
        def __init__(self):
            super().__init__()
            self.stack, self.spans, self.widths = [], 0, []

        def handle_starttag(self, tag, attrs):
            if tag == "tr":
                self.spans = 0
            if tag in ("td", "th"):
                self.spans += int(dict(attrs).get("colspan", 1))
            if tag != "br":
                self.stack.append(tag)

        def handle_endtag(self, tag):
            assert self.stack.pop() == tag
            if tag == "tr":
                self.widths.append(self.spans)

    t, check = table.build(full), Check()
    text = table.render(t, "html")
    check.feed(text)
    assert check.stack == []
    assert set(check.widths) == {3 + len(t.columns)}
    assert "<b>85.0</b> ± 1.8" in text
    assert "<u>80.0</u> ± 1.8" in text
    assert "&lt;of&gt;" in text


def test_terminal_table_fits_100_columns():
    settings = [
        ("source_only", "none", "logistic@cnn"), ("kmm", "unsupervised", "logistic@cnn"),
        ("label_propagation", "unsupervised", "logistic"), ("dann", "unsupervised", "cnn"),
        ("fine_tune", "source-free few-shot", "cnn"), ("target_only", "oracle", "cnn"),
    ]  # fmt: skip
    t = table.build(run(*(cells(m, [0.5, 0.9], setting=s, learner=x, pair=p) for m, s, x in settings for p in (A, B))))
    out = io.StringIO()
    Console(file=out, width=100, force_terminal=True, color_system="standard").print(table.rich(t))
    plain = re.sub(r"\x1b\[[\d;]*m", "", out.getvalue())
    assert "…" not in plain
    for r in rows(t):
        line = next(x for x in plain.splitlines() if x.strip().startswith(f"{r.label} ") and r.learner in x)
        assert len(line) <= 100
        assert line.split() == " ".join([r.label, r.learner, *map(shown, r.cells)]).split()
    assert any(x.strip() == "source-free few-shot" for x in plain.splitlines())
    assert "\x1b[1m70.0" in out.getvalue()


def test_frame_has_one_row_a_cell(full):
    f = frame([full, full])
    assert len(f) == 2 * len(full.records)
    assert set(f["run"]) == {"quickstart"}
    kmm = f[(f.method == "kmm") & ~f.stale & (f.target == "optdigits")]
    assert sorted(kmm.accuracy.iloc[:2]) == pytest.approx([0.587, 0.613])
    assert f.stale.sum() == 2 * 3
    assert f.seed.dtype == "Int64"
    assert f.seed.isna().sum() == 2
    assert not set(f) & {"metrics", "data", "suite"}
    nested = frame(run(cells("coral", [0.5], parameters={"reg": 0.1}, certificate={"gap": 2})))
    assert nested["parameters.reg"].tolist() == [0.1]
    assert nested["certificate.gap"].tolist() == [2]
    assert frame([]).empty


def test_tables_import_nothing_heavy():
    code = "import sys, zoo.report.table, zoo.report.frame; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "pandas", "numpy", "scipy", "sklearn", "rich"} & set(loaded)


def test_latex_tells_hyphens_of_an_option_from_a_dash():
    from zoo.report.formats.latex import tex

    assert (tex("--labels K"), tex("1–2"), tex("a_b → 5 %")) == ("-{}-labels K", "1--2", r"a\_b $\to$ 5 \%")
