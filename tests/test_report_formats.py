"""The same records give the same bytes, in each format that a table is written in."""

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

from tests.test_report import A, B, cells, dump, rows, run, shown, write
from zoo import records
from zoo.report import table
from zoo.report.frame import frame


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

    spec = re.search(r"\\begin\{tabular\}\{(.*)\}$", text, re.M)[1]
    plain = re.sub(r"S\[table-format=\d\.\d(?:, table-space-text-post=\{[^]]*\})?\]", "S", spec)
    columns = re.sub(r"S\[table-format=\d+\]", "S", plain)  # memory
    assert columns == "lll" + "S" * (len(t.columns) - 3) + "rSS"  # how often transfer is negative is no number
    body = re.search(r"\\toprule\n(.*)\\bottomrule", text, re.S)[1].splitlines()
    lines = [line for line in body if not line.startswith(r"\midrule")]
    for line in lines:
        assert line.endswith(r" \\")
        spans = re.fullmatch(r"\\multicolumn\{(\d+)\}.*", line)
        assert int(spans[1]) == len(columns) if spans else len(re.findall(r"(?<!\\)&", line)) + 1 == len(columns)
    assert len(lines) == 1 + len(t.groups) + len(rows(t))
    assert body.count(r"\midrule") == len(t.groups) - 1
    assert body[body.index(r"\midrule[\heavyrulewidth]") + 1].endswith(r"{\emph{oracle}} \\")
    assert r"\bfseries 85.0 {\mdseries ${}\pm{}$1.8}" in text
    assert r"\underline{80.0}\rlap{${}\pm{}$1.8}" in text
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
