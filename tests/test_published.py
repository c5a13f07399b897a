"""Published figures beside ours: differences against the csv files read with pandas, leaks and what else differs."""

import csv
import io
import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from zoo import discover, records
from zoo.published import figures
from zoo.report import published, table
from zoo.report.frame import frame

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "zoo" / "published").glob("*.csv"))


@pytest.fixture(scope="module")
def caltech():
    return records.read(ROOT / "results" / "office_caltech")


@pytest.fixture(scope="module")
def digits():
    """The records of quickstart_all under the names of digits: figures to subtract from, of another net."""
    run = records.read(ROOT / "results" / "quickstart_all")
    text = json.dumps([run.meta, run.records]).replace("optdigits", "mnist").replace("typeface", "usps")
    meta, recs = json.loads(text)
    meta["suite"]["dataset"] = "digits"
    return records.Run(meta, recs)


def built(run, metric="accuracy", known=None):
    return published.beside(table.build(run, metric, cost=False), run, figures() if known is None else known)


def rows(t, family):
    return {
        (row.setting, row.label, row.learner): row for _, group in t.groups for row in group if row.family == family
    }


def cell(t, row, key):
    return dict(zip((c.key for c in t.columns), row.cells, strict=True))[key]


def theirs(name, method, pair, reference):
    d = pd.read_csv(ROOT / "zoo" / "published" / f"{name}.csv")
    source, target = pair.split(":")
    (value,) = d[(d.method == method) & (d.source == source) & (d.target == target) & (d.reference == reference)].value
    return value


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_copy_is_the_original_with_our_names_and_more_columns(file):
    ours = pd.read_csv(file, keep_default_na=False)
    assert set(ours.reference) <= set(discover.references())
    text = ours.protocol.str.contains("leaks|chosen on target labels|best epoch on target")
    assert (ours.leaks == text).all()
    assert not ours.duplicated(["protocol", "representation", "method", "source", "target", "metric"]).any()
    for name, given in ours.groupby("dataset"):
        if name in discover.datasets():
            assert {*given.source, *given.target} <= set(discover.datasets()[name].domains)
    original = ROOT.parent / "shared" / "published" / file.name
    if original.exists():
        assert (theirs := pd.read_csv(original, keep_default_na=False)).equals(ours[list(theirs)])


def test_every_source_states_the_same_facts_and_every_method_one_note():
    for f in figures():
        same = [x for x in figures() if (x.source, x.method) == (f.source, f.method)]
        assert len({(x.note, x.learner) for x in same}) == 1
        assert 0 < f.value <= 1


def test_1nn_is_reproduced_in_all_pairs(caltech):
    t = built(caltech)
    title = "published: wang2018visual, transductive"
    known, row = rows(t, "published")[title, "1nn", "1nn"], rows(t, "difference")[title, "source_only", "1nn"]
    assert not row.remark  # nothing else differs
    for pair in caltech.meta["pairs"]:
        assert abs(cell(t, row, pair).value) < 0.0005 + 1e-9
        assert cell(t, row, pair).text == "+0.0"
        assert float(cell(t, known, pair).text) == theirs("office_caltech_surf", "1nn", pair, "wang2018visual")
    assert (cell(t, known, "average").text, cell(t, row, "average").text) == ("31.4", "+0.0")


def test_differences_are_ours_minus_theirs(caltech):
    t, f = built(caltech), frame(caltech)
    row = rows(t, "difference")["published: wang2018visual, transductive", "coral", "1nn"]
    f = f[(f.label == "coral") & ~f.stale].assign(pair=f.source + ":" + f.target).groupby("pair").accuracy.mean()
    expected = {
        pair: 100 * f[pair] - theirs("office_caltech_surf", "coral", pair, "wang2018visual") for pair in f.index
    }
    assert len(expected) == 12
    for pair, value in expected.items():
        assert 100 * cell(t, row, pair).value == pytest.approx(value)
        assert cell(t, row, pair).text == f"{value:+.1f}"
    assert 100 * cell(t, row, "average").value == pytest.approx(sum(expected.values()) / 12)


def test_what_we_did_not_run_has_figures_and_no_difference(caltech):
    t = built(caltech)
    listed = {label for _, label, _ in rows(t, "published")}
    csv_methods = set(pd.read_csv(ROOT / "zoo/published/office_caltech_surf.csv").method)
    assert listed == csv_methods
    ran = {label for _, label, _ in rows(t, "difference")}
    assert ran == {"source_only", *csv_methods & {r["method"] for r in caltech.records}}
    assert any("maintainer could not reproduce it" in note for note in t.notes)


def test_a_leaking_protocol_is_marked_and_what_differs_is_said(digits):
    t = built(digits)
    leaking = "published: lalou2024skada, holdout, leaks"
    assert [title for title, _ in t.groups[-2:]] == [leaking, "published: tzeng2017adversarial, transductive"]
    assert any(note.startswith("leaks: ") for note in t.notes)
    assert any(note.startswith(leaking) and "chosen on target labels" in note for note in t.notes)
    found = rows(t, "difference")
    # Networks beside networks, never a base learner beside one, nor what had labels of the target.
    assert {(label, learner) for title, label, learner in found if title == leaking} == {
        (m, "cnn") for m in ("source_only", "target_only", "dan", "dann", "deep_coral", "deep_jdot", "mcc")
    }
    assert found[leaking, "dan", "cnn"].remark == " (other learner, input)"
    assert found[t.groups[-1][0], "dann", "cnn"].remark == " (other protocol, learner, input)"
    unsupervised = [
        r["metrics"]["accuracy"]
        for r in digits.records
        if (r["method"], r["setting"], r["source"]) == ("dan", "unsupervised", "mnist")
    ]
    expected = 100 * sum(unsupervised) / len(unsupervised) - theirs("digits", "dan", "mnist:usps", "lalou2024skada")
    assert 100 * cell(t, found[leaking, "dan", "cnn"], "mnist:usps").value == pytest.approx(expected)


def test_protocol_and_normalisation_of_the_run_count(caltech):
    run = replace(
        caltech, meta=caltech.meta | {"suite": caltech.meta["suite"] | {"protocol": "holdout", "normalise": []}}
    )
    assert {row.remark for row in rows(built(run), "difference").values()} == {" (other protocol, normalisation)"}


def test_only_figures_of_the_same_metric_are_compared(caltech):
    t = built(caltech, "f1_macro")
    assert not rows(t, "published")
    assert t.notes[-1] == "published: no f1_macro of office_caltech on these pairs"
    (some,) = [f for f in figures() if f.method == "coral" and f.pair == "amazon:webcam"]
    t = built(caltech, "f1_macro", [replace(some, metric="f1_macro", value=0.25)])
    (row,) = rows(t, "difference").values()
    f = frame(caltech)
    (mine,) = f[(f.label == "coral") & (f.source == "amazon") & (f.target == "webcam")].f1_macro
    assert cell(t, row, "amazon:webcam").text == f"{100 * mine - 25:+.1f}"
    assert cell(t, row, "average").tail == " (1/12 pairs)"
    assert cell(t, row, "caltech:dslr").text == "–"


@pytest.mark.parametrize("form", ["md", "latex", "html", "csv", "json"])
def test_all_formats_have_them(zoo, form):
    folder = ROOT / "results" / "office_caltech"
    plain = zoo("table", folder, "--format", form, "--no-cost")
    done = zoo("table", folder, "--published", "--format", form, "--no-cost")
    assert (done.code, done.err) == (0, "")
    assert "wang2018visual" in done.out
    assert "wang2018visual" not in plain.out
    shown = re.sub(r"\\", "", done.out)
    assert "source_only" in shown
    if form == "csv":
        entries = list(csv.DictReader(io.StringIO(done.out.strip())))
        (found,) = [
            r for r in entries if (r["family"], r["method"], r["column"]) == ("difference", "coral", "webcam:dslr")
        ]
        assert float(found["value"]) == pytest.approx(
            0.841 - theirs("office_caltech_surf", "coral", "webcam:dslr", "wang2018visual") / 100, abs=1e-3
        )
    elif form == "json":
        assert {"published", "difference"} <= {row["family"] for row in json.loads(done.out)["rows"]}
    else:
        assert shown.count("+0.0") >= 12


def test_a_data_set_without_figures_says_so(zoo):
    done = zoo("table", ROOT / "results" / "quickstart", "--published")
    assert done.code == 0
    assert "published: no accuracy of digits8 on these pairs" in done.out


def test_citation_file():
    cff = YAML(typ="safe").load(ROOT / "CITATION.cff")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {"cff-version", "message", "title", "authors"} <= cff.keys()  # what the format requires
    assert (cff["cff-version"], str(cff["version"]), cff["license"]) == (
        "1.2.0",
        project["version"],
        project["license"],
    )
    assert cff["authors"] == [{"name": "The zoo developers"}]


def test_figures_that_the_inverse_may_have_helped_carry_a_caution(caltech):
    doubted = [f for f in figures() if f.caution]
    assert {f.pair.split(":")[1] for f in doubted if f.dataset == "relational"} == {"twitter", "yeast"}
    known = [replace(f, caution="a doubt") if f.pair.endswith(":dslr") else f for f in figures()]
    (said,) = [note for note in built(caltech, known=known).notes if note.endswith(": a doubt")][:1]
    assert said == "caltech→dslr, amazon→dslr, webcam→dslr: a doubt"
