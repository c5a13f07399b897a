"""Pictures of cells: numbers are scikit-learn's, titles say what they should, no text covers another, bytes stay.

Also what all pictures share: which rows are drawn, in which order, and that none is higher than a page.
"""

import re
import struct
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.text import Text
from sklearn.metrics import confusion_matrix

from tests.test_plot import out_of_view
from zoo import discover, records
from zoo.bench.known import Known
from zoo.bench.run import Benchmark
from zoo.errors import BadInput
from zoo.report import compare, drawing, plots, rowcells
from zoo.report.beside import Beside
from zoo.report.choice import Choice, chosen
from zoo.report.lines import lines
from zoo.report.plots import cd, confusion, curves, distance, embedding, gains, reliability, weights
from zoo.report.table import build

RESULTS = Path(__file__).parents[1] / "results"
OWN = ("confusion", "distance", "embedding", "reliability", "weights")


@pytest.fixture(scope="module")
def ran(tmp_path_factory, surf, server):
    """A small run that kept its features, and what lies beside it."""
    folder = tmp_path_factory.mktemp("kept") / "run"
    suite = {"dataset": "office_caltech", "pairs": ["amazon:webcam"], "base": "logistic", "net": "mlp", "steps": 5}
    suite |= {"batch_size": 16, "seeds": 2, "methods": ["source_only", "coral", "kmm", "dan"]}
    Benchmark(suite, out=folder, keep=["features"], data_root=surf, executor="local").run()
    run = records.read(folder)
    return run, Beside(folder, Known(run, surf).truth, lambda: {"amazon:webcam": 1.25})


def found(run, label):
    return [r for r in run.records if r["method"] == label]


def test_labels_are_those_that_give_the_accuracy(ran):
    run, beside = ran
    for record in run.records:
        arrays, truth = beside.predictions(record), beside.truth(record)
        assert (arrays["test_predicted"] == truth.test).mean() == pytest.approx(record["metrics"]["accuracy"])
        seen = beside.seen(record)
        if seen:  # an oracle's fit is not probed
            assert [len(seen[f"{k}_features"]) for k in ("train", "adapt")] == [len(truth.train), len(truth.adapt)]
            right = (seen["train_scores"].argmax(1) == truth.train).mean()
            assert right > 0.5 or record["learner"] == "mlp"  # five steps


def test_confusions_are_scikit_learns(ran):
    run, beside = ran
    figure = confusion.draw(run, beside)
    panels = {a.get_title(loc="left").split("\n")[0]: a for a in figure.axes if a.get_title(loc="left")}
    kinds = [("coral", "coral (logistic)"), ("kmm", "kmm (logistic)"), ("dan", "dan (mlp)")]
    for label, title in kinds:
        whole = sum(
            confusion_matrix(beside.truth(r).test, beside.predictions(r)["test_predicted"], labels=range(10))
            for r in found(run, label)
        )
        (image,) = panels[title].images
        assert np.asarray(image.get_array()) == pytest.approx(100 * whole / whole.sum(1, keepdims=True))
        right = 100 * np.trace(whole) / whole.sum()
        assert panels[title].get_title(loc="left").endswith(f"{right:.1f} % right")


def test_reliability_is_a_direct_count_and_says_the_records_ece(ran):
    run, beside = ran
    figure = reliability.draw(chosen(run, Choice(("coral",))), beside)
    axes = next(a for a in figure.axes if a.get_title(loc="left").startswith("coral"))
    right, sure = [], []
    for record in found(run, "coral"):
        arrays = beside.predictions(record)
        scores = np.exp(arrays["test_log_scores"].astype(float))
        sure.append((scores / scores.sum(1, keepdims=True)).max(1))
        right.append(beside.truth(record).test == arrays["test_predicted"])
    right, sure = np.concatenate(right), np.concatenate(sure)
    bins = np.ceil(sure * 15).astype(int)
    line = next(x for x in axes.lines if x.get_marker() == "o")
    assert line.get_ydata() == pytest.approx([100 * right[bins == b].mean() for b in np.unique(bins)])
    assert line.get_xdata() == pytest.approx([100 * sure[bins == b].mean() for b in np.unique(bins)])
    ece = np.mean([r["metrics"]["ece"] for r in found(run, "coral")])
    assert f"ECE {100 * ece:.1f} %" in axes.get_title(loc="left")


def test_weights_are_kmms_with_their_effective_sample_size(ran, surf):
    from zoo.estimators import estimator

    run, beside = ran
    (axes,) = weights.draw(run, beside).axes
    drawn = [line.get_ydata() for line in axes.lines if len(line.get_ydata()) > 2]
    kept = [beside.seen(r)["train_weights"][:, 0] for r in found(run, "kmm")]
    assert len(drawn) == 2
    for w in kept:
        assert w.mean() == pytest.approx(1, abs=1e-5)
        assert any(y == pytest.approx(np.maximum(np.sort(w)[::-1], weights.LEAST)) for y in drawn)
    sizes = sorted(100 * w.sum() ** 2 / len(w) / (w**2).sum() for w in kept)
    numbers = [float(x) for x in re.findall(r"\d+", axes.get_title(loc="left").split("\n")[-1])]
    assert numbers[0] == pytest.approx(sizes[0], abs=0.5)
    assert numbers[-1] == pytest.approx(sizes[-1], abs=0.5)
    seen = beside.seen(found(run, "kmm")[0])  # a base learner's features are its samples: the weights are of these
    made = estimator("kmm", **found(run, "kmm")[0]["parameters"])
    made.fit(seen["train_features"], beside.truth(found(run, "kmm")[0]).train, seen["adapt_features"])
    assert made.weights_ == pytest.approx(kept[0], abs=1e-3)


def test_embedding_has_what_is_before_above_what_is_after(ran):
    run, beside = ran
    figure = embedding.draw(chosen(run, Choice(("dan", "coral"))), beside)
    heads = [a.get_title(loc="left") for a in figure.axes if a.get_title(loc="left")]
    assert heads == ["source_only (logistic)", "coral (logistic)", "source_only (mlp)", "dan (mlp)"]
    source, target = figure.axes[0].collections  # PCA, by domain
    seen = beside.seen(next(r for r in found(run, "source_only") if r["learner"] == "logistic" and r["seed"] == 0))
    whole = np.concatenate([seen["train_features"], seen["adapt_features"]]).astype(float)
    _, _, V = np.linalg.svd(whole - whole.mean(0), full_matrices=False)
    own = np.abs((whole - whole.mean(0)) @ V[:2].T)
    shown = np.abs(np.concatenate([np.asarray(x.get_offsets()) for x in (source, target)]))
    np.testing.assert_allclose(shown, own, atol=1e-4)
    assert len(source.get_offsets()) == len(seen["train_features"])
    assert {a.get_xlabel() for a in figure.axes} == {
        f"{m} 1, by {c}" for m in ("PCA", "t-SNE") for c in ("domain", "class")
    }


def test_without_labels_the_embedding_is_by_domain_alone(ran):
    run, beside = ran
    made = plots.picture(run, "embedding", ".svg", Choice(("coral",)), Beside(beside.folder))
    assert "not coloured by class: the labels are not known here" in made.shows
    assert made.size[0] == pytest.approx(drawing.PAGE[0] / 2)


def test_gains_stand_over_the_distance_of_their_pair():
    run = chosen(records.read(RESULTS / "office_caltech"), Choice(("coral",)))
    far = {pair: 0.1 * i for i, pair in enumerate(run.meta["pairs"])}
    (axes,) = distance.draw(run, Beside(distances=lambda: far)).axes
    table = build(run)
    own, other = (
        next(r for _, g in table.groups for r in g if r.label == x and r.learner == "1nn")
        for x in ("coral", "source_only")
    )
    gain = [100 * (a.value - b.value) for a, b in list(zip(own.cells, other.cells, strict=True))[: len(far)]]
    np.testing.assert_allclose(np.asarray(axes.collections[0].get_offsets()), np.c_[[*far.values()], gain])
    ranks = [np.argsort(np.argsort(x)) for x in (list(far.values()), gain)]
    assert f"ρ = {np.corrcoef(*ranks)[0, 1]:+.2f}".replace("-", "−") in axes.get_title(loc="left")


@pytest.mark.parametrize("kind", OWN)
def test_no_text_covers_another_and_the_same_files_give_the_same_bytes(ran, kind):
    run, beside = chosen(ran[0], Choice(("kmm",) if kind == "embedding" else ())), ran[1]
    with rc_context(drawing.STYLE):
        figure = discover.load(discover.plots()[kind]).draw(run, beside)
        figure.draw_without_rendering()
        unseen = {id(text) for axes in figure.axes for text in out_of_view(axes)}
        texts = [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible() and id(t) not in unseen]
        boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    for i, (text, box) in enumerate(boxes):
        assert figure.bbox.padded(2).contains(*box.min), text
        assert figure.bbox.padded(2).contains(*box.max), text
        assert not [other for other, taken in boxes[:i] if box.padded(-1).overlaps(taken)], text
    assert all(a.get_xlabel() and a.get_ylabel() for a in figure.axes if a.get_label() != "<colorbar>")
    one = plots.picture(run, kind, ".png", beside=beside)
    again = plots.picture(replace(run, records=run.records[::-1]), kind, ".png", beside=beside)
    assert one == again


@pytest.mark.parametrize("kind", sorted({*OWN} - {"distance"}))
def test_where_nothing_was_kept_the_line_says_what_would_keep_it(kind):
    with pytest.raises(BadInput, match=r"nothing to draw: .*(--keep features|predictions)"):
        plots.picture(records.read(RESULTS / "quickstart"), kind, ".png")


def test_the_command_draws_what_needs_data_and_names_what_it_wrote(zoo, ran, tmp_path):
    _, beside = ran
    for kind in ("confusion", "weights"):
        out = tmp_path / f"{kind}.png"
        done = zoo("plot", beside.folder, "--kind", kind, "--methods", "kmm", "--out", out)
        assert (done.code, done.out) == (0, ""), done.err
        assert re.fullmatch(rf"zoo: .*{kind}\.png: \d\.\d × \d\.\d inches, \d+ kB: .*\n", done.err)
        assert out.read_bytes().startswith(b"\x89PNG")


# -- rows that are asked for, and a page's height


def test_a_choice_keeps_the_reference_and_says_what_it_left_out():
    run = records.read(RESULTS / "quickstart")
    some = chosen(run, Choice(("coral", "dann")))
    assert {x.label for x in lines(some)[0]} == {"coral", "dann", "source_only"}
    assert some.omitted == f"left out: {len(lines(run)[0]) - len(lines(some)[0])} of {len(lines(run)[0])} rows"
    assert some.omitted in build(some).notes
    assert lines(chosen(run, Choice()))[0] == lines(run)[0]


def test_the_best_are_those_of_the_largest_means_over_all_pairs():
    run = records.read(RESULTS / "office_caltech")
    ranked = {
        x.key: np.mean([x.mean(p, "accuracy") for p in run.meta["pairs"]])
        for x in lines(run)[0]
        if x.family != "baseline"
    }
    best = sorted(ranked, key=lambda k: -ranked[k])[:5]
    some = chosen(run, Choice(top=5, sort="accuracy"))
    assert [x.key for x in lines(some)[0] if x.family != "baseline"] == sorted(
        best, key=lambda k: (k[1] != "1nn", -ranked[k])
    )
    assert "5 best in accuracy on the test" in some.omitted
    names = [
        x.label for x in lines(chosen(run, Choice(sort="name")))[0] if (x.setting, x.learner) == ("unsupervised", "1nn")
    ]
    assert names == sorted(names)
    assert len(names) > 10


def test_the_best_are_said_to_be_of_those_that_are_named_and_blind_rows_are_none():
    run = records.read(RESULTS / "office_caltech")
    (worst, *_), *_ = sorted(
        ((x.label, np.mean([x.mean(p, "accuracy") for p in run.meta["pairs"]]))
        for x in lines(run)[0] if x.family != "baseline"), key=lambda one: one[1],
    )  # fmt: skip
    some = chosen(run, Choice((worst,), top=1))
    assert "1 best in accuracy on the test of those that --methods names, and the baselines" in some.omitted
    (best,) = [x for x in lines(chosen(run, Choice(top=1)))[0] if x.family != "baseline"]
    constant = [r | {"constant": True} if r["method"] == best.method else r for r in run.records]
    (other,) = [x for x in lines(chosen(replace(run, records=constant), Choice(top=1)))[0] if x.family != "baseline"]
    assert other.label != best.label


def test_letters_that_the_font_lacks_are_said_in_the_line(recwarn):
    def draw():
        figure = drawing.figure(1, 1)
        figure.text(0, 0, "a日本日")
        return drawing.shows(figure, "text")

    for suffix in (".png", ".svg", ".pdf"):
        assert drawing.saved(draw, suffix).shows == "text; boxes for what the font lacks: 日本"
    assert not recwarn.list


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--methods", "corla"), "unknown method 'corla': did you mean 'coral'"),
        (("--methods", ","), "--methods: names none"),
        (("--sort", "size"), "unknown --sort 'size': there are accuracy, family, name"),
        (("--pairs", "a:b"), "unknown pair 'a:b'"),
    ],
)
def test_what_there_is_not_cannot_be_asked_for(zoo, tmp_path, options, says):
    done = zoo("plot", RESULTS / "quickstart", "--kind", "bars", "--out", tmp_path / "x.png", *options)
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize("kind", ["bars", "gains", "time", "curves"])
def test_no_picture_is_higher_than_a_page(kind):
    run = records.read(RESULTS / "quickstart_all")  # 67 rows, of which 3,519 pixels were made
    made = plots.picture(run, kind, ".png")
    width, height = struct.unpack(">II", made.content[16:24])
    assert height <= 300 * drawing.PAGE[1]
    assert width <= 300 * (drawing.PAGE[0] + 1)


def many(n):
    """A run of so many rows on six pairs."""
    import tempfile

    from tests import page_runs

    folder = page_runs.big(Path(tempfile.mkdtemp()) / "run", methods=n, pairs=6, seeds=1)
    return records.read(folder)


@pytest.mark.faults  # four pictures of a hundred methods
def test_what_a_page_does_not_hold_is_counted():
    run = many(100)
    for kind, what in (("bars", "row"), ("gains", "row"), ("cd", "row"), ("curves", "method")):
        made = plots.picture(run, kind, ".png")
        assert made.size[1] <= drawing.PAGE[1] + 0.01
        left = re.search(rf"left out: (\d+) {what}s, for want of room", made.shows)
        assert left or kind == "bars", kind
    ranks = compare.ranked(run)
    drawn = [line.get_xdata()[0] for line in cd.draw(run).axes[0].lines]
    assert drawn == pytest.approx(sorted(m.mean for m in ranks[2].mean)[: len(drawn)])
    values = np.asarray(gains.draw(run).axes[0].images[0].get_array())
    assert len(values) < 99
    assert len({a.get_title(loc="left") for a in curves.draw(run).axes}) >= 10
    assert all(a <= b for a, b in pairwise(drawn))


def test_rows_of_cells_are_the_best_unless_they_are_named(ran):
    run, _ = ran
    rows, left = rowcells.best(run, lambda r: r["cell"], "", most=2)
    every = [x for x in lines(run)[0] if not x.oracle]
    means = {x.key: x.mean("amazon:webcam", "accuracy") for x in every}
    assert [x.key for x, _ in rows] == sorted(means, key=lambda k: (-means[k], k))[:2]
    assert left == len(every) - 2
    (best, _), *_ = rows
    constant = [r | {"constant": True} if r["method"] == best.method else r for r in run.records]
    others, _ = rowcells.best(replace(run, records=constant), lambda r: r["cell"], "", most=2)
    assert [x.key for x, _ in others] == [k for k in sorted(means, key=lambda k: (-means[k], k)) if k != best.key][:2]
    named, _ = rowcells.best(chosen(run, Choice(("kmm",))), lambda r: r["cell"], "")
    assert [x.label for x, _ in named] == ["source_only", "kmm"]
    assert all(len(cells) == 2 for _, cells in named)
