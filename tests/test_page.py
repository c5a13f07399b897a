"""`zoo report`: what the page holds is what the records and the table say, as text, and it loads nothing."""

import base64
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

import zoo as package
from zoo import discover, records
from zoo.report import page, rules, standing, table
from zoo.report.cite import Known
from zoo.report.page.again import command

sys.path.insert(0, str(Path(__file__).parent))
import page_runs

RESULTS = Path(__file__).parents[1] / "results"
KNOWN = Known(discover.methods(), discover.datasets(), discover.references())
BARE = Known({}, {}, {})
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)> \"'><b onclick=x>{{ 7*7 }}&lt;"


class Read(HTMLParser):
    """Elements, attributes and texts, as a browser would find them."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.scripts, self.cells, self.stack = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.stack.append(tag)
        if tag in ("script", "style"):
            self.scripts.append([tag, dict(attributes), ""])
        if tag in ("td", "th"):
            self.cells.append([dict(attributes), ""])

    def handle_endtag(self, tag):
        while self.stack and self.stack.pop() != tag:
            pass

    def handle_data(self, data):
        if self.stack and self.stack[-1] in ("script", "style"):
            self.scripts[-1][2] += data
            return
        self.texts.append(data)
        if {"td", "th"} & {*self.stack}:
            self.cells[-1][1] += data

    @property
    def text(self):
        return " ".join("".join(self.texts).split())

    def json(self, name):
        return next(json.loads(text) for _, attributes, text in self.scripts if attributes.get("id") == name)


def made(run, **more):
    return page.page(page.Asked(run, **more), KNOWN)


@pytest.fixture(scope="module")
def quickstart():
    return records.read(RESULTS / "quickstart")


@pytest.fixture(scope="module")
def read(quickstart):
    return Read(made(quickstart))


def unpacked(found, values):
    shared = found.json("shared")
    record = dict(zip(shared["fields"], values, strict=True))
    for name in ("who", "parameters", "versions", "suite", "data", "code", "device"):
        record[name] = shared["things"][record[name]]
    return record


def test_the_table_is_the_runs(quickstart, read):
    built = table.build(quickstart)
    rows = [row for _, rows in built.groups for row in rows]
    expected = Counter(cell.text + cell.tail for row in rows for cell in row.cells)
    shown = Counter(text for attributes, text in read.cells if "data-v" in attributes)
    assert shown == expected
    assert len(rows) > 15
    for words in (built.caption, *built.notes):
        assert " ".join(words.split()) in read.text
    pairs = [attributes["data-pair"] for attributes, _ in read.cells if "data-pair" in attributes]
    assert Counter(pairs) == dict.fromkeys(quickstart.meta["pairs"], len(rows))


def test_every_record_is_there_as_it_was_written(quickstart, read):
    found = {}
    for i in range(sum(a.get("id", "").startswith("row") for _, a, _ in read.scripts)):
        row = read.json(f"row{i}")
        for pair, places in row["pairs"].items():
            for place in places:
                record = unpacked(read, row["records"][place])
                found[record["cell"]] = record
                assert record["target"] == pair.split(":")[1]
                assert record["who"]["label"] == row["label"]
                assert (record["who"]["setting"], record["who"]["learner"]) == (row["setting"], row["learner"])
    for values in read.json("rest")["records"]:
        found[unpacked(read, values)["cell"]] = unpacked(read, values)
    assert found.keys() == {r["cell"] for r in quickstart.records}
    for record in quickstart.records:
        mine = found[record["cell"]]
        for key in ("metrics", "parameters", "curves", "certificate", "seed", "source", "fit_s", "digest", "versions"):
            assert mine[key] == record.get(key), key


def test_failures_the_words_and_the_badge(tmp_path):
    pairs = [f"a:{b}" for b in "bcdefgh"]
    rows = [
        page_runs.record("source_only", p, s, 0.5, family="baseline", setting="none") for p in pairs for s in (0, 1)
    ]
    rows += [page_runs.record("good", p, s, 0.8 + 0.01 * s) for p in pairs for s in (0, 1)]
    bad = {"status": "diverged", "reason": "the loss is NaN", "metrics": {}}
    rows += [page_runs.record("broken", p, s, 0.5, **bad) for p in pairs for s in (0, 1)]
    run = records.read(page_runs.write(tmp_path / "run", rows))
    found = Read(made(run, badge="verified: 3 of 3 cells"))
    assert "diverged: broken (logistic) on a→b (seeds 0, 1), a→c (seeds 0, 1)" in found.text
    assert found.text.count("the loss is NaN") == 1  # among the failures, not again among the notes
    assert "significantly better than source_only (Wilcoxon over pairs, Holm, p < .05): good" in found.text
    assert "verified: 3 of 3 cells" in found.text
    assert "Not verified" in Read(made(run)).text


def test_rules_stand_side_by_side_where_something_was_searched(quickstart):
    import test_selection

    run = test_selection.planted()
    found = Read(page.page(page.Asked(run), BARE))
    for rule in ("default", "v", "oracle"):
        assert any(text == rule for _, text in found.cells)
    expected = Counter(c.text + c.tail for _, rows in rules.build(run).groups for row in rows for c in row.cells)
    shown = Counter(text for attributes, text in found.cells if "data-v" in attributes)
    assert not expected - shown
    assert "Selection by default, v, oracle" in found.text
    row = next(found.json(f"row{i}") for i in range(2) if found.json(f"row{i}")["label"] == "m")
    opened = [unpacked(found, row["records"][place]) for place in row["pairs"]["a:b"]]
    assert [(r["seed"], r["trial"]) for r in opened] == [(s, t) for s in (0, 1) for t in (0, 1, 2)]
    for record in opened:
        assert record["validators"] == {"v": record["metrics"]["accuracy"]}
        assert record["parameters"] == {"x": record["trial"]}
    assert "--trials 3" in row["commands"]["a:b"]
    assert "Selection without target labels" not in Read(made(quickstart)).text


def test_what_others_wrote_is_text(tmp_path):
    rows = [
        page_runs.record("source_only", "a:b", 0, 0.5, family="baseline", setting="none"),
        page_runs.record(EVIL, f"a:{EVIL.replace(':', '')}", 0, 0.6, family=EVIL, setting=EVIL, parameters={EVIL: EVIL},
                         versions={EVIL: EVIL}, device=EVIL, certificate={EVIL: EVIL}),
        page_runs.record("lost", "a:b", 0, 0.6, status="failed", reason=EVIL + "\u202e\x1b[31m\u2028", metrics={}),
    ]  # fmt: skip
    run = records.read(page_runs.write(tmp_path / "run", rows, name=EVIL, dataset=EVIL))
    assert len(run.records) == 3
    several = page.site({"one": page.Asked(run, EVIL, {}, EVIL), "two": page.Asked(run)}, BARE)
    plain = records.read(page_runs.write(tmp_path / "plain", [page_runs.record("m", "a:b", 0, 0.5)]))
    harmless = page.site({"one": page.Asked(plain)}, BARE)
    tags = {tag for text in harmless.values() for tag, _ in Read(text).elements} | {"small", "noscript"}
    for text in several.values():
        found = Read(text)
        assert {tag for tag, _ in found.elements} - tags == set()  # no b, no img
        assert all(not name.startswith("on") for _, attributes in found.elements for name in attributes)
        runs = [attributes for tag, attributes, _ in found.scripts if tag == "script" and "type" not in attributes]
        assert runs == [{}]  # ours alone
        for _, attributes, inner in found.scripts:
            assert "alert" not in inner or attributes.get("type") == "application/json"
        for tag, attributes in found.elements:
            if tag == "a":
                assert re.fullmatch(r"#[a-z]+|[a-z]+\.html", attributes["href"])
        assert not set("\u202e\x1b\u2028") & set(text)
    found = Read(several["one.html"])
    assert EVIL in "".join(found.texts)  # and there as it is
    assert "49" not in re.findall(r"\b49\b", found.text)
    labels = [found.json(f"row{i}")["label"] for i in range(3)]
    assert EVIL in labels
    assert found.json(f"row{labels.index(EVIL)}")["records"]
    assert found.json("shared")["run"] == EVIL


def test_nothing_is_loaded_and_the_policy_names_what_runs(quickstart):
    for text in page.site({"a": page.Asked(quickstart), "b": page.Asked(quickstart)}, KNOWN).values():
        found = Read(text)
        for tag, attributes in found.elements:
            assert "src" not in attributes
            assert "style" not in attributes  # which the policy would refuse
            assert tag not in ("iframe", "object", "embed", "base")
            if tag == "link":
                assert attributes["href"] == "data:,"
        code = "".join(inner for _, attributes, inner in found.scripts if "type" not in attributes)
        assert not re.search(
            r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(|fetch|XMLHttp|import\(|innerHTML|eval", code
        )
        policy = next(a["content"] for t, a in found.elements if a.get("http-equiv") == "Content-Security-Policy")
        assert policy.startswith("default-src 'none'")
        for tag, attributes, inner in found.scripts:
            if "type" not in attributes:
                digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
                assert f"{tag}-src 'sha256-{digest}'" in policy


def test_the_same_records_give_the_same_bytes(tmp_path, quickstart):
    here = made(quickstart).encode()
    code = (
        "import sys;from pathlib import Path;from zoo import records,discover;from zoo.report import page;"
        "from zoo.report.cite import Known;run=records.read(Path(sys.argv[1]));"
        "known=Known(discover.methods(),discover.datasets(),discover.references());"
        "sys.stdout.buffer.write(page.page(page.Asked(run),known).encode())"
    )
    root = Path(package.__file__).parents[1]
    strange = {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONHASHSEED": "7", "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(RESULTS / "quickstart")],
        env={**os.environ, **strange}, cwd=tmp_path, capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout == here


def test_the_site_names_its_pages_and_gains_are_those_of_the_published_tables(quickstart):
    other = records.read(RESULTS / "relational")
    files = page.site({"quickstart": page.Asked(quickstart), "relational": page.Asked(other)}, KNOWN)
    assert [*files] == ["quickstart.html", "relational.html", "index.html"]
    index = Read(files["index.html"])
    assert {a["href"] for t, a in index.elements if t == "a"} == {"quickstart.html", "relational.html"}
    assert ("a", {"href": "index.html"}) in Read(files["relational.html"]).elements
    columns, leaders = page.board.leaders({"quickstart": quickstart, "relational": other})
    assert columns == ["quickstart", "relational"]
    found = {(key[0], key[2], key[3]): gains for key, gains in leaders}
    checked = 0
    for place, run in enumerate((quickstart, other)):
        for row in standing.standings(run, "x"):  # another way to the same number
            learner = "network" if row["learner"] == run.meta["suite"].get("net") else "classifier"
            if row["method"] == run.meta["suite"]["reference"]:  # nothing to itself
                continue
            gain = found[row["method"], row["setting"], learner][place]
            assert gain.value == pytest.approx(row["gain"], abs=1e-9)
            assert gain.pairs == ""
            checked += 1
    assert checked > 10


def test_names_of_pages_are_plain_and_differ():
    names = page.names([Path("r/a b"), Path("r/a-b"), Path("r/index"), Path("r/<x>"), Path("r/../r/A-B")])
    assert [*names] == ["a-b", "a-b-2", "index-2", "x", "A-B-3"]


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("{run}", "--out", "missing/page.html"), "no folder missing"),
        (("{run}", "--out", "."), "is a folder"),
        (("{run}", "{run}", "--out", "{file}"), "is a file"),
        (("{run}/nowhere",), "no run here"),
    ],
)
def test_what_cannot_be_written_is_refused(zoo, tmp_path, args, why):
    (tmp_path / "there").write_text("kept")
    places = {
        "run": page_runs.write(tmp_path / "run", [page_runs.record("m", "a:b", 0, 0.5)]),
        "file": tmp_path / "there",
    }
    before = sorted(tmp_path.rglob("*"))
    done = zoo("report", *(str(a).format(**places) for a in args))
    assert done.code == 2
    assert why in done.err
    assert done.err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "there").read_text() == "kept"


# -- a run of the command: what it prints runs again to nothing, and confusions are scikit-learn's


@pytest.fixture
def ran(zoo, tmp_path, suite_file):
    out = tmp_path / "run"
    assert (
        zoo(
            "run", suite_file, "--methods", "coral,dann", "--set", "coral.reg=0.5", "--executor", "local", "--out", out
        ).code
        == 0
    )
    return out


def test_the_command_of_a_cell_finds_nothing_left_to_do(zoo, ran, suite_file):
    run = records.read(ran)
    defaults = {name: info.parameters for name, info in discover.methods().items()}
    for label in ("coral", "dann"):
        for pair in run.meta["pairs"]:
            words = shlex.split(command(run.meta, label, pair, defaults[label]))
            assert words[:2] == ["zoo", "run"]
            assert ("coral.reg=0.5" in words) == (label == "coral")
            words[2] = str(suite_file)  # the suite is a file of one's own
            done = zoo(*words[1:], "--out", ran, "--dry-run", "--json")
            assert done.code == 0, done.err
            assert 0 < done.json["done"] == done.json["cells"]


def test_confusions_are_scikit_learns(zoo, ran, tmp_path, surf):
    from zoo.bench.confused import confusions
    from zoo.bench.suite import Suite

    run = records.read(ran)
    found, why = confusions(ran, run, surf)
    assert why == ""
    assert found.keys() == {r["cell"] for r in run.records if r["status"] == "ok"}
    suite = Suite.model_validate({k: v for k, v in run.meta["suite"].items() if k in Suite.model_fields})
    data = suite.kind.load(suite, [("amazon", "webcam"), ("webcam", "amazon")], surf)
    truths = {name: dict(zip(d.rows, d.y, strict=True)) for name, d in data.domains.items()}
    for record in run.records:
        with np.load(ran / "predictions" / f"{record['cell']}.npz") as kept:
            truth, guess = [truths[record["target"]][row] for row in kept["test_rows"]], kept["test_predicted"]
        classes, counts = found[record["cell"]]
        whole = np.zeros((len(classes), len(classes)), int)
        for true, predicted, n in counts:
            whole[true, predicted] = n
        assert (whole == confusion_matrix(truth, guess, labels=range(len(classes)))).all()
        assert np.trace(whole) / whole.sum() == pytest.approx(record["metrics"]["accuracy"])
    done = zoo("report", ran, "--out", tmp_path / "page.html", "--data-root", surf)
    assert done.code == 0, done.err
    text = Read((tmp_path / "page.html").read_text())
    row = next(text.json(f"row{i}") for i in range(3) if text.json(f"row{i}")["label"] == "coral")
    record = unpacked(text, row["records"][0])
    classes, counts = found[record["cell"]]
    assert record["confusion"] == [text.json("shared")["things"].index(list(classes)), counts]
    assert list(done.err.splitlines()) == [f"zoo: {tmp_path / 'page.html'}: a page that needs nothing else"]


def test_predictions_of_another_cell_have_no_confusion(ran, surf):
    from zoo.bench.confused import confusions

    run = records.read(ran)
    one, two = sorted((ran / "predictions").glob("*.npz"))[:2]
    one.write_bytes(two.read_bytes())
    found, why = confusions(ran, run, surf)
    assert one.stem not in found
    assert why.endswith(": 1 cell.")
    found, why = confusions(ran, run, surf / "nowhere")
    assert found == {}
    assert why.startswith("No confusion matrices: the data are not here")
