"""README and CONTRIBUTING: their plugins pass the contract, their code runs, their commands and options exist."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from zoo import check, cli, discover
from zoo.bench.suite import Suite

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BOTH = README + (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"^```python\n(.*?)^```", BOTH, re.DOTALL | re.MULTILINE)
PLUGINS = {m[1]: code for code in PYTHON if (m := re.match(r"# (\w+\.py)\n", code))}  # others are run as they are
SHELL = "".join(re.findall(r"^```sh\n(.*?)^```", BOTH, re.DOTALL | re.MULTILINE))
INLINE = "\n".join(re.findall(r"`(zoo [^`\n]+)`", BOTH))
COMMANDS = [c.strip() for c in re.findall(r"(?:^|&& )(zoo [a-z][^#\n]*)", SHELL + INLINE, re.M)]
TOOL = [sys.executable, str(ROOT / "benchmarks" / "readme.py")]


def parse(command):
    """Parse a command line as the command would, without running it."""
    group = typer.main.get_command(cli.app)
    words = shlex.split(command, comments=True)[1:]
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
    assert len(rest) == 2
    scope = {}
    for code in rest:
        exec(code, scope)
    assert "| coral " in capsys.readouterr().out
    assert scope["scores"].shape == (300, 2)
    assert scope["scores"].sum(1).numpy() == pytest.approx(1)


@pytest.mark.parametrize("command", dict.fromkeys(COMMANDS))
def test_commands_parse(command):
    name, given = parse(command)
    known = {*discover.methods(), *(Path(file).stem for file in PLUGINS)}
    if name == "run":
        assert given["suite"] in {*discover.suites(), "SUITE", "mine.yaml"}
        assert {*(given["methods"] or "").split(","), *(s.split(".")[0] for s in given["set_"] or ())} - {""} <= known
    if name in ("info", "check"):
        assert str(given.get("method") or given["what"]).removesuffix(".py") in {*known, "FILE", "METHOD"}


def test_an_option_that_is_not_there_is_found():
    assert len(COMMANDS) > 10
    with pytest.raises(Exception, match="No such option"):
        parse("zoo run quickstart --method coral")


def test_all_options_of_run_are_in_the_table_and_no_others():
    section = README.split("## Options")[1]
    run = typer.main.get_command(cli.app).commands["run"]
    assert set(re.findall(r"--[a-z][a-z-]*", section)) == {o for p in run.params for o in p.opts if o.startswith("--")}


def test_all_keys_of_a_suite_are_listed():
    listed = re.search(r"its keys are\n`([^`]+)`", README)[1]
    assert set(re.split(r",\s*", listed)) == set(Suite.model_fields)


def test_all_suites_have_a_section():
    assert set(re.findall(r"^### ([a-z0-9_]+)$", README, re.M)) == set(discover.suites())


def test_tables_are_those_of_the_records():
    assert set(re.findall(r"<!-- table (\w+) -->", README)) == {
        path.parent.name for path in (ROOT / "results").glob("*/run.json")
    }
    done = subprocess.run([*TOOL, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_table_that_differs_is_found_then_written(zoo, tmp_path):
    zoo("run", "quickstart", "--methods", "coral", "--seeds", 1, "--out", tmp_path / "quickstart")
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- table quickstart -->\n| 99.9 |\n<!-- end -->\nafter\n")
    tool = [*TOOL, "--readme", readme, "--results", tmp_path]
    assert subprocess.run([*tool, "--check"], capture_output=True).returncode == 1
    assert "99.9" in readme.read_text()
    assert subprocess.run(tool).returncode == 0
    assert subprocess.run([*tool, "--check"]).returncode == 0
    table = zoo("table", tmp_path / "quickstart", "--no-cost").out.strip()
    assert readme.read_text() == f"before\n<!-- table quickstart -->\n{table}\n<!-- end -->\nafter\n"


def test_a_missing_run_is_named(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("<!-- table quickstart -->\n<!-- end -->\n")
    done = subprocess.run([*TOOL, "--readme", readme, "--results", tmp_path], capture_output=True, text=True)
    assert done.returncode == 2
    assert "no run here" in done.stderr
    assert readme.read_text() == "<!-- table quickstart -->\n<!-- end -->\n"
