"""The whole path against figures that independent code got from the same files (and the published row)."""

from __future__ import annotations

import pytest

import zoo

GOLDEN = {
    "caltech": {"amazon": 23.7, "webcam": 25.8, "dslr": 25.5},
    "amazon": {"caltech": 26.0, "webcam": 29.8, "dslr": 25.5},
    "webcam": {"caltech": 19.9, "amazon": 23.0, "dslr": 59.2},
    "dslr": {"caltech": 26.3, "amazon": 28.5, "webcam": 63.4},
}


@pytest.fixture(scope="module")
def frame(tmp_path_factory, office_caltech):
    out = tmp_path_factory.mktemp("golden") / "run"
    return zoo.run("office_caltech", methods=["source_only"], data_root=office_caltech, out=out).frame()


def test_one_cell_a_pair(frame):
    """1-NN in transductive depends on no seed: computed once, for all."""
    assert len(frame) == 12
    assert frame.seed.isna().all()
    assert set(frame.learner) == {"1nn"}


@pytest.mark.reference(
    method="source_only",
    source="independent code and the published row (1-NN, SURF)",
    compared="accuracy of twelve pairs of Office-Caltech, to a tenth of a point",
    differs="nothing",
)
@pytest.mark.parametrize(("source", "target"), [(s, t) for s, row in GOLDEN.items() for t in row])
def test_1nn(frame, source, target):
    (accuracy,) = frame[(frame.source == source) & (frame.target == target)].accuracy
    assert 100 * accuracy == pytest.approx(GOLDEN[source][target], abs=0.05)


def test_average(frame):
    assert 100 * frame.accuracy.mean() == pytest.approx(31.4, abs=0.05)
