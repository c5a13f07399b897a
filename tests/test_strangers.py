"""Plugins that do harm or look for labels: each gains nothing, spoils nothing, and the run goes on.

All of them run in one command beside methods of the zoo, and the zoo's records are byte for byte as without them.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from zoo import discover
from zoo.bench.executors import processes
from zoo.bench.run import Benchmark, Results
from zoo.vault import answers, confine, wire

ATTACKS = Path(__file__).parent / "attacks"
OWN = ["source_only", "coral", "kmm", "target_only"]
ON_FACTS = {"remembers_folds", "spoils_facts"}
STREAMS = {"keeps_batches", "reads_ahead"}  # tests/test_stream.py
ALONE = {"deletes_the_run", "reads_everything", "walk", "keep", "neighbours", "unpermute", "_knn"}
EVERYONE = sorted({p.stem for p in ATTACKS.glob("*.py")} - ON_FACTS - ALONE - STREAMS)
SPENT = {"fit_s", "fit_cpu_s", "shared_s", "predict_s", "peak_rss_mb", "digest"}
SUITE = """\
dataset: office_caltech
pairs: ['dslr:webcam', 'webcam:dslr']
base: logistic
seeds: 1
"""

landlock = pytest.mark.skipif(not confine.abi(), reason="this kernel has no Landlock")


def written(folder: Path, names: list[str]) -> list[Path]:
    """The attacks as plugin files: one file, one public class."""
    shared, files = (ATTACKS / "_knn.py").read_text(), []
    for name in names:
        files.append(folder / f"{name}.py")
        source = shared + (ATTACKS / f"{name}.py").read_text()
        files[-1].write_text(re.sub(r"\bNearest\b", "_Nearest", source))
    return files


def attacked(tmp: Path, data: Path, names: list[str], own: list[str] = OWN, **options: object) -> Results:
    """A run of attacks beside methods of the zoo."""
    tmp.mkdir(exist_ok=True)
    suite = tmp / "attacked.yaml"
    suite.write_text(SUITE)
    given = {"methods": [*own, *names], "plugins": written(tmp, names), "data_root": data, "out": tmp / "run"}
    return Benchmark(str(suite), **{"timeout": 60, **given, **options}).run()


def records(run: Results) -> dict[str, dict]:
    """Records by cell, without what the clock says."""
    lines = [json.loads(t) for f in sorted(run.folder.glob("records/*.jsonl")) for t in f.read_text().splitlines()]
    return {r["cell"]: {k: v for k, v in r.items() if k not in SPENT} for r in lines}


def of(run: Results, method: str) -> list[dict]:
    return [r for r in records(run).values() if r["method"] == method]


@pytest.fixture(scope="module")
def data(tmp_path_factory, write_surf):
    return write_surf(tmp_path_factory.mktemp("data"), per_class=10)


@pytest.fixture(scope="module")
def without(tmp_path_factory, data):
    return attacked(tmp_path_factory.mktemp("without") / "a", data, [])


@pytest.fixture(scope="module")
def run(tmp_path_factory, data):
    return attacked(tmp_path_factory.mktemp("with") / "a", data, EVERYONE)


def test_the_zoo_s_own_records_are_as_without_plugins(run, without):
    """Before: `spoils_classifier` and `patches_libraries` moved 16 of 30 cells under the same ids."""
    found, alone = records(run), records(without)
    assert len(alone) == 8
    assert {cell: found[cell] for cell in alone} == alone


def test_every_cell_is_there_and_typed(run):
    found = records(run)
    assert len(found) == 8 + 2 * len(EVERYONE)
    assert {r["status"] for r in found.values()} <= {"ok", "failed"}
    assert all(r["reason"].isprintable() and len(r["reason"]) <= 300 for r in found.values())
    for format in ("md", "latex", "csv", "html", "json"):
        assert run.table(format).encode()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("certificate_key", "certificate_ has texts for keys"),
        ("explains_a_set", "explanation_ is no JSON"),
        ("pickles_into_driver", "explanation_ is no JSON"),
        ("unpicklable_error", "E: 1"),
        ("surrogate_message", "bad . text red . \\| pipe <script>"),
        ("writes_garbage", "no message"),
        ("lies_about_lengths", "bytes of arrays, more than can be due"),
        ("floods_messages", "its worker's answer: fit_s"),
        ("absurd_answers", "its worker's answer"),
        ("checkpoints_in_predict", r"a note \(checkpoint\) after its fit has returned"),
        ("centres_the_batch", "not row-wise"),
        ("leaves_a_child", "exit code 3"),
        ("kills_the_server", "died 2 times|Operation not permitted"),
    ],
)
def test_a_cell_of_its_own_fails_with_a_reason(run, name, reason):
    cells = of(run, name)
    assert {c["status"] for c in cells} == {"failed"}
    assert all(re.search(reason, c["reason"]) for c in cells), {c["reason"] for c in cells}


def test_no_answer_is_more_than_malformed():
    """Before: an array as a status, a number of 400 digits, a path with a NUL and others ended the run."""
    namespace = {}
    exec((ATTACKS / "absurd_answers.py").read_text().partition("class ")[0], namespace)

    def judged(data: io.BytesIO) -> object:
        reader = wire.Reader(wire.Limits())
        while not reader.fill(data.readinto):
            pass
        said = reader.whole.popleft()
        return answers.note(said) if "note" in said else answers.failure(said) or answers.fit(said)

    for absurd in namespace["ABSURD"]:
        with pytest.raises(wire.Malformed):
            judged(io.BytesIO(namespace["packed"](*absurd)))


@pytest.mark.parametrize(
    ("name", "key"), [("pools_sources", "sources"), ("sees_test_early", "test_rows_known_before_fit")]
)
def test_a_fit_knows_nothing_of_another(run, name, key):
    """Before: a worker knew every source it had trained on, and in 36 of 60 cells the test rows."""
    expected = {"sources": 1.0, "test_rows_known_before_fit": 0.0}[key]
    assert [c["certificate"][key] for c in of(run, name)] == [expected] * 2


@pytest.mark.parametrize("name", ["patches_libraries", "reconstructs_split", "returns_twice", "sees_test_early"])
def test_what_is_looked_for_is_not_found(run, name):
    """Their own accuracy is that of the classifier they start from, cell by cell."""
    honest = {(r["source"], r["target"], r["seed"]): r["metrics"] for r in of(run, "source_only")}
    for cell in of(run, name):
        if cell["status"] == "ok":
            assert cell["metrics"]["accuracy"] == honest[cell["source"], cell["target"], cell["seed"]]["accuracy"]
        else:
            assert name == "returns_twice"


def test_each_chunk_of_test_rows_is_the_first(run):
    """What `predict` keeps is gone at the next chunk, so that every chunk's answer is that of a first one."""
    cells = of(run, "remembers_the_test")
    assert {c["status"] for c in cells} == {"ok"}
    with_chunks = {(c["target"], c["seed"]): c["predictions_sha256"] for c in cells}
    assert len(with_chunks) == 2


@landlock
def test_nothing_outlives_a_fit(run):
    """Before: a file in /tmp was a memory of all labelled sources."""
    for cell in of(run, "leaves_files"):
        assert cell["status"] == "ok", cell["reason"]
        kept = {k: v for k, v in cell["certificate"].items() if v and k != "refused"}
        assert kept == {}


@landlock
def test_no_other_process_is_touched_or_seen(run):
    """Before: a limit that a plugin set on the driver ended the run; arguments and locks were texts for other fits."""
    for cell in of(run, "acts_on_others"):
        assert cell["status"] == "ok", cell["reason"]
        assert {k for k, v in cell["certificate"].items() if v} == set()


@landlock
def test_neither_data_nor_run_nor_sockets_are_reached(tmp_path, data, server):
    places = {"data": str(data), "run": str(tmp_path / "a" / "run")}
    settings = [f"reads_everything.{k}={v}" for k, v in places.items()]
    earlier = tmp_path / "a" / "earlier"  # before: the scores of its target_only were as good as labels
    (earlier / "predictions").mkdir(parents=True)
    for name in ("run.json", "predictions/0.npz"):
        (earlier / name).write_text("{}")
    run = attacked(tmp_path / "a", data, ["reads_everything"], own=["source_only"], settings=settings)
    for cell in of(run, "reads_everything"):
        assert cell["status"] == "ok", cell["reason"]
        assert {k for k, v in cell["certificate"].items() if v} == set()


@pytest.fixture
def no_landlock(monkeypatch):
    monkeypatch.setattr(processes.confine, "abi", lambda: 0)


@pytest.mark.faults
def test_a_plugin_that_kills_its_server_fails_alone(tmp_path, data, without, no_landlock):
    """Before: exit code 1 with no message at all. Its neighbours are tried again, one by one."""
    names = ["kills_the_server", "pools_sources", "sees_test_early"]
    run = attacked(tmp_path / "a", data, names, workers=2)
    assert {r["status"] for r in of(run, "kills_the_server")} == {"failed"}
    assert all("died" in r["reason"] for r in of(run, "kills_the_server"))
    for name in names[1:]:
        assert [r["status"] for r in of(run, name)] == ["ok"] * 2
    alone = records(without)
    assert {cell: records(run)[cell] for cell in alone} == alone


@pytest.mark.faults
def test_a_deleted_run_folder_is_made_again(tmp_path, data, no_landlock):
    run = attacked(
        tmp_path / "a", data, ["deletes_the_run"], own=["source_only"],
        settings=[f"deletes_the_run.run={tmp_path / 'a' / 'run'}"],
    )  # fmt: skip
    assert len(records(run)) == 4
    assert "source_only" in run.table()


@pytest.mark.faults
def test_a_child_that_is_left_behind_ends_with_its_worker(tmp_path, data, no_landlock):
    """`setsid` does not save one. Before: the driver waited for the child, which held the pipe."""
    (tmp_path / "a").mkdir()
    mark = f"/proc/self/fd zoo-left-{os.getpid()}"
    plugin = tmp_path / "leaves.py"
    plugin.write_text(
        (ATTACKS / "_knn.py").read_text().replace("class Nearest", "class _Nearest")
        + f'''
class Leaves(_Nearest):
    """Leaves a child in a session of its own, which leaves another."""

    def improve(self, task, honest):
        import os, subprocess, sys

        if os.fork() == 0:
            os.setsid()
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)  # {mark}"], start_new_session=True)
            import time
            time.sleep(300)
        return honest
'''
    )
    suite = tmp_path / "s.yaml"
    suite.write_text(SUITE)
    start = time.monotonic()
    run = Benchmark(str(suite), methods=["leaves"], plugins=[plugin], data_root=data, out=tmp_path / "run").run()
    assert time.monotonic() - start < 100
    assert [r["status"] for r in of(run, "leaves")] == ["ok"] * 2
    found = subprocess.run(["pgrep", "-f", f"zoo-left-{os.getpid()}"], capture_output=True, text=True).stdout.split()
    assert not found


@pytest.mark.faults
@pytest.mark.parametrize("strangers", [False, True], ids=["own", "strangers"])
def test_a_killed_server_costs_no_cell(tmp_path, data, without, strangers):
    """kill -9 of either server in the middle: the cells in flight run again, and the records are the same."""
    (tmp_path / "a").mkdir()
    suite = tmp_path / "a" / "attacked.yaml"
    suite.write_text(SUITE)
    plugins = written(tmp_path / "a", ["sees_test_early"])
    methods = [*OWN, "sees_test_early"]
    benchmark = Benchmark(str(suite), methods=methods, plugins=plugins, data_root=data, out=tmp_path / "a" / "run")
    executor = benchmark.executor
    victim = executor.server(strangers)
    pid = victim.pid if strangers else victim.process.pid

    def kill():
        while not list(benchmark.store.folder.glob("records/*.jsonl")):
            time.sleep(0.002)
        os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    run = benchmark.run()
    killer.join()
    found, alone = records(run), records(without)
    assert {r["status"] for r in found.values()} == {"ok"}, {(r["method"], r["reason"]) for r in found.values()}
    assert len(found) == len(alone) + 2
    assert {cell: found[cell] for cell in alone} == alone


def test_a_docstring_moves_no_cursor(tmp_path):
    path = tmp_path / "mine.py"
    said = "Mine \\x1b[31m red.\\n\\n    More \\x1b]0;title\\x07 of it."
    path.write_text(f"from zoo.adapters.feature.coral import Coral\n\n\nclass Mine(Coral):\n    '{said}'\n")
    info = discover.methods([path])["mine"]
    assert info.summary == "Mine  red."
    assert info.doc.splitlines()[2].startswith("More ")
    assert "\x1b" not in info.doc


def test_what_plugins_print_is_limited(tmp_path, data, capfd, own_server):
    attacked(tmp_path / "a", data, ["floods_stderr"], own=["source_only"])
    said = capfd.readouterr().err
    assert len(said) < 20_000
    assert re.search(r"plugins printed \d+ bytes more, which are not shown", said)


def test_facts(tmp_path):
    """Before: the labelled queries of one fold were remembered in the next (AUROC 50 → 75), facts were written into."""
    folder = tmp_path / "facts"
    folder.mkdir()
    files = written(folder, sorted(ON_FACTS))
    for path in files:
        path.write_text(re.sub(r"class _Nearest.*?(?=\ndef )", "", path.read_text(), flags=re.S))
    own = ["predicate_mapping", "type_prior"]
    few = ["predicate_mapping.trees=2", "predicate_mapping.more=2", "rdn_boost.trees=2"]
    rest = {"seeds": 1, "settings": few, "pairs": ["imdb:uwcse"]}
    run = Benchmark("relational_few", methods=[*own, *ON_FACTS], plugins=files, out=tmp_path / "run", **rest).run()
    kept = records(Benchmark("relational_few", methods=own, out=tmp_path / "alone", **rest).run())
    found = records(run)
    assert {cell: found[cell] for cell in kept} == kept
    assert {r["method"] for r in found.values()} >= ON_FACTS
    for cell in of(run, "remembers_folds"):
        assert cell["status"] != "ok" or cell["certificate"]["remembered"] < 100


def test_a_run_of_plugins_says_where_nothing_confines_them(tmp_path, monkeypatch):
    path = tmp_path / "mine.py"
    path.write_text("from zoo.adapters.feature.coral import Coral\n\n\nclass Mine(Coral):\n    '''Mine.'''\n")

    benchmark = Benchmark("quickstart", methods=["mine"], plugins=[path], out=tmp_path / "run")
    benchmark.close()
    assert benchmark.unconfined == (confine.abi() == 0)
    monkeypatch.setattr(confine, "abi", lambda: 0)
    assert benchmark.unconfined
    monkeypatch.setattr(benchmark, "executor_name", "local")
    assert not benchmark.unconfined
    own = Benchmark("quickstart", methods=["coral"], executor="local", out=tmp_path / "own")
    monkeypatch.setattr(own, "executor_name", "processes")
    assert not own.unconfined
