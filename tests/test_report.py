"""Reading records, and a table's rows and cells, against expectations worked out by hand (and numpy for means)."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

from zoo import records
from zoo.errors import BadInput
from zoo.records.ids import cell_id
from zoo.report import table

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
