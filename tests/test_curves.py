"""Learning curves as pictures: the lines are the means of the records, and methods without a network are left out."""

import numpy as np
import pytest

from zoo import records
from zoo.errors import BadInput
from zoo.records import Run
from zoo.report import plots
from zoo.report.plots import curves


def record(cell, method, omega, **more):
    found = {"step": [10, 20], "loss": [2.0, 1.0], "source": [1.5, 0.5], "omega": omega}
    return {
        "cell": cell, "method": method, "parameters": {}, "learner": "cnn", "family": "feature", "status": "ok",
        "setting": "unsupervised", "code": "c", "data": {}, "curves": found, **more,
    }  # fmt: skip


def run(*rows):
    named = {r["method"]: {"method": r["method"], "parameters": {}, "code": {"cnn": "c"}} for r in rows}
    return Run({"rows": named, "domains": {}, "suite": {}, "pairs": []}, list(rows))


def test_a_line_is_the_mean_over_cells_and_its_band_their_range():
    found = run(record("a", "dan", [0.4, 0.1]), record("b", "dan", [0.6, 0.3]), record("c", "kmm", [0, 0], curves={}))
    ((name, _, spans),) = curves.gathered(found)
    assert name == "dan"
    np.testing.assert_allclose(spans["omega"][1:], [[0.4, 0.1], [0.5, 0.2], [0.6, 0.3]])
    figure = curves.draw(found)
    drawn = [axes.lines[0].get_ydata() for axes in figure.axes]
    np.testing.assert_allclose(drawn, [[1.5, 0.5], [0.5, 0.2]])
    assert [(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes] == [("step", "source loss"), ("step", "Ω")]


def test_failed_and_stale_cells_are_left_out():
    good = record("a", "dan", [0.4, 0.1])
    found = run(good, record("b", "dan", [9, 9], status="diverged"), record("c", "dan", [9, 9], code="older"))
    assert curves.gathered(found)[0][2]["omega"][3].tolist() == [0.4, 0.1]
    with pytest.raises(BadInput, match="no finished cell of the run has learning curves"):
        plots.render(run(record("b", "dan", [9, 9], status="diverged")), "curves", ".png")


def test_the_same_records_give_the_same_bytes(tmp_path):
    import zoo

    results = zoo.run(
        "quickstart", methods=["dann"], seeds=1, steps=40, pairs=["typeface:optdigits"], out=tmp_path / "run"
    )
    one = plots.render(records.read(results.folder), "curves", ".svg")
    assert one == plots.render(records.read(results.folder), "curves", ".svg")
    assert "domain accuracy" in one.decode()
