"""What `zoo verify` prints: counts of each check, what differs, and the line for a paper."""

from __future__ import annotations

from collections.abc import Iterator

from zoo.records.verdicts import DIFFERENT, IDENTICAL, REFUSED, UNCHECKED, WITHIN, Verified

CHECKS = {
    "lines": "records' ids and digests",
    "predictions": "predictions beside their hash",
    "plan": "ids beside the plan",
    "metrics": "metrics from predictions",
    "again": "cells run again",
}
SHOWN = 20  # cells that differ; --json lists all


def text(said: Verified) -> str:
    """The report, a line a check and one for each of the first cells that differ."""
    return "\n".join(_lines(said))


def _lines(said: Verified) -> Iterator[str]:
    counts = said.counts()
    for check, name in CHECKS.items():
        found = {f: counts[check, f] for f in (IDENTICAL, WITHIN, DIFFERENT, REFUSED, UNCHECKED) if counts[check, f]}
        if found:
            yield f"{name}: {', '.join(f'{n} {f}' for f, n in found.items())}"
    left = said.cells - said.drawn
    yield f"{said.drawn} of {said.cells} cells were run again" + (f"; {left} were not (--all does)" if left else "")
    reasons: dict[str, int] = {}
    for v in said.verdicts:
        if v.found == UNCHECKED:
            reasons[f"{CHECKS[v.check]}: {v.reason}"] = reasons.get(f"{CHECKS[v.check]}: {v.reason}", 0) + 1
    for reason, n in reasons.items():
        yield f"unchecked, {n}: {reason}"
    wrong = [v for v in said.verdicts if v.found in (DIFFERENT, REFUSED)]
    near = [v for v in said.verdicts if v.found == WITHIN]
    for v in [*wrong, *near][:SHOWN]:
        yield f"{v.found}: {v.cell or 'a line'}: {CHECKS[v.check]}: {v.reason}"
    if len(wrong) + len(near) > SHOWN:
        yield f"and {len(wrong) + len(near) - SHOWN} more; --json lists all"
    yield said.badge()
