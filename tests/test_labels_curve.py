"""The curve over labels: its figures are pandas', its picture is drawn, and runs of no curve are told."""

import pandas as pd
import pytest

from zoo import records
from zoo.bench.run import Benchmark
from zoo.errors import BadInput
from zoo.report import labels, plots
from zoo.report.frame import frame
from zoo.report.plots import labels as picture


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    found = []
    for k in (3, 1):
        folder = tmp_path_factory.mktemp("labels") / str(k)
        benchmark = Benchmark(
            "quickstart", methods=["linear_probe", "labelled_only"], labels=k, steps=8, seeds=2, out=folder, workers=2
        )
        benchmark.run()
        found.append(records.read(folder))
    return found


def test_the_curve_is_the_mean_over_pairs_then_seeds(runs):
    amounts, curves = labels.gathered(runs)
    assert amounts == [1, 3]
    assert [c.label for c in curves] == ["source_only", "labelled_only", "linear_probe"]
    for k, run in ((3, runs[0]), (1, runs[1])):
        cells = frame(run).query("learner == 'cnn' and status == 'ok'")
        for c in curves:
            rows = cells[cells.label == c.label]
            wide = pd.concat(
                [rows[rows.target == pair.split(":")[1]].set_index("seed").accuracy for pair in run.meta["pairs"]],
                axis=1,
            )
            seeds = wide.mean(axis=1)
            assert c.mean(k) == pytest.approx(100 * seeds.mean())
            assert c.deviation(k) == pytest.approx(100 * seeds.std())


def test_the_table_has_a_row_a_method_and_one_best_a_column(runs):
    lines = labels.table(runs).splitlines()
    assert lines[0] == "| method | 1 a class | 3 a class |"
    assert len(lines) == 5
    for column in (2, 3):
        assert sum("**" in line.split("|")[column] for line in lines) >= 1


def test_the_picture_has_a_panel_with_three_lines(runs, tmp_path):
    (panel,) = [a for a in picture.draw(*runs).axes if a.get_visible()]
    assert len([line for line in panel.lines if len(line.get_xdata())]) == 3
    assert [t.get_text() for t in panel.get_xticklabels()] == ["1", "3"]
    assert plots.render(runs, "labels", ".png").startswith(b"\x89PNG")
    assert plots.render(runs, "labels", ".svg") == plots.render(runs, "labels", ".svg")


def test_runs_that_make_no_curve(runs):
    with pytest.raises(BadInput, match="two or more numbers of labels"):
        labels.gathered(runs[:1])
    with pytest.raises(BadInput, match="two or more numbers of labels"):
        labels.gathered([runs[0], runs[0]])
    with pytest.raises(BadInput, match="draws one run folder, got 2"):
        plots.render(runs, "bars", ".png")
    other = records.Run({**runs[1].meta, "suite": {**runs[1].meta["suite"], "steps": 9}}, runs[1].records)
    with pytest.raises(BadInput, match="steps is 9, 8"):
        labels.gathered([runs[0], other])
