"""What the published records say, against figures that a plain loop on the same files gave."""

from pathlib import Path

import pytest

from zoo.bench.run import Results

RESULTS = Path(__file__).parents[1] / "results"


def accuracy(name, source, target):
    frame = Results(RESULTS / name).frame()
    pair = frame[(frame.source == source) & (frame.target == target) & (frame.learner == "cnn")]
    return pair.groupby("method").accuracy.agg(["mean", "count"])


def test_usps_to_mnist():
    """A plain loop: source 60, dan 91, dann 92 at 32×32; the aligned ones gain 15 points and more."""
    found = accuracy("digits", "usps", "mnist")
    assert (found["count"] >= 5).all()
    for method in ("dan", "dann"):
        assert found["mean"][method] >= 0.88
        assert found["mean"][method] >= found["mean"]["source_only"] + 0.15


@pytest.mark.skipif(not (RESULTS / "digits_framed").exists(), reason="not run")
def test_framing_alone_is_worth_more_than_ten_points():
    """A plain loop with MNIST's margin cropped: source 85, dan 93, dann 95."""
    framed, plain = (accuracy(name, "usps", "mnist")["mean"] for name in ("digits_framed", "digits"))
    assert framed["source_only"] >= plain["source_only"] + 0.1
    for method in ("dan", "dann"):
        assert framed[method] >= 0.9
