"""What tables say of a stream beside its accuracy: its order, who predicts when, its last tenth, seconds a batch."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from zoo.report.cells import Cell, Column
from zoo.report.lines import Line

LAST = "accuracy_last"
ORDERS = {
    "shuffled": "in any order",
    "by_class": "one class after another",
    "by_domain": "one domain after another",
}
STEPS = {"before": "Scores of before its step", "after": "of after it"}


def streams(suite: dict[str, Any]) -> bool:
    """Whether target samples arrived one batch after another."""
    return suite.get("protocol") == "stream"


def said(meta: dict[str, Any]) -> str:
    """The protocol in words; which rows predict a batch before the step that it gives, and which after."""
    suite, rows = meta["suite"], meta["rows"]
    order = ORDERS.get(suite.get("order") or "", suite.get("order"))
    text = (
        "stream (source 80 % train, 20 % validation; every target sample arrives once and is scored then, "
        f"{order}, {suite.get('stream_batch')} at a time; none is there before)"
    )
    by_step = {step: [label for label, row in rows.items() if row.get("predicts") == step] for step in STEPS}
    told = [f"{words}: {', '.join(by_step[step])}" for step, words in STEPS.items() if by_step[step]]
    return ". ".join([text, "; ".join(told)[:1].upper() + "; ".join(told)[1:]]) if told else text


def columns(suite: dict[str, Any], cost: bool) -> list[Column]:
    """Columns of a stream alone."""
    if not streams(suite):
        return []
    return [Column(LAST, "last tenth", "%"), *([Column("batch_s", "batch (s)", "s")] if cost else [])]


def seconds(line: Line, suite: dict[str, Any]) -> Cell:
    """Mean seconds that a batch takes, predicting and adapting."""
    size = suite.get("stream_batch") or 1
    done = [r for r in line.records() if r["status"] == "ok" and r.get("predict_s") is not None and r.get("n_test")]
    found = [r["predict_s"] / -(-r["n_test"] // size) for r in done]
    return Cell(fmean(found), None, len(found), f"{fmean(found):.3f}") if found else Cell()
