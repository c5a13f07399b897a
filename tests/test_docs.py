"""The pages that we write: their plugins pass the contract, their code runs, their commands, links and tables hold.

A command in the guide's blocks of `sh` is run here, in a folder where runs/quickstart is the published run; a suite of
one's own is planned. Only the arguments are read of what needs data (it says `--data-root`), of what other tests run
(quickstart, and the contract tests), of a block after ``<!-- not run: WHY -->``, in results/, and within a sentence.
"""

import doctest
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import readme
import typer
import zoo_page
from ruamel.yaml import YAML as Yaml

from zoo import check, cli, discover, select, wrappers
from zoo.bench.suite import Suite

ROOT = Path(__file__).parents[1]
WRITTEN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINKED = [*WRITTEN, ROOT / "CHANGELOG.md", *sorted((ROOT / "results").rglob("README.md"))]
TEXT = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in LINKED}
GUIDE = "\n".join(TEXT[path.relative_to(ROOT).as_posix()] for path in WRITTEN)
FENCE = re.compile(r"^(?:<!-- (not run): [^\n]* -->\n)?```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
PYTHON = list(dict.fromkeys(code for _, language, code in FENCE.findall(GUIDE) if language == "python"))
PLUGINS = {m[1]: code for code in PYTHON if (m := re.match(r"# (\w+\.py)\n", code))}  # others are run as they are
YAML = list(dict.fromkeys(code for _, language, code in FENCE.findall(GUIDE) if language == "yaml"))
INLINE = re.findall(r"`(zoo [a-z]+ [^`\n]+)`", GUIDE)


def shell(text):
    """The commands of blocks of `sh`, each with whether a comment takes it out."""
    blocks = [(bool(marked), code) for marked, language, code in FENCE.findall(text) if language == "sh"]
    return {c.strip(): m for m, code in blocks for c in re.findall(r"(?:^|&& )(zoo [a-z][^#\n]*)", code, re.M)}


load = Yaml(typ="safe").load
COMMANDS = list(shell("\n".join(TEXT.values()))) + list(dict.fromkeys(INLINE))
RUN = [
    c
    for c, marked in shell(GUIDE).items()
    if not marked and not re.search(r"--data-root|zoo run quickstart|zoo check", c)
]


GROUP = typer.main.get_command(cli.app)


def parse(command):
    """Parse a command line as the command would, without running it."""
    group = GROUP
    words = shlex.split(command, comments=True)[1:]
    words = words[: words.index(">")] if ">" in words else words
    root = group.make_context("zoo", list(words))
    name, sub, rest = group.resolve_command(root, words)
    return name, sub.make_context(name, rest, parent=root).params


@pytest.mark.parametrize("name", PLUGINS)
def test_plugins_keep_the_contract(name, tmp_path):
    path = tmp_path / name
    path.write_text(PLUGINS[name])
    outcomes = check.run(path)
    assert not [o for o in outcomes if not o.ok]
    assert sum(o.skipped for o in outcomes) < len(outcomes) / 2


def test_the_first_plugin_is_as_short_as_promised_and_runs_in_a_suite(zoo, tmp_path):
    path = tmp_path / "my_method.py"
    path.write_text(PLUGINS["my_method.py"])
    assert len(path.read_text().splitlines()) <= 20
    done = zoo("run", "quickstart", "--plugin", path, "--methods", "my_method,coral", "--seeds", 1)
    assert done.code == 0
    assert re.search(r"^\| my_method .*\d\d\.\d", done.out, re.M)


def test_other_code_runs(server, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rest = [code for code in PYTHON if code not in PLUGINS.values()]
    assert len(rest) == 5
    scope = {}
    for code in rest:
        exec(code, scope)
    out = capsys.readouterr().out
    assert "| coral " in out
    assert "{'tca__k': " in out
    assert Path("gains.svg").read_bytes().startswith(b"<?xml")
    assert scope["scores"].shape == (300, 2)
    assert scope["scores"].sum(1).numpy() == pytest.approx(1)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_parse(command):
    name, given = parse(command)
    known = {*discover.methods(), *(Path(file).stem for file in PLUGINS), "my_other", "my_judge", *select.validators()}
    known |= wrappers.here([*(given.get("methods") or "").split(","), given.get("method") or ""]).keys()
    if name == "run":
        assert given["suite"] in {*discover.suites(), "SUITE", "mine.yaml"}
        assert {
            *(given["methods"] or "").split(","),
            *(s.partition("=")[0].rpartition(".")[0] for s in given["set_"] or ()),
        } - {""} <= known
    if name in ("info", "check"):
        assert str(given.get("method") or given["what"]).removesuffix(".py") in {*known, "FILE", "METHOD"}


def test_an_option_that_is_not_there_is_found():
    assert len(COMMANDS) > 10
    with pytest.raises(Exception, match="No such option"):
        parse("zoo run quickstart --method coral")


@pytest.fixture
def desk(zoo):
    """The folder that the guide's commands are typed in: a finished run, our results, two files of one's own."""
    for name in ("quickstart", "shared"):
        shutil.copytree(ROOT / "results" / "quickstart", Path("runs", name))
    Path("results").symlink_to(ROOT / "results")
    for name in ("clinic", "home"):
        rows = [f"{i % 7 + len(name)},{i % 5},{'ill' if i % 2 else 'well'}" for i in range(40)]
        Path(f"{name}.csv").write_text("\n".join(["f1,f2,diagnosis", *rows]) + "\n")
    Path("mine.yaml").write_text(next(code for code in YAML if "clinic.csv" in code))
    return zoo


@pytest.mark.parametrize("command", RUN)
def test_commands_run(command, desk):
    words, _, file = command.partition(" > ")
    words = shlex.split(words)[1:]
    done = desk(*words, *(["--dry-run"] if words[0] == "run" else []))
    assert done.code == 0, done.err
    assert done.out or "--out" in words
    assert not file or Suite.model_validate({"name": "mine", "dataset": "own"} | load(done.out))


@pytest.mark.parametrize("code", YAML, ids=[f"{i}" for i in range(len(YAML))])
def test_suites_are_valid(code):
    assert Suite.model_validate({"name": "mine", "dataset": "own"} | load(code)).data.domains


@pytest.mark.parametrize("page", TEXT)
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", TEXT[page], flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / page).parent / file if file else ROOT / page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("page", [page for page in TEXT if page not in ("CHANGELOG.md", "docs/methods.md")])
def test_files_that_are_named_exist(page):
    for path in re.findall(r"`((?:zoo|tests|benchmarks|docs)/[a-z0-9_./]+)`", TEXT[page]):  # not FAMILY and the like
        assert (ROOT / path).exists(), path
    for path, name in re.findall(r"`(zoo/[\w/]+\.py)`: `(\w+)`", TEXT[page]):
        assert re.search(rf"^ *(def|class) {name}\b", (ROOT / path).read_text(encoding="utf-8"), re.M), (path, name)


def anchors(text):
    """What a page's headings are called in links."""
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^#+ (.*)$", text, re.M)}


def test_a_link_to_nowhere_is_found(monkeypatch):
    monkeypatch.setitem(TEXT, "docs/faq.md", "[there](data.md#no-such-heading)")
    with pytest.raises(AssertionError, match="no-such-heading"):
        test_links_lead_somewhere("docs/faq.md")


def test_the_site_has_every_page_of_the_guide():
    assert set(re.findall(r"(\S+\.md)$", (ROOT / "mkdocs.yml").read_text().split("\nnav:")[1], re.M)) == {
        *(path.name for path in (ROOT / "docs").glob("*.md")),
        "results/README.md",
    }


def test_the_readme_is_one_page():
    assert len(TEXT["README.md"].splitlines()) <= 200


def test_all_options_of_run_are_in_the_table_and_no_others():
    section = TEXT["docs/suites.md"].split("## Options")[1]
    run = typer.main.get_command(cli.app).commands["run"]
    assert set(re.findall(r"--[a-z][a-z-]*", section)) == {o for p in run.params for o in p.opts if o.startswith("--")}


def test_all_keys_of_a_suite_are_listed():
    listed = re.search(r"its keys are\n`([^`]+)`", TEXT["docs/suites.md"])[1]
    assert set(re.split(r",\s*", listed)) == set(Suite.model_fields)


def test_all_suites_have_a_section():
    assert set(re.findall(r"^### ([a-z0-9_]+)$", TEXT["docs/suites.md"], re.M)) == set(discover.suites())


def test_all_methods_are_on_the_page_of_the_zoo():
    assert set(re.findall(r"^### ([a-z0-9_]+)$", TEXT["docs/methods.md"], re.M)) == set(discover.methods())


def test_every_run_has_its_table_on_the_page_of_its_folder():
    for name in readme.blocks.runs(ROOT / "results"):
        page = TEXT[f"results/{name.split('/')[0]}/README.md"]
        assert f"<!-- table {name} -->" in page
        assert re.search(rf"<!-- command .*\b{name}\b.* -->", page)


@pytest.mark.parametrize("name", ["fsdd", "amazon_reviews", "office31_labels/5", "office31_end_to_end", "relational"])
def test_the_command_of_a_run_is_the_one_that_was_typed(name):
    """Of runs that one command made; what it says of a folder, a machine and an order is left out."""
    (line,) = readme.blocks.of_run(readme.blocks.read(ROOT / "results" / name), name)
    meta = json.loads((ROOT / "results" / name / "run.json").read_text())
    found, typed = parse(line)[1], parse(meta["command"])[1]
    for given in (found, typed):
        given |= {"out": None, "data_root": None, "workers": None, "methods": {*(given["methods"] or "").split(",")}}
        given["weights"] = given["weights"] and Path(given["weights"]).name
    assert found == typed


def test_a_paper_is_one_line():
    assert doctest.testmod(zoo_page) == (0, 1)


def test_pages_are_those_of_the_records(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["readme.py", "--check"])
    assert readme.main() == 0, capsys.readouterr().err


def test_a_table_that_differs_is_found_then_written(zoo, tmp_path, monkeypatch):
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- table quickstart -->\n| 99.9 |\n<!-- end -->\nafter\n")

    def tool(*more):
        monkeypatch.setattr(sys, "argv", ["readme.py", "--readme", str(page), *more])
        return readme.main()

    assert tool("--check") == 1
    assert "99.9" in page.read_text()
    assert tool() == 0
    assert tool("--check") == 0
    table = zoo("table", ROOT / "results" / "quickstart", "--no-cost").out.strip()
    assert page.read_text() == f"before\n<!-- table quickstart -->\n{table}\n<!-- end -->\nafter\n"


def test_a_missing_run_is_named(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("<!-- table quickstart -->\n<!-- end -->\n")
    tool = [sys.executable, ROOT / "benchmarks" / "readme.py", "--readme", page, "--results", tmp_path]
    done = subprocess.run(tool, capture_output=True, text=True)
    assert done.returncode == 2
    assert "no run here" in done.stderr
    assert page.read_text() == "<!-- table quickstart -->\n<!-- end -->\n"
