"""What `zoo info` says of a method in our tables is what pandas says of their records."""

import re
from pathlib import Path

import pytest

from zoo import records
from zoo.report import standing
from zoo.report.frame import frame

RESULTS = Path(__file__).parents[1] / "results"


def test_standings_are_pandas():
    run = records.read(RESULTS / "office31")
    rows = {row["method"]: row for row in standing.standings(run, "office31") if row["learner"] == "mobilenet_v2"}
    cells = frame(run).query("learner == 'mobilenet_v2' and status == 'ok' and source.notna()")
    pairs = 100 * cells.groupby(["method", "source", "target"]).accuracy.mean().unstack(["source", "target"])
    gains = pairs - pairs.loc["source_only"]
    for method, row in rows.items():
        assert row["value"] == pytest.approx(pairs.loc[method].mean())
        assert row["gain"] == pytest.approx(gains.loc[method].mean())
        assert row["lost"] == (gains.loc[method] < -1e-9).sum()  # what is equal but for rounding is no loss
        assert row["best_pair"] == ":".join(gains.loc[method].idxmax())
    unsupervised = {m: r for m, r in rows.items() if r["setting"] == "unsupervised"}
    order = pairs.loc[list(unsupervised)].mean(axis=1).rank(ascending=False)
    assert {m: r["rank"] for m, r in unsupervised.items()} == order.astype(int).to_dict()


def test_info_tells_wins_and_failures(zoo):
    out = " ".join(zoo("info", "dann").out.split())
    assert re.search(r"In our tables: .*office31 74\.9 \(mobilenet_v2; -1\.\d over its reference", out)
    assert "It wins most on quickstart optdigits→typeface (+26." in out
    assert re.search(r"It is below its reference on \d+ of \d+ pairs", out)
    assert "In our tables" not in zoo("info", "dummy").out
