"""Pictures: what is drawn is what pandas computes from the frame, no label covers another, same records, same bytes."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.text import Annotation, Text
from scipy.stats import ttest_1samp

from zoo import discover, records
from zoo.errors import BadInput
from zoo.report import drawing, plots
from zoo.report.frame import frame
from zoo.report.plots import bars as bars_
from zoo.report.plots import gains, time

RESULTS = Path(__file__).parents[1] / "results"
NAMES = ["quickstart", "office_caltech"]


@pytest.fixture(scope="module", params=NAMES)
def run(request):
    return records.read(RESULTS / request.param)


@pytest.fixture(scope="module")
def small():
    return records.read(RESULTS / "quickstart")


@pytest.fixture(scope="module")
def caltech():
    return records.read(RESULTS / "office_caltech")


MEANS = {}  # of each run once, kept with it so that its id is not another's


def means(run):
    if id(run) not in MEANS:
        MEANS[id(run)] = run, _means(run)
    return MEANS[id(run)][1]


def _means(run):
    """Accuracy in % by pair, then (label, setting, learner); a cell without a source is in each pair of its target."""
    f = frame(run)
    f = f[(f.status == "ok") & ~f.stale]
    by = {}
    for pair in run.meta["pairs"]:
        source, target = pair.split(":")
        here = f[(f.target == target) & ((f.source == source) | f.source.isna())]
        by[pair] = 100 * here.groupby(["label", "setting", "learner"]).accuracy.mean()
    return f, by


def expected(run, label, setting, learner):
    _, by = means(run)
    return np.array([by[pair][label, setting, learner] for pair in run.meta["pairs"]])


def named(text):
    label, _, setting = text.partition(", ")
    return label, setting or ("none" if label in ("dummy", "source_only") else "unsupervised")


def drawn(figure):
    figure.draw_without_rendering()
    return figure


def test_gains_are_differences_to_the_reference_of_the_same_learner(run):
    figure = drawn(gains.draw(run))
    axes = figure.axes[0]
    (image,) = axes.images
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    assert names
    for i, name in enumerate(names):
        text, learner = re.fullmatch(r"(.*) \((.*)\)", name).groups()
        gain = expected(run, *named(text), learner) - expected(run, "source_only", "none", learner)
        assert np.asarray(image.get_array()[i]) == pytest.approx(gain)
    numbers = [float(t.get_text().replace("−", "-")) for t in axes.texts]
    assert numbers == pytest.approx(np.ravel(image.get_array()), abs=0.0501)
    assert not {"dummy", "source_only", "target_only", "joint"} & {n.split(" ")[0] for n in names}


def test_losses_are_red_and_gains_blue_around_a_neutral_zero(caltech):
    (image,) = gains.draw(caltech).axes[0].images
    low, high = image.get_clim()
    assert low == -high
    assert high >= np.abs(image.get_array()).max()
    red, _, blue, _ = image.to_rgba(np.array([-0.5 * high, 0, 0.5 * high])).T
    assert red[0] > blue[0]
    assert red[2] < blue[2]
    assert red[1] == pytest.approx(blue[1], abs=0.03)


def test_a_pair_that_is_not_finished_is_a_dash(caltech):
    lost = [r for r in caltech.records if not (r["method"] == "coral" and r["source"] == "amazon")]
    axes = gains.draw(replace(caltech, records=lost)).axes[0]
    (image,) = axes.images
    assert image.get_array().mask.sum() == 3
    assert [t.get_text() for t in axes.texts].count("–") == 3


def test_bars_are_means_over_pairs_with_lines_at_reference_and_ceiling(run):
    figure = drawn(bars_.draw(run))
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    assert set(panels) == {run.meta["suite"]["base"], run.meta["suite"]["net"]}
    for learner, axes in panels.items():
        names = [tick.get_text() for tick in axes.get_yticklabels()]
        bars = [bar.get_width() for bar in axes.patches]
        assert bars == pytest.approx([expected(run, *named(n), learner).mean() for n in names])
        lines = {line.get_label(): line.get_xdata()[0] for line in axes.lines}
        assert lines["source_only"] == pytest.approx(expected(run, "source_only", "none", learner).mean())
        assert lines["target_only"] == pytest.approx(expected(run, "target_only", "oracle", learner).mean())


def whiskers(axes, name):
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    (bars,) = axes.collections
    return bars.get_segments()[names.index(name)][:, 0]


def test_whiskers_are_students_interval_of_the_difference_over_pairs(caltech):
    axes = drawn(bars_.draw(caltech)).axes[0]
    reference = expected(caltech, "source_only", "none", "1nn")
    gain = expected(caltech, "coral", "unsupervised", "1nn") - reference
    interval = ttest_1samp(gain, 0).confidence_interval(0.95)
    assert whiskers(axes, "coral") - reference.mean() == pytest.approx([interval.low, interval.high])
    assert "95 % interval over pairs" in axes.figure.axes[-1].get_xlabel()


def test_whiskers_of_few_pairs_are_over_seeds():
    run = records.read(RESULTS / "quickstart_all")
    axes = next(a for a in drawn(bars_.draw(run)).axes if a.get_title(loc="left") == "cnn")
    f, _ = means(run)
    f = f[(f.label == "dan") & (f.setting == "unsupervised")]
    seeds = 100 * f.groupby("seed").accuracy.mean()
    assert whiskers(axes, "dan") == pytest.approx([seeds.mean() - seeds.std(), seeds.mean() + seeds.std()])
    assert "sd over seeds" in axes.get_xlabel()


def test_only_pairs_that_all_finished_are_averaged(caltech):
    lost = [r for r in caltech.records if not (r["method"] == "kmm" and (r["source"], r["seed"]) == ("amazon", 3))]
    axes = drawn(bars_.draw(replace(caltech, records=lost))).axes
    assert "mean of 9 of 12 pairs" in axes[-1].get_xlabel()
    names = [tick.get_text() for tick in axes[0].get_yticklabels()]
    kept = [not pair.startswith("amazon") for pair in caltech.meta["pairs"]]
    coral = expected(caltech, "coral", "unsupervised", "1nn")[kept].mean()
    assert axes[0].patches[names.index("coral")].get_width() == pytest.approx(coral)


def points(axes):
    """Of each point its name and place: the notes stand in the order of the points."""
    notes = [t for t in axes.texts if isinstance(t, Annotation) and t.get_text()]
    return [(t.get_text(), *t.xy) for t in notes]


def test_time_against_accuracy(run):
    (axes,) = drawn(time.draw(run)).axes
    assert axes.get_xscale() == "log"
    f, _ = means(run)
    f = f.assign(time=f.fit_s + f.shared_s.fillna(0))
    times = f.groupby(["label", "setting", "learner"]).time.mean()
    known = {
        (key[0], key[1], round(times[key], 9), round(expected(run, *key).mean(), 6))
        for key in times.index
        if key[0] != "dummy" and key[1] != "oracle"
    }
    found = points(axes)
    assert {(*named(name), round(x, 9), round(y, 6)) for name, x, y in found} == known
    (front,) = [line for line in axes.lines if line.get_label() == "Pareto front"]
    best = {(x, y) for _, x, y in found if not any(a <= x and b >= y and (a, b) != (x, y) for _, a, b in found)}
    assert set(map(tuple, front.get_xydata())) == best


@pytest.mark.parametrize("kind", ["bars", "gains", "time"])
def test_no_text_covers_another_or_leaves_the_picture(run, kind):
    with rc_context(drawing.STYLE):
        figure = drawn(discover.load(discover.plots()[kind]).draw(run))
        unseen = {id(text) for axes in figure.axes for text in out_of_view(axes)}
        texts = [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible() and id(t) not in unseen]
        boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    assert len(boxes) > 8
    for i, (text, box) in enumerate(boxes):
        assert figure.bbox.contains(*box.min), text
        assert figure.bbox.contains(*box.max), text
        assert not [other for other, taken in boxes[:i] if box.overlaps(taken)], text


def out_of_view(axes):
    """Labels of ticks beyond the limits exist and are not drawn."""
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
            if not low <= tick.get_loc() <= high:
                yield from (tick.label1, tick.label2)


@pytest.mark.parametrize("suffix", [".svg", ".pdf", ".png"])
@pytest.mark.parametrize("kind", ["bars", "gains", "time"])
def test_the_same_records_give_the_same_bytes(small, kind, suffix):
    again = replace(small, records=small.records[::-1])
    one = plots.render(small, kind, suffix)
    assert one == plots.render(again, kind, suffix)
    assert one.startswith({".svg": b"<?xml", ".pdf": b"%PDF", ".png": b"\x89PNG"}[suffix])
    assert not re.search(rb"CreationDate|<dc:date>", one)


def test_the_command_writes_a_file_or_nothing(zoo, tmp_path):
    folder = RESULTS / "quickstart"
    out = tmp_path / "gains.svg"
    done = zoo("plot", folder, "--kind", "gains", "--out", out)
    assert (done.code, done.out) == (0, "")
    shown = (
        r"zoo: .*gains\.svg: 3\.4 × \d\.\d inches, \d+ kB: gains of 15 rows over source_only on 2 pairs, in points\n"
    )
    assert re.fullmatch(shown, done.err)
    assert out.read_bytes() == plots.render(records.read(folder), "gains", ".svg")
    (tmp_path / "empty").mkdir()
    meta = json.loads((folder / "run.json").read_text())
    (tmp_path / "empty" / "run.json").write_text(json.dumps(meta))
    for where, kind, name, says in [
        (
            folder,
            "pie",
            "x.svg",
            "unknown kind of plot 'pie': it is one of bars, gains, time, cd, confusion, ",
        ),
        (folder, "bars", "x.docx", r"unknown format '\.docx'.*\.png, \.pdf, \.svg"),
        (folder, "bars", "x", "unknown format ''"),
        (folder, "bars", "none/x.svg", "--out .*none/x.svg: "),
        (tmp_path / "empty", "bars", "x.svg", "no finished cells"),
        (tmp_path / "empty", "time", "x.svg", "no finished cells"),
        (tmp_path / "empty", "gains", "x.svg", "nothing to draw"),
        (tmp_path / "nowhere", "gains", "x.svg", "no run here"),
    ]:
        done = zoo("plot", where, "--kind", kind, "--out", tmp_path / name)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert re.search(says, done.err)
    assert not list(tmp_path.glob("x*"))


def test_a_run_with_nothing_but_the_reference(caltech):
    alone = replace(caltech, records=[r for r in caltech.records if r["method"] == "source_only"])
    for kind in ("bars", "gains"):
        with pytest.raises(BadInput, match="nothing to draw"):
            plots.render(alone, kind, ".png")
    assert plots.render(alone, "time", ".png")


# -- critical differences


def test_critical_differences_are_those_of_a_direct_computation(caltech):
    _, by = _means(caltech)
    import pandas as pd
    from scipy.stats import studentized_range

    wide = pd.DataFrame({pair: by[pair] for pair in caltech.meta["pairs"]}).dropna()
    wide = wide[[not setting.endswith("oracle") for _, setting, _ in wide.index]]
    ranks = wide.round(8).rank(ascending=False).mean(axis=1).sort_values()
    k, n = len(ranks), wide.shape[1]
    difference = studentized_range.ppf(0.95, k, np.inf) / np.sqrt(2) * np.sqrt(k * (k + 1) / (6 * n))
    figure = drawn(discover.load(discover.plots()["cd"]).draw(caltech))
    axes = figure.axes[0]
    points_ = [line.get_xdata()[0] for line in axes.lines]
    assert points_ == pytest.approx(ranks.tolist(), abs=1e-9)
    assert f"{difference:.1f}" in next(t.get_text() for t in axes.texts)


def test_no_name_leaves_the_picture_of_critical_differences_and_bytes_stay(caltech):
    with rc_context(drawing.STYLE):
        figure = drawn(discover.load(discover.plots()["cd"]).draw(caltech))
        unseen = {id(text) for axes in figure.axes for text in out_of_view(axes)}
        texts = [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible() and id(t) not in unseen]
        boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    assert len(boxes) > 35
    for i, (text, box) in enumerate(boxes):
        assert figure.bbox.contains(*box.min), text
        assert figure.bbox.contains(*box.max), text
        assert not [other for other, taken in boxes[:i] if box.overlaps(taken)], text
    again = replace(caltech, records=caltech.records[::-1])
    assert plots.render(caltech, "cd", ".svg") == plots.render(again, "cd", ".svg")


def test_too_few_pairs_have_no_critical_difference(small):
    with pytest.raises(BadInput, match="6 pairs and 3 rows"):
        plots.render(small, "cd", ".png")


# -- validators against accuracy


def test_points_of_a_validator_are_its_values_and_the_accuracies(small):
    sys.path.insert(0, str(Path(__file__).parent))
    import test_selection

    made = test_selection.planted(lambda accuracy, trial: None if trial == 2 else -accuracy)  # trial 2: no finite value
    figure = drawn(discover.load(discover.plots()["selection"]).draw(made))
    (axes,) = [axes for axes in figure.axes if axes.get_visible()]
    shown = sorted(map(tuple, axes.collections[0].get_offsets().round(9).tolist()))
    accuracies = [values[trial] for values in test_selection.ACCURACY.values() for trial in (0, 1)]
    assert shown == sorted((-a, round(100 * a, 9)) for a in accuracies)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("v", "accuracy (%)")
    with pytest.raises(BadInput, match="no validator has judged"):
        plots.render(small, "selection", ".png")
