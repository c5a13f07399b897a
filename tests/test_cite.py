"""``zoo cite``: the BibTeX parses and is exactly the table's; the paragraph's figures are the run's."""

import json
import re
import subprocess
from pathlib import Path
from shutil import which

import pytest

from zoo import discover, records, source
from zoo.bench.run import Results
from zoo.records import schema
from zoo.report import cite

KNOWN = cite.Known(discover.methods(), discover.datasets(), discover.references())


def parse(text):
    """Entries by key, read sign by sign as BibTeX does: outside of entries all is comment, up to the next @."""
    entries, at = {}, text.find("@")
    while at >= 0:
        head = re.compile(r"@([a-z]+)\{\s*([^\s,{}]+)\s*,").match(text, at)
        assert head, text[at : at + 40]
        depth, fields, start, i = 1, [], head.end(), head.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(text[i], 0)
            if not depth or (text[i] == "," and depth == 1):
                fields.append(text[start:i].strip())
                start = i + 1
            i += 1
        assert head[2] not in entries, "a key stands twice"
        pairs = [re.fullmatch(r"(\w+)\s*=\s*\{(.*)\}", field, re.DOTALL) for field in fields if field]
        assert all(pairs), fields
        entries[head[2]] = {"type": head[1], **{m[1]: m[2] for m in pairs}}
        at = text.find("@", i)
    return entries


def split(text):
    """The paragraph, and the entries by key."""
    comment, *_ = text.split("\n\n")
    assert comment.startswith("% ")
    assert "\n" not in comment
    return comment[2:], parse(text)


@pytest.fixture
def cited(zoo, tmp_path):
    """Run the tiny suite with options and cite it."""

    def call(*options, suite="tiny.yaml", plugins=()):
        given = [part for plugin in plugins for part in ("--plugin", plugin)]
        out = tmp_path / "run"
        assert zoo("run", suite, *options, *given, "--out", out).code == 0
        done = zoo("cite", out, *given)
        assert (done.code, done.err) == (0, "")
        return records.read(out), done.out

    return call


@pytest.fixture
def tiny(suite_file, cited):
    return lambda *options, **more: cited(*options, suite=suite_file, **more)


def test_the_whole_bibliography_parses():
    entries = parse((source.ROOT / "refs.bib").read_text())
    assert entries.keys() == KNOWN.references.keys()
    assert all({"author", "title", "year"} <= e.keys() for e in entries.values())
    for broken in ("@misc{a,\n title = {x}}\n@misc{a, title = {y}}", "@misc{a, title = {x{}", "mail me @ home"):
        with pytest.raises((AssertionError, IndexError)):
            parse(broken)


def test_it_cites_what_the_table_contains_and_nothing_else(tiny):
    _, text = tiny("--methods", "coral,dann,dummy,target_only,fine_tune")  # fine_tune cannot run without labels
    paragraph, entries = split(text)
    want = {KNOWN.methods["coral"].cite, KNOWN.methods["dann"].cite, KNOWN.datasets["office_caltech"].cite}
    assert entries.keys() == want
    assert set(re.findall(r"\\cite\{([^}]+)\}", paragraph)) == want
    assert r"coral~\cite{sun2016return}" in paragraph
    assert "baselines dummy, source\\_only and target\\_only" in paragraph
    assert "fine" not in paragraph
    assert "no reference" not in text
    assert "office\\_caltech~\\cite{gong2012geodesic}" in paragraph


def test_the_figures_are_the_runs(tiny):
    run, text = tiny("--methods", "kmm,dann", "--labels", 2, "--seeds", 3, "--set", "kmm.B=7", "--protocol", "holdout")
    paragraph, _ = split(text)
    seeds = {r["seed"] for r in run.records}
    versions = run.records[0]["versions"]
    sizes = {name: d["n"] for name, d in run.meta["domains"].items()}
    for said in (
        f"over {len(seeds)} seeds",
        "on 2 pairs",
        r"amazon$\to$webcam, webcam$\to$amazon",
        f"amazon {sizes['amazon']}, webcam {sizes['webcam']} samples; 10 classes",
        r"Of each source 80 \% are for training and 20 \% for validation",
        "2 target samples per class",
        "base classifier is 1-nearest-neighbour on the raw features",
        "Every network (mlp) is trained for 5 steps with 16 samples per domain, by adam at a learning rate of 0.001",
        "Parameters are the defaults except kmm: B = 7.0; none was searched for",
        f"torch {versions['torch']}",
        f"zoo {versions['zoo']}",
    ):
        assert said in paragraph, said
    assert "no result" not in paragraph
    # The shares that it states are those of the records: of 8 samples a class 2 are tested, which is 20 % rounded.
    assert {r["n_test"] for r in run.records} == {10 * round(0.2 * 8)}


def test_seeds_and_protocol_of_what_draws_nothing(tiny):
    run, text = tiny("--methods", "coral", "--set", "coral.reg=1")
    paragraph, _ = split(text)
    assert {r["seed"] for r in run.records} == {None}
    assert "Nothing in any cell depends on the seed, so each is run once" in paragraph
    assert "The protocol is transductive" in paragraph
    assert "Every network" not in paragraph
    assert "All parameters are the defaults" in paragraph  # 1 is reg's default
    _, text = tiny("--methods", "coral,dann")
    assert "over 2 seeds; cells that do not depend on the seed are run once" in text


def test_gaps_are_told(tiny, tmp_path):
    _, text = tiny("--methods", "coral,dann")
    assert "no result" not in text
    (file,) = (tmp_path / "run" / "records").glob("*.jsonl")
    lines = file.read_text().splitlines()
    torn = {**json.loads(lines[-1]), "status": "timeout", "reason": "stopped after 3 s", "metrics": {}}
    file.write_text("\n".join([*lines[:-2], schema.line(torn).decode().strip()]) + "\n")
    text = cite.paragraph(records.read(tmp_path / "run"), KNOWN)
    assert f"Of {len(lines)} cells 2 have no result (1 not run, 1 timeout)." in text


def test_all_versions_that_gave_records_are_named(tiny):
    run, _ = tiny("--methods", "coral")
    run.records[0]["versions"] = run.records[0]["versions"] | {"torch": "2.6.0"}
    assert f"torch {' and '.join(sorted(['2.6.0', run.records[1]['versions']['torch']]))}," in cite.paragraph(
        run, KNOWN
    )


def test_plugins_have_no_reference_or_their_own(tiny, zoo, tmp_path, write_plugin):
    plain, citing = write_plugin(tmp_path / "my_shift.py"), write_plugin(tmp_path / "citing.py")
    citing.write_text(
        citing.read_text().replace("    def __init__", '    cite = "zhou2003learning"\n\n    def __init__')
    )
    _, text = tiny("--methods", "my_shift,citing", plugins=[plain, citing])
    paragraph, entries = split(text)
    assert entries.keys() == {"zhou2003learning", "gong2012geodesic"}
    assert r"citing~\cite{zhou2003learning} and my\_shift with" in paragraph
    assert "% no reference in the zoo: my\\_shift\n" in text
    without = zoo("cite", tmp_path / "run").out  # then it cannot know, and says so
    assert "% no reference in the zoo: citing, my\\_shift\n" in without
    assert "by = 0.5" in without


def test_out_writes_the_same_and_other_settings_give_no_at(tiny, zoo, tmp_path):
    run, text = tiny("--methods", "coral")
    done = zoo("cite", tmp_path / "run", "--out", tmp_path / "refs.bib")
    assert (done.code, done.out) == (0, "")
    assert (tmp_path / "refs.bib").read_text() == text.rstrip("\n") + "\n"
    done = zoo("cite", tmp_path / "run", "--out", tmp_path / "none" / "refs.bib")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert zoo("cite", tmp_path / "nowhere").code == 2
    run.meta["rows"]["coral@{mine"] = run.meta["rows"].pop("coral") | {"parameters": {"reg": 3.0}}
    for r in run.records:
        if r["method"] == "coral":
            r["parameters"] = {"reg": 3.0}
    paragraph, entries = split(cite.bibtex(run, KNOWN))  # its parser would begin an entry at an @
    assert r"coral{\char64}\{mine: reg = 3.0" in paragraph
    assert len(entries) == 2


@pytest.mark.skipif(not which("bibtex"), reason="no BibTeX here")
def test_bibtex_itself_reads_it(tiny, tmp_path):
    _, text = tiny("--methods", "coral,dann")
    (tmp_path / "refs.bib").write_text(text)
    (tmp_path / "x.aux").write_text("\\relax\n\\citation{*}\n\\bibstyle{plain}\n\\bibdata{refs}\n")
    done = subprocess.run(["bibtex", "x"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "Warning" not in done.stdout


@pytest.mark.parametrize("name", ["quickstart", "office_caltech"])
def test_published_runs_can_be_cited(name):
    folder = Path(__file__).parents[1] / "results" / name
    if not (folder / "run.json").exists():
        pytest.skip("no results here")
    run = records.read(folder)
    _, entries = split(cite.bibtex(run, KNOWN))
    table = json.loads(Results(folder).table("json"))
    methods = {KNOWN.methods[row["method"]].cite for row in table["rows"]} - {""}
    assert entries.keys() == {*methods, *KNOWN.datasets[run.meta["suite"]["dataset"]].cite.split(", ")}


def test_references_of_all_data_sets_are_known():
    known = discover.references()
    for info in discover.datasets().values():
        keys = [key.strip() for key in info.cite.split(",")]
        assert keys
        assert set(keys) <= set(known), info.name
