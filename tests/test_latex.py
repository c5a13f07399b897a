"""A paper's table: it compiles, and its names, references, marks and label are those of their sources."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from zoo import discover, records, source
from zoo.report import compare, compared, paper, table
from zoo.report.choice import Choice, chosen
from zoo.report.formats import latex

RESULTS = Path(__file__).parents[1] / "results"
RUNS = ["quickstart", "office_caltech", "relational"]
DOCUMENT = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[margin=2.5cm]{geometry}
\usepackage{booktabs,siunitx,threeparttable,graphicx}
\begin{document}
%s
%s
\end{document}
"""


@pytest.fixture(scope="module")
def methods():
    return discover.methods()


def made(name, methods, references=(), choice=None):
    run = records.read(RESULTS / name)
    return paper.dressed(table.build(chosen(run, choice or Choice())), run, methods, references)


def compiled(text, folder):
    if not (pdflatex := shutil.which("pdflatex")):
        pytest.skip("no pdflatex")
    (folder / "t.tex").write_text(text)
    command = [pdflatex, "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if missing := re.search(r"File `(\w+\.sty)' not found", done.stdout):
        pytest.skip(f"no {missing[1]}")
    assert done.returncode == 0, re.findall(r"^!.*", done.stdout, re.M)
    assert not re.search(r"Overfull \\hbox \((\d\d+)", done.stdout)


@pytest.mark.parametrize("name", RUNS)
def test_it_compiles(name, methods, tmp_path):
    t = made(name, methods, list(discover.references()))
    compiled(DOCUMENT % (table.render(t, "latex"), rf"Table~\ref{{{t.paper.label}}}."), tmp_path)


@pytest.mark.parametrize("name", RUNS)
def test_comparisons_compile(name, tmp_path):
    text = compared.render(records.read(RESULTS / name), form="latex", every_two=name == "quickstart")
    compiled(DOCUMENT % (text, ""), tmp_path)


def test_the_table_of_validators_compiles(zoo, tmp_path):
    done = zoo(
        "run", "quickstart", "--methods", "coral,kmm", "--trials", "3", "--seeds", "1", "--validators", "all", "--out",
        "run", "--executor", "local",
    )  # fmt: skip
    assert done.code == 0, done.err
    text = zoo("compare", "run", "--validators", "--format", "latex").out
    assert r"$\rho$ within a method" in text
    assert r"source\_accuracy & " in text
    compiled(DOCUMENT % (text, ""), tmp_path)


def test_names_and_references_are_those_of_the_classes(methods):
    text = table.render(made("quickstart", methods, list(discover.references())), "latex")
    assert r"Source only & logistic" in text
    for name in ("coral", "tca", "dann", "mcc", "shot"):
        assert rf"{methods[name].title}~\cite{{{methods[name].cite}}} &" in text
    assert "cite" not in table.render(made("quickstart", methods), "latex")
    assert (methods["dann"].title, methods["source_only"].title) == ("DANN", "Source only")


def test_a_row_under_a_label_of_its_own_keeps_it(methods):
    text = table.render(made("relational", methods), "latex")
    assert r"rdn\_boost\_sampled &" in text
    assert "RDN-Boost &" in text


def test_a_title_is_a_literal_and_moves_no_cell(tmp_path):
    body = 'from zoo.adapters.base import Mapping\n\n\nclass Mine(Mapping):\n    """One."""\n{}    cite = \'\'\n'
    hashes, titles = [], []
    for said in ("", "    title = 'MINE'\n", "    title = 'My Own'\n"):
        path = tmp_path / "mine.py"
        path.write_text(body.format(said))
        hashes.append(source.code_hash(path))
        titles.append(discover.methods([path])["mine"].title)
    assert len(set(hashes)) == 1
    assert titles == ["Mine", "MINE", "My Own"]
    path.write_text(body.format("    title = str(3)\n"))
    with pytest.raises(Exception, match="title has to be a literal"):
        discover.methods([path])
    path.write_text(body.format("    other = 'MINE'\n"))
    assert source.code_hash(path) != hashes[0]


def test_a_title_is_not_inherited(methods):
    assert methods["bsp"].title == "BSP"  # whose class is CDAN's child
    assert len({m.title for m in methods.values()}) == len(methods)


@pytest.mark.faults  # scipy takes seconds for each row with ties
def test_marks_are_the_comparisons_of_all_rows_though_some_are_shown(methods):
    run = records.read(RESULTS / "amazon_reviews_holdout")
    _, rows, _ = compare.gains(run, expect=False)
    sure = {
        (r.setting, r.learner, r.label): r.overall.mean > 0
        for r in rows
        if r.trusted and r.p is not None and r.p < 0.05
    }
    assert {True, False} == {*sure.values()}
    t = made("amazon_reviews_holdout", methods, choice=Choice(top=3))
    shown = {(r.setting, r.learner, r.label) for _, g in t.groups for r in g}
    assert t.paper.signs == {k: "*" if up else "°" for k, up in sure.items() if k in shown}
    text = table.render(t, "latex")
    assert text.count(r"\textsuperscript{*}") >= 1 + sum(sign == "*" for sign in t.paper.signs.values())
    assert "significantly better than" in text
    assert "Holm over all rows" in text


def test_few_pairs_have_no_mark(methods):
    t = made("quickstart", methods)
    assert (t.paper.signs, t.paper.notes) == ({}, [])
    assert "textsuperscript" not in table.render(t, "latex")


def test_label_and_caption_are_short_and_the_rest_stands_below(methods):
    t = made("quickstart", methods)
    text = table.render(t, "latex")
    assert r"\label{tab:quickstart}" in text
    assert r"\caption{quickstart: accuracy in \%, n = 3 seeds; holdout protocol.}" in text
    for part in t.caption.split(". Data: ")[1].split(". "):
        assert latex.tex(part.rstrip(".")) in text
    assert text.index("bottomrule") < text.index("Normalisation")
    run = records.read(RESULTS / "quickstart")
    assert paper.dressed(table.build(run, "f1_macro"), run, methods).paper.label == "tab:quickstart-f1-macro"


def test_the_command_cites_in_latex_alone(zoo):
    done = zoo("table", RESULTS / "quickstart", "--format", "latex", "--cite", "--methods", "dann", "--no-cost")
    assert done.code == 0, done.err
    assert r"DANN~\cite{ganin2016domain} & cnn" in done.out
    assert "CORAL" not in done.out
    assert "left out: " in done.out
    done = zoo("table", RESULTS / "quickstart", "--cite")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "--format latex --cite" in done.err
