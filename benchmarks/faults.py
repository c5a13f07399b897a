"""Faults tried, and results lost or wrong: kill -9 of every process of a run, plugins that do harm, damaged files.

    python benchmarks/faults.py            within six minutes on two cores; writes benchmarks/faults.md
    python benchmarks/faults.py --kills 9 --seed 1 --examples 500

Moments, victims and damage are drawn from the seed; the clock decides the rest, so a second run tries other moments.
Exit code 1 where a result was lost or wrong, a reader ended in a traceback, or a file was left half-written.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # tests and their plugins, as pytest sees them

from benchmarks.damage import commands, readers, shown_readers  # noqa: E402

PLUGIN = ROOT / "tests" / "plugins" / "centre.py"
METHODS = "source_only,coral,kmm,dann,centre"
RUN = ["run", "quickstart", "--methods", METHODS, "--seeds", "1", "--steps", "30", "--workers", "2"]
COMMAND = [sys.executable, "-m", "zoo.cli", *RUN, "--plugin", str(PLUGIN)]
SPENT = {"fit_s", "fit_cpu_s", "shared_s", "predict_s", "peak_rss_mb", "peak_cuda_mb", "device", "digest"}
LATE = 120  # seconds after which a command hangs


# Kills ----------------------------------------------------------------------------------------------------------------


@dataclass
class Killed:
    """What kills of one kind of process came to."""

    victim: str
    tried: int = 0
    missed: int = 0  # the run ended, or no such process was there, before the moment came
    failed: int = 0  # cells that the command left failed, to be tried again
    flying: int = 0  # cells that may have been in flight
    lost: int = 0  # finished cells that were gone or ran again, and cells that failed without being in flight
    wrong: int = 0  # cells that after all differ from those of a run without faults, or are missing
    broken: list[str] = field(default_factory=list)  # commands that hung or ended in a traceback


def lines(folder: Path) -> list[dict]:
    """All whole lines of all records, the older files first."""
    found = []
    for file in sorted(folder.glob("records/*.jsonl"), key=lambda f: f.stat().st_mtime):
        for text in file.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):  # the last one, torn by the kill
                found.append(json.loads(text))
    return found


def finished(folder: Path) -> dict[str, list[dict]]:
    """Of every cell that is done all its lines, without what the clock and the machine say."""
    found: dict[str, list[dict]] = {}
    for r in lines(folder):
        if r["status"] == "ok":
            found.setdefault(r["cell"], []).append({k: v for k, v in r.items() if k not in SPENT})
    return found


def children(pid: int) -> list[int]:
    try:
        return [int(p) for t in Path(f"/proc/{pid}/task").iterdir() for p in (t / "children").read_text().split()]
    except OSError:  # it has just ended
        return []


def is_server(pid: int) -> bool:
    """Of the processes that servers fork only servers listen for the ends of their children."""
    try:
        caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return False
    return bool(caught) and bool(int(caught[1], 16) >> (signal.SIGCHLD - 1) & 1)


def victims(driver: int) -> dict[str, list[int]]:
    """The processes of a run by what they are, as they are at this moment."""
    servers = [p for p in children(driver) if is_server(p)]
    below = [p for server in servers for p in children(server)]
    strangers = [p for p in below if is_server(p)]
    workers = [p for p in below if p not in strangers] + [p for s in strangers for p in children(s)]
    return {"driver": [driver], "server": servers, "strangers' server": strangers, "worker": workers}


def kill(process: subprocess.Popen, out: Path, victim: str, after: int, delay: float, draw: random.Random) -> bool:
    """Kill one such process, `delay` seconds after so many records; False where the run was over before."""
    start = time.monotonic()
    while not (out / "run.json").exists() or len(lines(out)) < after:
        if process.poll() is not None or time.monotonic() > start + LATE:
            return False
        time.sleep(0.003)
    time.sleep(delay)
    while process.poll() is None:
        if found := victims(process.pid)[victim]:
            os.kill(draw.choice(sorted(found)), signal.SIGKILL)
            return True
        time.sleep(0.003)
    return False


def started(out: Path) -> subprocess.Popen:
    return subprocess.Popen([*COMMAND, "--out", str(out)], stdout=-1, stderr=subprocess.STDOUT, text=True)


def ended(process: subprocess.Popen) -> str:
    """What is wrong with how a command that was not killed itself ended; '' for nothing."""
    try:
        said, _ = process.communicate(timeout=LATE)
    except subprocess.TimeoutExpired:
        process.kill()
        return "hung"
    return "traceback" if "Traceback" in said else "" if process.returncode in (0, 1) else f"exit {process.returncode}"


def one_kill(out: Path, whole: dict[str, list[dict]], so_far: Killed, draw: random.Random) -> None:
    """One command, one kill, the same command again."""
    process = started(out)
    hit = kill(process, out, so_far.victim, draw.randrange(len(whole)), draw.uniform(0, 0.3), draw)
    how = ended(process)
    if not hit:
        so_far.missed += 1
        return
    so_far.tried += 1
    before = finished(out)
    bad = {r["cell"] for r in lines(out)} - before.keys()
    if so_far.victim == "driver":
        so_far.flying += min(2, len(whole) - len(before))  # two workers had a cell each at most
    else:
        so_far.broken += [how] if how else []
        so_far.failed += len(bad)
        so_far.lost += max(
            0, len(bad) - (so_far.victim == "worker")
        )  # a worker has one cell in flight, a server's rerun
        so_far.flying += len(bad) and so_far.victim == "worker"
    again = started(out)
    how = ended(again) or ("" if again.returncode == 0 else "exit 1 of the command that goes on")
    so_far.broken += [how] if how else []
    after = finished(out)
    so_far.lost += sum(len(after.get(cell, [])) != 1 for cell in before)
    so_far.wrong += sum(any(r != found[0] for r in after.get(c, [{}])) for c, found in whole.items())
    so_far.wrong += len(after.keys() - whole.keys())


def kills(n: int, seed: int, folder: Path) -> tuple[list[Killed], int]:
    """N kills of each kind of process, and how many cells the run without faults has."""
    process = started(folder / "whole")
    if wrong := ended(process):
        raise SystemExit(f"faults: the run without faults ended badly: {wrong}")
    whole, found = finished(folder / "whole"), []
    for victim in ("driver", "worker", "server", "strangers' server"):
        found.append(Killed(victim))
        for i in range(2 * n):  # as many again for moments that came too late
            if found[-1].tried < n:
                name = f"{victim}-{i}"
                one_kill(
                    folder / name.replace("'", "").replace(" ", "-"), whole, found[-1], random.Random(f"{seed}{name}")
                )
        print(found[-1], file=sys.stderr, flush=True)
    return found, len(whole)


def shown_kills(found: list[Killed], cells: int) -> list[str]:
    text = [
        f"## kill -9, at seeded moments of a run of {cells} cells, on two workers\n",
        "| killed | tried | cells failed at first | in flight | lost beyond these | wrong | hung or traceback |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for k in found:
        text.append(
            f"| {k.victim} | {k.tried} | {k.failed} | {k.flying} | {k.lost} | {k.wrong} | "
            f"{len(k.broken)}{' ' if k.broken else ''}{', '.join(sorted(set(k.broken)))} |"
        )
    missed = sum(k.missed for k in found)
    return [*text, "", f"{missed} more moments came after the end of the run and are not counted.", ""]


# Plugins --------------------------------------------------------------------------------------------------------------


@dataclass
class Attacked:
    """What became of one plugin's cells."""

    name: str
    cells: int
    ok: int
    gain: float | None  # by how much its best cell's accuracy is above source_only's, in points; None where none is ok
    reasons: list[str]


def attacks(folder: Path) -> tuple[list[Attacked], int, int]:
    """All plugins of tests/attacks at once; of the zoo's own cells how many there are, how many moved."""
    from tests import conftest, test_company, test_strangers
    from zoo.bench.run import Benchmark

    folder.mkdir()
    data = conftest._write_surf(folder / "data", per_class=10)
    out = folder / "with" / "run"
    told = [f"deletes_the_run.run={out}", f"reads_everything.run={out}", f"reads_everything.data={data}"]
    tables = sorted({p.stem for p in test_strangers.ATTACKS.glob("[a-z]*.py")} - test_strangers.ON_FACTS)
    runs = [test_strangers.attacked(folder / "without", data, [])]
    runs.append(test_strangers.attacked(folder / "with", data, tables, settings=told))

    (folder / "facts").mkdir()
    suite, own = test_company.facts(folder / "facts"), ["predicate_mapping", "type_prior"]
    plugins = test_strangers.written(folder / "facts", sorted(test_strangers.ON_FACTS))
    for path in plugins:  # facts have no 1-NN to start from
        path.write_text(re.sub(r"class _Nearest.*?(?=\ndef )", "", path.read_text(), flags=re.S))
    runs.append(Benchmark(str(suite), methods=own, out=folder / "facts" / "a").run())
    more = {"methods": [*own, *sorted(test_strangers.ON_FACTS)], "plugins": plugins}
    runs.append(Benchmark(str(suite), **more, out=folder / "facts" / "b").run())

    found, total, moved = [], 0, 0
    for alone, beside in (runs[:2], runs[2:]):
        without, together = finished(alone.folder), finished(beside.folder)
        total += len(without)
        moved += sum(together.get(cell) != kept for cell, kept in without.items())
        cells = {}
        for r in lines(beside.folder):
            if r["method"] in {*tables, *test_strangers.ON_FACTS}:
                cells.setdefault(r["method"], []).append(r)
        for name, of in sorted(cells.items()):
            ok = sum(r["status"] == "ok" for r in of)
            found.append(
                Attacked(name, len(of), ok, gain(of, lines(beside.folder)), sorted({r["reason"] for r in of} - {""}))
            )
    return found, total, moved


def gain(of: list[dict], everything: list[dict]) -> float | None:
    """How far the best of these cells is above source_only on the same pair and seed, in points."""
    where = ("source", "target", "seed")
    honest = {tuple(r[k] for k in where): r["metrics"] for r in everything if r["method"] == "source_only"}
    pairs = [(r["metrics"], honest.get(tuple(r[k] for k in where))) for r in of if r["status"] == "ok"]
    return max((100 * (m["accuracy"] - h["accuracy"]) for m, h in pairs if h), default=None)


def shown_attacks(found: list[Attacked], own: int, moved: int) -> list[str]:
    text = [
        "## Plugins of tests/attacks, all beside methods of the zoo\n",
        f"Of the zoo's own {own} cells beside them {moved} differ from those of a run without plugins.\n",
        "| plugin | cells | ok | failed | best gain over source_only | a reason |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for a in found:
        why = re.sub(r"\s+", " ", a.reasons[0] if a.reasons else "")
        why = re.sub(r"(/tmp)?/\S*/", "…/", why)[:90].replace("|", "\\|")
        points = "–" if a.gain is None else f"{a.gain:+.1f}"
        text.append(f"| {a.name} | {a.cells} | {a.ok} | {a.cells - a.ok} | {points} | {why} |")
    return [*text, ""]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=3, help="kills of each process")
    parser.add_argument("--examples", type=int, default=100, help="damaged documents of each test and kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    asked = parser.parse_args()
    os.environ["PYTHONPATH"] = str(ROOT)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as made:
        killed, cells = kills(asked.kills, asked.seed, Path(made))
        plugins, own, moved = attacks(Path(made) / "attacks")
        read = [*readers(asked.examples), *commands(asked.examples, asked.seed, Path(made) / "commands")]
    head = ["# Faults tried, and results lost or wrong\n"]
    head.append(f"`python benchmarks/faults.py`, seed {asked.seed}, {time.monotonic() - start:.0f} s.\n")
    text = [*head, *shown_kills(killed, cells), *shown_attacks(plugins, own, moved), *shown_readers(read)]
    asked.out.write_text("\n".join(text))
    print("\n".join(text))
    bad = moved + sum(k.lost + k.wrong + len(k.broken) for k in killed) + sum(r.tracebacks + r.half for r in read)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
