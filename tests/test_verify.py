"""``zoo verify``: an honest run is identical, and a planted cheat of each kind is found."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from zoo import records
from zoo.records import verdicts
from zoo.records.ids import cell_id, digest

KEPT: dict[str, object] = {}


@pytest.fixture
def run(zoo, suite_file, tmp_path_factory):
    """A folder of eight cells with coral under two labels, run once for all tests; each gets its own copy."""
    suite_file.write_text(
        suite_file.read_text()
        .replace("transductive", "holdout")
        .replace("1nn", "logistic")
        .replace("coral]", "coral, {coral: {reg: 9, as: weak}}]")
    )
    if "folder" not in KEPT:
        folder = tmp_path_factory.mktemp("verify") / "run"
        assert zoo("run", suite_file, "--pairs", "amazon:webcam", "--out", folder).code == 0
        KEPT["folder"] = folder
    copy = suite_file.parent / "run"
    shutil.copytree(KEPT["folder"], copy)
    return copy


def lines(folder):
    return [json.loads(line) for file in (folder / "records").glob("*.jsonl") for line in file.read_text().splitlines()]


def rewrite(folder, changed):
    """Records as a cheat writes them: with ids and digests that follow from what they say."""
    for file in (folder / "records").glob("*.jsonl"):
        file.unlink()
    done = [{**r, "cell": cell_id(r)} for r in changed]
    text = "".join(json.dumps({**r, "digest": digest(r)}, sort_keys=True) + "\n" for r in done)
    (folder / "records" / "cheat.jsonl").write_text(text)


def moved(folder, old, new):
    shutil.move(folder / "predictions" / f"{old}.npz", folder / "predictions" / f"{new}.npz")


def verified(zoo, folder, *options):
    done = zoo("verify", folder, "--json", *options)
    found = done.json
    wrong = {(v["check"], v["reason"]) for v in found["verdicts"] if v["found"] in ("different", "refused")}
    return done.code, found, wrong


def test_an_honest_run_is_identical_and_cited_so(zoo, run):
    code, found, wrong = verified(zoo, run, "--all")
    assert (code, wrong, found["drawn"]) == (0, set(), found["cells"])
    assert {v["found"] for v in found["verdicts"]} == {"identical"}
    assert f"verified: {found['cells']} of {found['cells']} cells run again identical (zoo " in found["badge"]
    assert found["badge"].replace("_", r"\_") in zoo("cite", run).out
    text = zoo("verify", run, "--cells", 0)
    assert text.code == 0
    assert "metrics from predictions: 6 identical" in text.out.splitlines()
    assert "0 of 6 cells were run again; 6 were not (--all does)" in text.out.splitlines()
    rewrite(run, lines(run)[1:])
    assert verdicts.verified(run, records.read(run).records) == "", "a badge of other records"


def test_the_seed_draws_cells_of_the_cheapest_first(zoo, run):
    drawn = [
        {v["cell"] for v in verified(zoo, run, "--cells", 2, "--seed", seed)[1]["verdicts"] if v["check"] == "again"}
        for seed in (0, 0, 1, 2, 3)
    ]
    assert [len(cells) for cells in drawn] == [2] * 5
    assert drawn[0] == drawn[1]
    assert len(set(map(frozenset, drawn))) > 1


def test_an_edited_accuracy(zoo, run):
    first, *rest = lines(run)
    rewrite(run, [{**first, "metrics": first["metrics"] | {"accuracy": 0.999}}, *rest])
    code, _, wrong = verified(zoo, run, "--cells", 0)
    assert code == 1
    assert {why.split(",")[0] for _, why in wrong} == {"accuracy 0.9990"}


def test_an_edited_accuracy_without_predictions_is_found_by_running_its_cell(zoo, run):
    first, *rest = lines(run)
    rewrite(run, [{**first, "metrics": first["metrics"] | {"accuracy": 0.999}}, *rest])
    (run / "predictions" / f"{first['cell']}.npz").unlink()
    code, found, wrong = verified(zoo, run, "--cells", 0)
    assert (code, wrong) == (0, set())
    assert "1 of 6 records could not be recomputed" in found["badge"]
    code, _, wrong = verified(zoo, run, "--all")
    assert code == 1
    assert [(check, why.split(" before")[0]) for check, why in wrong] == [("again", "accuracy 0.999")]


def test_swapped_predictions(zoo, run):
    a, b = (r for r in lines(run) if r["seed"] == 0 and r["method"] == "coral")
    moved(run, a["cell"], "x")
    moved(run, b["cell"], a["cell"])
    moved(run, "x", b["cell"])
    assert {check for check, _ in verified(zoo, run, "--cells", 0)[2]} == {"predictions"}


def test_predictions_that_no_fit_made(zoo, run):
    """Their hash, and metrics that follow from them, are the record's: only running the cell again tells."""
    first, *rest = lines(run)
    path = run / "predictions" / f"{first['cell']}.npz"
    with np.load(path) as arrays:
        found = dict(arrays)
    found["test_log_scores"] = found["test_log_scores"] * np.float16(0.5)
    np.savez(path, **found)
    changed = {**first, "predictions_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    changed["metrics"] = {k: first["metrics"][k] for k in ("accuracy", "balanced_accuracy", "f1_macro")}
    rewrite(run, [changed, *rest])
    assert verified(zoo, run, "--cells", 0)[0] == 0
    assert {check for check, _ in verified(zoo, run, "--all")[2]} == set()
    counts = [v["found"] for v in verified(zoo, run, "--all")[1]["verdicts"] if v["check"] == "again"]
    assert counts.count("within tolerance") == 1


def test_a_renamed_seed(zoo, run):
    kept = [r for r in lines(run) if r["seed"] == 0]
    renamed = [{**r, "seed": 1} for r in kept]
    for r in renamed:
        shutil.copy(run / "predictions" / f"{r['cell']}.npz", run / "predictions" / f"{cell_id(r)}.npz")
    rewrite(run, [*kept, *renamed])
    code, _, wrong = verified(zoo, run, "--cells", 0)
    assert (code, wrong) == (1, {("metrics", "its predictions are of other rows than its seed draws")})


def test_a_record_of_another_run(zoo, run, suite_file):
    other = suite_file.parent / "other"
    assert zoo("run", suite_file, "--pairs", "amazon:webcam", "--labels", 1, "--out", other).code == 0
    for name in ("records", "predictions"):
        shutil.copytree(other / name, run / name, dirs_exist_ok=True)
    code, _, wrong = verified(zoo, run, "--cells", 0)
    assert (code, wrong) == (1, {("plan", "no cell of this run: its id is not in the plan")})


def test_a_row_under_another_s_name(zoo, run):
    """The better one's records as the worse one's: same code, same data, parameters changed."""
    reg = {
        label: row["parameters"] for label, row in records.read(run).meta["rows"].items() if row["method"] == "coral"
    }
    kept = [r for r in lines(run) if r["parameters"] == reg["weak"] or r["method"] != "coral"]
    taken = [{**r, "parameters": reg["coral"]} for r in kept if r["method"] == "coral"]
    for r in taken:
        shutil.copy(run / "predictions" / f"{r['cell']}.npz", run / "predictions" / f"{cell_id(r)}.npz")
    rewrite(run, [*kept, *taken])
    assert {check for check, _ in verified(zoo, run, "--all")[2]} <= {"again"}
    changed = [
        v for v in verified(zoo, run, "--all")[1]["verdicts"] if v["check"] == "again" and v["found"] != "identical"
    ]
    assert {v["cell"] for v in changed} == {cell_id(r) for r in taken}


def test_a_record_under_another_method_s_name(zoo, run):
    kept = [r for r in lines(run) if r["parameters"].get("reg") != 9]
    rewrite(run, [{**r, "method": "source_only", "parameters": {}} if r["method"] == "coral" else r for r in kept])
    code, _, wrong = verified(zoo, run, "--cells", 0)
    assert (code, wrong) == (1, {("plan", "its code is that of coral")})


def test_a_row_that_is_called_as_a_method_is(zoo, run):
    meta = json.loads((run / "run.json").read_text())
    meta["rows"]["dann"] = meta["rows"].pop("weak")
    (run / "run.json").write_text(json.dumps(meta))
    code, _, wrong = verified(zoo, run)
    assert code == 1
    assert {why.split(": ", 1)[1].split(";")[0] for _, why in wrong} == {"methods: coral: as: 'dann' is a method"}


def test_a_line_altered_without_its_digest_is_refused(zoo, run):
    file = next((run / "records").glob("*.jsonl"))
    file.write_text(file.read_text().replace('"n_test": ', '"n_test": 1', 1))
    code, found, wrong = verified(zoo, run, "--cells", 0)
    assert code == 1
    assert [check for check, _ in wrong] == ["lines"]
    assert "1 checks failed" in found["badge"]


def test_without_the_data_it_says_what_could_not_be_checked(zoo, run, tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_DATA", str(tmp_path))
    code, found, wrong = verified(zoo, run)
    assert (code, wrong, found["drawn"]) == (0, set(), 0)
    assert "6 of 6 records could not be recomputed" in found["badge"]
    assert {v["found"] for v in found["verdicts"] if v["check"] == "predictions"} == {"identical"}


def test_trials_of_a_search_are_cells_of_the_plan(zoo, suite_file, tmp_path):
    out = tmp_path / "searched"
    assert zoo("run", suite_file, "--pairs", "amazon:webcam", "--trials", 3, "--out", out).code == 0
    code, found, wrong = verified(zoo, out, "--cells", 2)
    assert (code, wrong) == (0, set())
    assert found["cells"] == 4  # source_only, and three of coral
    assert {v["found"] for v in found["verdicts"]} == {"identical"}


def test_values_are_verified_as_classes_are(zoo, tmp_path):
    out = tmp_path / "values"
    assert zoo("run", "diabetes", "--methods", "source_only,kmm", "--seeds", 1, "--out", out).code == 0
    code, found, wrong = verified(zoo, out, "--cells", 1)
    assert (code, wrong) == (0, set())
    assert {v["found"] for v in found["verdicts"]} == {"identical"}
    first, *rest = lines(out)
    rewrite(out, [{**first, "metrics": first["metrics"] | {"mae": 0.01}}, *rest])
    assert {why.split(",")[0] for _, why in verified(zoo, out, "--cells", 0)[2]} == {"mae 0.0100"}
    done = zoo("run", "diabetes", "--validators", "entropy", "--out", tmp_path / "none")
    assert (done.code, done.err.count("\n")) == (2, 1)
