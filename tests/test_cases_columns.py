"""Situations that people report of the columns of their tables, and of images in arrays."""

import numpy as np
import pandas as pd
import pytest

from tests.test_cases_data import CSV, NPZ, csv, domains, line, pair, rows, runs, table


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# Columns --------------------------------------------------------------------------------------------------------------


def test_case73_all_columns_that_are_no_numbers_in_one_line():
    def change(name, t):
        days = pd.date_range("2020-01-01", periods=60).astype(str)
        return t.assign(day=days, hue=np.array(["red", "blue"])[t.y], rate=[f"{v:.1f}%" for v in t.f0])

    pair(change)
    assert line(CSV).endswith("'day' (dates), 'hue' (2 words), 'rate' (percent): drop: [day, rate], categories: [hue]")
    _, data = domains(csv(drop="[day, rate]", categories="[hue]"))
    X = rows(data.domains["a"])
    np.testing.assert_array_equal(X[:, 3:], pd.get_dummies(change("a", table(0)).hue).to_numpy(np.float32))
    assert data.domains["a"].levels == (3, 4)
    runs("a.csv", "b.csv")


def test_words_that_no_training_part_holds_count_as_none():
    pair(
        lambda n, t: t.assign(hue=["odd" if i == 7 and n == "b" else "red" if v else "blue" for i, v in enumerate(t.y)])
    )
    asked, data = domains(csv(categories="[hue]"))
    assert rows(data.domains["b"])[7].tolist()[3:] == [0, 1, 0]
    draws, held = asked.kind.draws(asked, data), 0
    for seed in range(20):
        drawn = draws.pair("a", "b", seed)
        if 7 in drawn.rows["test"].tolist():
            held += 1
            assert drawn.test[drawn.rows["test"].tolist().index(7), 3:].tolist() == [0, 0, 0]
        else:
            assert 1 in drawn.fields["Xt"][:, 4]
    assert 0 < held < 20


@pytest.mark.parametrize("how", ["mean", "median"])
def test_case35_missing_values_take_the_statistic_of_the_training_part(how):
    pair(lambda n, t: t.assign(f1=t.f1.astype(str).where(t.index % 7 != 3, "?")), sep=";")
    assert "column 'f1', line 5: expected a number, got '?' (if it means none: missing: ['?'] and impute" in line(CSV)
    assert "NaN or infinity (a missing value? impute: mean)" in line(csv(missing="'?'"))
    asked, data = domains(csv(missing="['?']", impute=how))
    drawn = asked.kind.draws(asked, data).pair("a", "b", 0)
    x = table(1).f1.where(table(1).index % 7 != 3)
    fill = getattr(x[np.sort(drawn.rows["adapt"])], how)()
    np.testing.assert_allclose(drawn.test[:, 1], x.fillna(fill)[drawn.rows["test"]], rtol=1e-6)
    assert f"filled with the {how} of the training part" in data.domains["a"].notes[0]
    assert asked.cell_keys(net=False, base=True)["impute"] == how
    from zoo.report.caption import caption

    meta = {"suite": asked.recorded(), "domains": {}, "pairs": []}
    assert f"Missing values: the {how} of each domain's training part" in caption(meta, "", [], {})
    asked, _ = runs("a.csv", "b.csv")
    assert (asked.data.missing, asked.data.impute) == (("?",), "mean")


@pytest.mark.parametrize(
    ("column", "what"),
    [
        (np.arange(60), "row numbers that tell the class"),
        (np.random.default_rng(0).permutation(60)[np.random.default_rng(0).permutation(60).argsort()], "row numbers"),
        (1.6e9 + 60.0 * np.arange(60), "unix times that tell the class"),
        (np.cumsum(np.random.default_rng(0).integers(1, 9, 60)), "row numbers that tell the class"),
    ],
)
def test_a_column_that_tells_the_class_in_file_order(column, what):
    pair(lambda n, t: t.sort_values("y", kind="stable").assign(size=column))
    said = line(CSV)
    assert what in said
    assert said.endswith("drop: [size]")
    for seed, name in enumerate("ab"):
        t = table(seed).sort_values("y", kind="stable")
        np.savez(f"{name}.npz", X=np.c_[t[["f0", "f1", "f2"]], column], y=t.y)
    assert line(NPZ).endswith("drop: ['3']")
    _, data = domains(NPZ[:-1] + ", drop: [3]}")
    assert data.domains["a"].X.shape == (60, 3)


def test_columns_to_look_at_are_said_together():
    pair(
        lambda n, t: t.assign(
            id=np.arange(60), when=1.6e9 + 7 * np.random.default_rng(1).permutation(60), k=1, twin=t.f0
        )
    )
    (note,) = domains(CSV, "normalise: [zscore]\n")[1].domains["a"].notes
    what = "'id' (row numbers), 'when' (unix times), 'k' (constant), 'twin' (equals 'f0')"
    assert note == f"columns to look at: {what}: drop: [id, when, k, twin]"


def test_unix_times_are_precise_until_they_are_normalised():
    when = 1.6e9 + np.random.default_rng(1).normal(size=60)
    pair(lambda n, t: t.assign(when=when + (n == "b")))
    asked, data = domains(CSV, "normalise: [zscore]\n")
    drawn = asked.kind.draws(asked, data).pair("a", "b", 0)
    x = (when + 1)[drawn.rows["adapt"]]
    np.testing.assert_allclose(drawn.fields["Xt"][:, 3], (x - x.mean()) / x.std(), atol=1e-5)
    assert drawn.fields["Xt"].dtype == np.float32


def test_case09_a_damaged_value_is_named():
    for seed, name in enumerate("ab"):
        X = np.random.default_rng(seed).normal(size=(200, 5))
        if name == "a":
            X[17, 1] = 1e30
        np.savez(f"{name}.npz", X=X, y=np.arange(200) % 2)
    assert "a.npz: x: row 17, column 1: 1e+30 is far out" in line(NPZ)
    domains(NPZ[:-1] + ", missing: ['1e30'], impute: median}")


@pytest.mark.parametrize("scale", [1e-6, 1e-25, 1e30])
def test_case55_scales_that_make_methods_blind(scale):
    for seed, name in enumerate("ab"):
        X = np.random.default_rng(seed).normal(size=(120, 6))
        np.savez(f"{name}.npz", X=X * scale, y=np.arange(120) % 2)
    assert "are blind to such: normalise: [zscore]" in domains(NPZ)[1].domains["a"].notes[0]
    asked, data = domains(NPZ, "normalise: [zscore]\n")
    assert not data.domains["a"].notes
    assert asked.kind.draws(asked, data).pair("a", "b", 0).fields["Xs"].std() == pytest.approx(1, abs=0.01)


# Images in arrays -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_case03_bytes_beside_floats(order):
    X = np.random.default_rng(0).integers(0, 240, (2, 40, 1, 16, 16))
    np.savez(f"{order[0]}.npz", X=X[0].astype("u1"), y=np.arange(40) % 2)
    np.savez(f"{order[1]}.npz", X=X[1].astype("f4"), y=np.arange(40) % 2)
    _, data = domains(NPZ, "net: cnn\n")
    np.testing.assert_allclose(rows(data.domains[order[1]]), X[1] / 255, rtol=1e-6)
    assert "were divided by 255" in data.domains[order[1]].notes[0]
    np.savez(f"{order[1]}.npz", X=X[1].astype("f4") * 10, y=np.arange(40) % 2)
    assert f"images of {order[1]} are in 0 to 2390, those of {order[0]} in 0 to 1" in line(NPZ, "net: cnn\n")


def test_case50_bands_last():
    X = np.random.default_rng(0).normal(size=(2, 40, 16, 16, 13)).astype("f4")
    for i, name in enumerate("ab"):
        np.savez(f"{name}.npz", X=X[i], y=np.arange(40) % 2)
    np.testing.assert_array_equal(rows(domains(NPZ, "net: cnn\n")[1].domains["a"]), X[0].transpose(0, 3, 1, 2))
    for i, name in enumerate("ab"):
        np.savez(f"{name}.npz", X=X[i, :, :13, :13], y=np.arange(40) % 2)
    assert "13×13×13: say channels: first or channels: last" in line(NPZ)
    domains(NPZ[:-1] + ", channels: last}", "net: cnn\n")
