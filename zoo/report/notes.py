"""The lines under a table: what its signs mean, what is missing from it and why, and which rows to doubt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from zoo.errors import one_line
from zoo.records import FINAL, Record, Run, main_metric
from zoo.report.cells import EQUAL, LOWER, Table
from zoo.report.lines import CONSTANT, UNLINKED, Line

LIBRARIES = ("python", "torch", "numpy", "scipy", "scikit-learn")


def notes(
    run: Run, table: Table, lines: list[Line], stale: Counter[str], heads: dict[str, str], better: str
) -> list[str]:
    """All notes, in the order in which they are printed.

    Parameters
    ----------
    table : the table without its notes
    lines, stale : as from `zoo.report.lines.lines`
    heads : the printed name of each pair
    better : "higher" or "lower"
    """
    names = _names(lines)
    return [
        *_legend(run, table, better),
        *([run.omitted] if run.omitted else []),
        *_stale(stale),
        *run.remarks(),
        *run.age(),
        *_versions(lines),
        *_data(run),
        *without_result(run, lines, heads),
        *(f"differing label sets: {heads[p]}: {why}" for p, why in run.meta.get("partial", {}).items() if p in heads),
        *_blind(lines, names, heads),
        *_unconverged(lines, names, heads),
        *_at_chance(run, lines, names, heads),
        *_identical(lines, names),
    ]


def without_result(run: Run, lines: list[Line], heads: dict[str, str]) -> list[str]:
    """What gave no result and why: a line for each row, status and reason, and one for each reason of unsupported."""
    return [*_failures(lines, _names(lines), heads), *_unsupported(run, heads)]


def _names(lines: list[Line]) -> dict[int, str]:
    """Rows in words, with the setting where label and learner have several."""
    twice = Counter((line.shown, line.learner) for line in lines)
    return {
        id(line): f"{line.shown} ({line.learner}{f', {line.setting}' if twice[line.shown, line.learner] > 1 else ''})"
        for line in lines
    }


def _legend(run: Run, table: Table, better: str) -> Iterator[str]:
    if not table.groups:
        yield "no finished cells yet"
    cells = {c.key: [row.cells[j] for _, rows in table.groups for row in rows] for j, c in enumerate(table.columns)}
    every = [cell for column in cells.values() for cell in column]
    if any(cell.std is not None for cell in every):
        yield "±: sample standard deviation over seeds; of an average: of the seeds' averages"
    if any(cell.mark for cell in every):
        yield (
            f"bold: best, underlined: second of a column within a setting ({better} is better); not ranked: oracle, "
            "methods that see no target, and where a seed or a pair is missing"
        )
    if any(cell.text == "–" for key, column in cells.items() if ":" in key for cell in column):
        yield "–: not run, or the metric has no meaning there"
    if any("pairs)" in cell.tail for cell in cells.get("average", [])):
        yield "average with a count of pairs: over those that every row of the setting finished"
    if any(cell.n for cell in cells.get("negative_transfer", [])):
        reference = run.meta["suite"].get("reference", "source_only")
        yield f"negative transfer: pairs on which a row is worse than {reference} of the same learner"
    if any(cell.n for cell in cells.get("accuracy_last", [])):
        yield "last tenth: accuracy over the last tenth of the stream, averaged over pairs; batch: seconds for one"
    if any(cell.n for cell in cells.get("time_s", [])):
        yield "time: mean fit of a cell, shared artefacts included; memory: highest peak of a cell's process"


def _stale(stale: Counter[str]) -> Iterator[str]:
    if stale:
        counts = ", ".join(f"{label} {count}" for label, count in sorted(stale.items()))
        yield f"stale records, of other code, data or parameters, left out: {counts}"


def _versions(lines: list[Line]) -> Iterator[str]:
    """What differs among the libraries that made the records of the table."""
    records = {r["cell"]: r for line in lines for r in line.records() if r["status"] == "ok"}
    said = []
    for name in LIBRARIES:
        counts = Counter(v for r in records.values() if (v := (r.get("versions") or {}).get(name)))
        if len(counts) > 1:
            said.append(f"{name} {', '.join(f'{version} ({n})' for version, n in sorted(counts.items()))}")
    if said:
        yield f"records made with different versions stand in this table: {'; '.join(said)}"


def _data(run: Run) -> Iterator[str]:
    """What was left out or assumed at loading."""
    for name, domain in run.meta["domains"].items():
        yield from (f"data of {name}: {note}" for note in domain.get("notes", ()))


def _failures(lines: list[Line], names: dict[int, str], heads: dict[str, str]) -> Iterator[str]:
    """One line for each row, status and reason, naming the cells."""
    for line in lines:
        failed: dict[tuple[str, str], dict[str, list[str]]] = {}
        for pair, head in heads.items():
            for seed, record in sorted(line.pairs.get(pair, {}).items(), key=lambda item: item[0] or 0):
                if record["status"] not in FINAL:
                    key = record["status"], one_line(record.get("reason") or "no reason given", 0)
                    failed.setdefault(key, {}).setdefault(head, []).extend([] if seed is None else [str(seed)])
        for (status, reason), cells in sorted(failed.items()):
            where = (f"{head} (seed{'s'[: len(s) > 1]} {', '.join(s)})" if s else head for head, s in cells.items())
            yield f"{status}: {names[id(line)]} on {', '.join(where)}: {reason}"


def _unsupported(run: Run, heads: dict[str, str]) -> Iterator[str]:
    """One line a reason: what the plan left out, and what only turned out when it ran."""
    said = [
        (
            f"{u['label']} on {heads.get(u['pair'], u['pair'])}" if u.get("pair") else u["label"],
            u["learner"],
            u["reason"],
        )
        for u in run.meta.get("unsupported", [])
    ]
    for record in run.records:
        if record["status"] == "unsupported":
            labels = [label for label in run.labels(record) if not run.stale(record, label)]
            said += [(label, record["learner"], record.get("reason")) for label in labels]
    reasons: dict[str, dict[str, set[str]]] = {}
    for label, learner, reason in said:
        reasons.setdefault(one_line(reason or "", 0), {}).setdefault(label, set()).update({learner} - {None, ""})
    for reason, methods in sorted(reasons.items()):
        who = (f"{x} ({', '.join(sorted(learners))})" if learners else x for x, learners in sorted(methods.items()))
        yield f"unsupported: {', '.join(who)}: {reason}"


def _blind(lines: list[Line], names: dict[int, str], heads: dict[str, str]) -> Iterator[str]:
    """Cells whose predictions say nothing of a row; where all seeds of a pair are such, it is not ranked."""
    for why in (CONSTANT, UNLINKED):
        flagged = []
        for line in lines:
            found = []
            for pair, head in heads.items():
                done = [s for s, r in line.pairs.get(pair, {}).items() if r["status"] == "ok"]
                hit = [s for s in done if line.blind(pair, s) == why]
                few = f" (seed{'s'[: len(hit) > 1]} {', '.join(sorted(map(str, hit)))})" if len(hit) < len(done) else ""
                found += [f"{head}{few}"] if hit else []
            flagged += [_where(names[id(line)], found, heads)] if found else []
        if flagged:
            yield f"{why}, hence not ranked where all seeds are such: {'; '.join(flagged)}"


def _unconverged(lines: list[Line], names: dict[int, str], heads: dict[str, str]) -> Iterator[str]:
    flagged = []
    for line in lines:
        cells = {pair: [r for r in line.pairs.get(pair, {}).values() if r["status"] == "ok"] for pair in heads}
        found = [
            heads[p] for p, rs in cells.items() if any((r.get("certificate") or {}).get("unconverged") for r in rs)
        ]
        flagged += [_where(names[id(line)], found, heads)] if found else []
    if flagged:
        yield (
            "the base classifier did not converge, so that figures may depend on rounding; features of a common scale "
            f"(normalise: [zscore]) help: {'; '.join(flagged)}"
        )


def _where(name: str, found: list[str], heads: dict[str, str]) -> str:
    return f"{name} on {'all pairs' if found == [*heads.values()] and len(heads) > 1 else ', '.join(found)}"


def _at_chance(run: Run, lines: list[Line], names: dict[int, str], heads: dict[str, str]) -> Iterator[str]:
    """Cells no better in the mean than dummy, or than one over the number of classes (facts: AUROC, 1/2)."""
    metric, flagged = main_metric(run.meta), []
    sign = -1 if metric in LOWER else 1
    for line in lines:
        low = []
        for pair in heads:
            classes = run.meta["domains"].get(pair.split(":")[1], {}).get("classes")
            levels = [other.mean(pair, metric) for other in lines if other.method == "dummy"]
            level = max([sign * x for x in levels if x is not None] + ([1 / classes] if classes else []), default=None)
            mean = line.mean(pair, metric)
            if mean is not None and level is not None and sign * mean <= level + EQUAL:
                low.append(heads[pair])
        if low and line.method != "dummy":
            flagged.append(_where(names[id(line)], low, heads))
    if flagged:
        yield f"at chance (no better than dummy or 1/classes): {'; '.join(flagged)}"


def _identical(lines: list[Line], names: dict[int, str]) -> Iterator[str]:
    """Rows whose predictions, or all of whose metrics, are those of source_only wherever both are finished."""
    flagged = []
    for line in lines:
        twin = next((x for x in lines if x.method == "source_only" and x.learner == line.learner), None)
        if twin is None or line.method == "source_only":
            continue
        both = [
            (record, other)
            for pair, seeds in line.pairs.items()
            for seed, record in seeds.items()
            if (other := twin.pairs.get(pair, {}).get(seed) or twin.pairs.get(pair, {}).get(None))
            and record["status"] == other["status"] == "ok"
        ]
        if both and all(_alike(a, b) for a, b in both):
            flagged.append(names[id(line)])
    if flagged:
        yield f"identical to source_only of the same learner: {', '.join(flagged)}"


def _alike(a: Record, b: Record) -> bool:
    """Whether two records are of the same predictions, or of the same metrics where there are any."""
    scored = any(v is not None for v in (a.get("metrics") or {}).values())
    keys = ("predictions_sha256", "metrics") if scored else ("predictions_sha256",)
    return any(a.get(k) and a[k] == b.get(k) for k in keys)
