"""The script that says how far two runs' averages are apart, on runs worked out by hand."""

import runpy
from pathlib import Path

import pandas as pd
import pytest

from zoo.errors import BadInput

SCRIPT = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "moved.py"))


def frame(values, code="c", status="ok"):
    """Cells of one method: an accuracy for each (target, seed)."""
    keys = {"label": "m", "learner": "1nn", "setting": "none", "source": None, "status": status, "code": code}
    return pd.DataFrame([keys | {"target": t, "seed": s, "accuracy": a} for (t, s), a in values.items()])


def test_means_over_pairs_and_deviations_over_seeds():
    old = frame({("a", 0): 0.2, ("b", 0): 0.4, ("a", 1): 0.4, ("b", 1): 0.6, ("c", 0): 1.0})
    new = frame({("a", 0): 0.3, ("b", 0): 0.5, ("a", 1): 0.7, ("b", 1): 0.9}, code="d")
    table = SCRIPT["moved"](old, new)
    row = table.iloc[0]
    assert (row.n, row.cells, row.same_code) == (2, 4, False)  # the cell that one run lacks is left out
    assert (row.old, row.new, row.difference) == pytest.approx((40, 60, 20))
    assert (row.old_std, row.new_std) == pytest.approx((200**0.5, 800**0.5))
    assert row.errors == pytest.approx(20 / (1000 / 2) ** 0.5)
    shown = SCRIPT["shown"](table).splitlines()
    assert shown[2] == "| m (other code) | 1nn | none | 40.00 ± 14.14 | 60.00 ± 28.28 | +20.00 | +0.9 |"


def test_runs_without_a_common_cell_are_refused():
    old = frame({("a", 0): 0.2})
    for other in (frame({("b", 0): 0.2}), frame({("a", 0): 0.2}, status="failed")):
        with pytest.raises(BadInput, match="no cell in common"):
            SCRIPT["moved"](old, other)
