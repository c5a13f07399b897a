"""Series: how they are cut, that no split parts one, what base learners and networks see, and what is refused."""

import io
import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.stats import describe

import zoo
from tests.test_data_real import DATA, needs
from zoo.bench import suite
from zoo.data import _watch
from zoo.errors import BadInput
from zoo.series import Series, cut, resampled, statistics, steps

OPTIONS = "window: 8\nstep: 4\nnormalise: [zscore]\nsteps: 3\nbatch_size: 8\nseeds: 1\n"
LENGTHS = np.array([20, 31, 24, 9, 40, 28, 16, 22, 27, 33, 21, 35])


def measured(seed, channels=2, lengths=LENGTHS):
    """Series of two classes in turn, told by how fast they swing, and their labels."""
    rng = np.random.default_rng(seed)
    y = np.arange(len(lengths)) % 2
    parts = []
    for c, n in zip(y, lengths, strict=True):
        wave = np.sin(2 * np.pi * ((1 + 2 * c) * np.arange(n)[:, None] / 8 + rng.random(channels)))
        parts.append((1 + seed) * (wave + 0.2 * rng.normal(size=wave.shape)) + seed)
    return parts, np.array(["slow", "fast"])[y]


def write(folder, form, seed, name, rate=10.0):
    """One domain in one of the forms that a series has."""
    parts, y = measured(seed)
    path = folder / f"{name}.{'npz' if form in ('padded', 'joined') else 'csv'}"
    if form == "padded":
        X = np.full((len(parts), 2, LENGTHS.max()), np.nan)
        for i, p in enumerate(parts):
            X[i, :, : len(p)] = p.T
        np.savez(path, X=X, y=y)
    elif form == "joined":
        np.savez(path, X=np.concatenate(parts), length=LENGTHS, y=y)
    elif form == "long":
        rows = [
            {"id": f"s{i}", "time": t / rate, "u": row[0], "v": row[1], "label": y[i]}
            for i, p in enumerate(parts)
            for t, row in enumerate(p)
        ]
        pd.DataFrame(rows).to_csv(path, index=False)
    else:
        path = folder / name
        for i, p in enumerate(parts):
            (path / y[i]).mkdir(parents=True, exist_ok=True)
            pd.DataFrame(p, columns=["u", "v"]).to_csv(path / y[i] / f"s{i:02}.csv", index=False)
    return path


def own(folder, form="joined", more="", options=OPTIONS, **rate):
    paths = [write(folder, form, seed, name, **rate) for seed, name in enumerate(("here", "there"))]
    file = folder / "mine.yaml"
    file.write_text(
        f"data: {{format: series, domains: {{here: {paths[0].name}, there: {paths[1].name}}}{more}}}\n{options}"
    )
    return file


def loaded(file, **overrides):
    asked = suite.load(str(file), overrides)
    pairs = [("here", "there"), ("there", "here")]
    return asked, asked.kind.load(asked, pairs, None)


def test_windows_are_numpys_sliding_ones():
    parts, _ = measured(0)
    series = Series(np.concatenate(parts), LENGTHS)
    found = cut(series, 10, 3)
    each = [np.lib.stride_tricks.sliding_window_view(p, 10, axis=0)[::3] if len(p) >= 10 else p[:0] for p in parts]
    np.testing.assert_array_equal(found.values, np.concatenate([e for e in each if len(e)]))
    np.testing.assert_array_equal(found.series, np.repeat(np.arange(len(parts)), [len(e) for e in each]))
    assert found.notes == ("left out: 1 of 12 series, shorter than a window (10 steps)",)


def test_statistics_are_scipys():
    X = np.random.default_rng(0).normal(size=(3, 2, 50))
    by_scipy = describe(X, axis=2, ddof=0)
    expected = [by_scipy.mean, np.sqrt(by_scipy.variance), *by_scipy.minmax]
    np.testing.assert_allclose(statistics(X), np.concatenate(expected, 1))


@pytest.mark.parametrize(
    ("text", "rate", "words"),
    [
        ("2 s", 0.0, "how many steps a second has is not known"),
        ("0.5", 0.0, "expected a whole number"),
        ("33 ms", 50.0, "33 ms is 1.65 steps at 50 steps a second"),
        ("2 fortnights", 50.0, "expected a time such as 2 s"),
        ("0 s", 50.0, "expected a time such as 2 s"),
        ("-2", 50.0, "expected a time such as 2 s"),
    ],
)
def test_a_duration_that_is_none(text, rate, words):
    with pytest.raises(ValueError, match=words):
        steps(text, rate)


def test_a_slower_rate_filters_what_it_cannot_hold():
    t = np.arange(1000) / 100
    wave = np.stack([np.sin(2 * np.pi * 1 * t), np.sin(2 * np.pi * 40 * t)], 1).astype(np.float32)
    found = resampled(Series(wave, np.array([1000]), 100.0), 20.0)
    assert found.lengths.tolist() == [200]
    middle = slice(20, 180)
    np.testing.assert_allclose(found.values[middle, 0], np.sin(2 * np.pi * np.arange(200) / 20)[middle], atol=0.02)
    assert np.abs(found.values[middle, 1]).max() < 0.02  # every fifth sample of it would be a wave of full height


@pytest.mark.parametrize("form", ["padded", "long", "folder"])
def test_every_form_gives_the_same_windows(tmp_path, form):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    _, plain = loaded(own(tmp_path / "a"))
    _, other = loaded(own(tmp_path / "b", form))
    for name in ("here", "there"):
        one, two = plain.domains[name], other.domains[name]
        assert one.described()["n"] == two.described()["n"]
        assert one.described()["groups"] == two.described()["groups"] == 12

        def ordered(d):
            flat = d.X.reshape(len(d.X), -1)
            order = np.lexsort(flat.T)
            return flat[order], d.y[order]

        (X, y), (Z, z) = ordered(one), ordered(two)
        np.testing.assert_allclose(X, Z, rtol=1e-6)
        np.testing.assert_array_equal(y, z)


@pytest.mark.parametrize("protocol", ["holdout", "transductive"])
@pytest.mark.parametrize("labels", [0, 2])
def test_no_split_parts_a_series(tmp_path, protocol, labels):
    asked, data = loaded(own(tmp_path), protocol=protocol, labels=labels)
    domain = data.domains["there"]
    of = dict(zip(domain.rows.tolist(), domain.groups.tolist(), strict=True))
    places = {tuple(x.ravel().round(4)): i for i, x in enumerate(np.asarray(domain.frozen, float))}
    draws = asked.kind.draws(asked.model_copy(update={"normalise": ()}), data)
    assert len(places) == len(domain.y)
    for seed in range(5):
        pair = draws.pair("here", "there", seed, base=True)
        series = {k: {of[i] for i in pair.rows[k].tolist()} for k in ("test", "adapt")}
        few = {int(domain.groups[places[tuple(np.asarray(x, float).round(4))]]) for x in pair.fields.get("Xl", [])}
        if protocol == "holdout":
            assert len(series["test"]) == 2  # a fifth of 6 series a class, rounded
            assert not series["test"] & (series["adapt"] | few)
        assert not few & (series["adapt"] | series["test"])
        assert len(few) == 2 * labels
        assert len(series["adapt"] | series["test"] | few) == 12
        if protocol == "transductive":
            folds = [set(domain.groups[pair.oracle_folds == i].tolist()) for i in range(5)]
            assert sum(map(len, folds)) == 12


def test_channels_are_normalised_whole_by_the_training_part(tmp_path):
    asked, data = loaded(own(tmp_path))
    domain = data.domains["there"]
    draws = asked.kind.draws(asked, data)
    train = draws.adapt_rows(asked, domain, 0)
    pair = draws.pair("here", "there", 0)
    flat = domain.X[train].transpose(0, 2, 1).reshape(-1, 2).astype(float)
    held = np.setdiff1d(np.arange(len(domain.y)), train)
    expected = (domain.X[held] - flat.mean(0)[:, None]) / flat.std(0)[:, None]
    np.testing.assert_allclose(pair.test, expected, rtol=1e-4, atol=1e-5)
    X = pair.fields["Xt"].transpose(0, 2, 1).reshape(-1, 2)
    np.testing.assert_allclose(X.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(X.std(0), 1, atol=1e-5)


def test_methods_of_every_learner_run_and_agree_with_scikit_learn(tmp_path):
    from sklearn.linear_model import LogisticRegression

    file = own(tmp_path)
    found = zoo.run(str(file), methods=["coral", "dann", "fixmatch"], out=tmp_path / "run", executor="local").frame()
    assert set(found.status) == {"ok"}
    assert set(found.learner) == {"logistic", "cnn1d"}
    asked, data = loaded(file)
    pair = asked.kind.draws(asked, data).pair("here", "there", 0, base=True)
    assert pair.fields["Xs"].shape[1] == 8
    model = LogisticRegression(max_iter=1000).fit(pair.fields["Xs"].astype(float), pair.fields["ys"])
    by_hand = (model.predict(pair.test.astype(float)) == pair.y_test).mean()
    own_row = found[(found.method == "source_only") & (found.learner == "logistic") & (found.target == "there")]
    assert own_row.accuracy.item() == pytest.approx(by_hand)
    table = zoo.Results(tmp_path / "run").table("md")
    assert "Windows: 8 every 4; no series is on both sides of a split" in table
    assert f"here {len(data.domains['here'].y)} windows of 12 series" in table
    assert "8 numbers a window: mean, standard deviation, minimum and maximum of each of 2 channels" in table


def test_base_learners_may_see_the_networks_features(tmp_path):
    file = own(tmp_path, options=OPTIONS + "features: source\n")
    found = zoo.run(str(file), methods=["coral"], out=tmp_path / "run", executor="local").frame()
    assert set(found.status) == {"ok"}
    assert set(found.learner) == {"logistic@cnn1d"}


@pytest.mark.parametrize(
    ("more", "options", "words"),
    [
        ("", "", "series have 9 to 40 steps, and samples one length: say window: and step:, such as window: 4"),
        ("", "window: 2 s\n", "window: 2 s is a time, and how many steps a second has is not known: say rate:"),
        (", window: 2 s, rate: 10", "", ""),
        (", window: 8", "window: 9\n", "window: 9, but 8 under data: say it once"),
        ("", "window: 41\n", "window: 41 is 41 steps, but the longest series of own: domain here has 40"),
        ("", "step: 4\n", "step: 4 needs window:"),
        ("", "window: soon\n", "window: expected a time such as 2 s"),
        ("", "window: 8\nnet: cnn\n", "net cnn: takes images of 4×4 pixels and more, but samples of own are 2×8"),
        ("", "window: 4\n", "net cnn1d: takes series, channels × 8 steps and more, but samples of own are 2×4"),
        ("", "window: 8\naugment: crop_flip\n", "augment: crop_flip is for photographs, and own has series"),
    ],
)
def test_what_cannot_be_cut_is_one_line(tmp_path, more, options, words):
    file = own(tmp_path, more=more, options=options)
    if not words:
        _, data = loaded(file)
        assert data.domains["here"].X.shape[1:] == (2, 20)
        return
    with pytest.raises(BadInput, match=words.replace("(", r"\(")):
        loaded(file)


def test_too_few_series_for_k_labels_leave_the_other_cells(tmp_path):
    _, data = loaded(own(tmp_path, options="window: 8\nlabels: 5\n"))
    assert "labels: 5 needs 6 series of every class in the adapt part" in "".join(data.few.values())


@pytest.mark.parametrize(
    ("change", "more", "words"),
    [
        (lambda t: t.assign(time=t.time.where(t.index != 3, t.time[2])), "", "series 's0' has two steps at 0.2 s"),
        (
            lambda t: t.drop(index=range(4, 9)),
            "",
            "series 's0' has a step of 0.6 s at 0.3 s, where the usual one is 0.1",
        ),
        (lambda t: t.drop(index=range(4, 9)), ", rate: 10", ""),
        (
            lambda t: t.assign(label=t.label.where(t.index != 3, "fast")),
            "",
            "series 's0' has label 'slow' in line 2 and",
        ),
        (lambda t: t.assign(u=t.u.where(t.index != 22)), "", "series 's1', step 2, channel 1: NaN or infinity"),
        (lambda t: t.assign(id=t.id.where(t.index != 22)), "", "id: line 24 belongs to no series"),
        (
            lambda t: t.rename(columns={"id": "who"}),
            "",
            "id: missing; say which column tells the series apart: who, time",
        ),
        (lambda t: t.rename(columns={"id": "who"}), ", id: who", ""),
        (lambda t: t.assign(time=t.time / 2), "", "20 steps a second, but 10 in domain here: say at which rate:"),
        (lambda t: t.assign(time=t.time / 2), ", rate: 10", ""),
        (lambda t: t.assign(u="?"), "", "expected a number, got '?'"),
        (lambda t: t.sample(frac=1, random_state=0), "", ""),
        (lambda t: t.assign(time=pd.Timestamp("2024-01-31") + pd.to_timedelta(t.time, unit="s")), "", ""),
    ],
)
def test_a_long_table_that_is_damaged_is_named(tmp_path, change, more, words):
    file = own(tmp_path, "long", more=more)
    table = pd.read_csv(tmp_path / "there.csv")
    if ", id" in more:
        other = pd.read_csv(tmp_path / "here.csv")
        change(other).to_csv(tmp_path / "here.csv", index=False)
    change(table).to_csv(tmp_path / "there.csv", index=False)
    if words:
        with pytest.raises(BadInput) as caught:
            loaded(file)
        assert words in str(caught.value)
        assert "there.csv" in str(caught.value)
        assert "\n" not in str(caught.value)
    else:
        assert loaded(file)[1].domains["there"].described()["groups"] >= 11


def test_lines_in_any_order_are_sorted_by_time(tmp_path):
    file = own(tmp_path, "long")
    before = loaded(file)[1].domains["there"]
    table = pd.read_csv(tmp_path / "there.csv")
    first = table.groupby("id", sort=False).head(1)  # the order of the series stays, that of their steps does not
    rest = table.drop(first.index).sample(frac=1, random_state=0)
    pd.concat([first, rest]).to_csv(tmp_path / "there.csv", index=False)
    assert loaded(file)[1].domains["there"].content == before.content


def test_keys_of_series_mean_nothing_elsewhere(tmp_path, surf):
    np.savez(tmp_path / "a.npz", X=np.eye(4), y=[0, 1, 0, 1])
    file = tmp_path / "mine.yaml"
    file.write_text("data: {format: npz, domains: {a: a.npz, b: a.npz}, window: 2 s}\n")
    with pytest.raises(BadInput, match="data: window: means nothing for npz"):
        suite.load(str(file), {})
    with pytest.raises(BadInput, match="window: 2 s is for series, and office_caltech holds samples"):
        suite.load("office_caltech", {"window": "2 s"})


# The data of the watch ------------------------------------------------------------------------------------------------


class Trap:
    def __reduce__(self):
        return (exec, ("raise SystemExit('unpickled')",))


def test_a_file_that_was_not_published_is_not_unpickled(tmp_path):
    path = tmp_path / "watch" / "watch_dataset.npy"
    path.parent.mkdir()
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "|O", "fortran_order": False, "shape": ()})
    path.write_bytes(out.getvalue() + pickle.dumps(Trap()))
    with pytest.raises(BadInput, match="is not the published sha256:eb122f23"):
        _watch.read(path)


@needs("watch")
def test_watch_is_140_series_of_ten_people_and_two_sides():
    asked = suite.load("watch", {})
    data = asked.kind.load(asked, [("left", "right")], DATA)
    whole = np.load(DATA / "watch" / "watch.npz")
    for side, name in enumerate(("left", "right")):
        lengths = whole["length"][whole["side"] == side]
        found = data.domains[name]
        assert found.described()["n"] == ((lengths - 100) // 50 + 1).sum()
        assert found.described()["groups"] == 70
        assert found.X.shape[1:] == (6, 100)
        assert found.frozen.shape[1] == 24
    people = suite.load("watch_people", {"pairs": ["p3:p10"]})
    found = people.kind.load(people, [("p3", "p10")], DATA)
    for name, d in found.domains.items():
        lengths = whole["length"][whole["subject"] == int(name[1:])]
        assert d.described()["n"] == ((lengths - 100) // 50 + 1).sum()
        assert d.described()["groups"] == 14
    assert len(found.classes) == 7


# zoo check ------------------------------------------------------------------------------------------------------------

FLAT = '''
from zoo.adapters.base import DeepAdapter


class Flat(DeepAdapter):
    """Takes samples for vectors."""

    def omega(self, b):
        return (b.xs.mean(0) - b.xt.mean(0)) @ b.xs.new_ones(b.xs.shape[1])
'''


def test_a_method_that_takes_all_samples_for_vectors_is_found(tmp_path):
    from zoo import discover
    from zoo.check.contract import contracts
    from zoo.check.subject import Subject, outcome

    def others(info):
        return [c for c in contracts(info) if c.net == "cnn1d"]

    def tried(info):
        (series,) = others(info)
        subject = Subject(info, contract=series)
        try:
            return [outcome(test, subject) for test in series.tests]
        finally:
            subject.end()

    path = tmp_path / "flat.py"
    path.write_text(FLAT)
    (found,) = tried(discover.methods([path])["flat"])
    assert (found.name, found.ok) == ("series", False)
    assert "flat.py:9" in found.detail
    assert all(o.ok and not o.skipped for o in tried(discover.methods()["deep_coral"]))
    assert not others(discover.methods()["coral"])  # base learners see vectors
    assert not others(discover.methods()["udagcn"])
