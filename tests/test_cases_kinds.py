"""People's texts, series and values: what inspect prints runs, and what has no label is adapted to and not scored."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from zoo.bench import plan
from zoo.bench.suite import load
from zoo.data import _inspect
from zoo.errors import BadInput


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def inspected(*files):
    """The suite that inspect prints, loaded as `zoo run` loads it."""
    found = _inspect.inspect([Path(f) for f in files])
    assert not found["problem"], found["problem"]
    Path("new.yaml").write_text(_inspect.text(found))
    return loaded("new.yaml")


def loaded(file):
    asked = load(file, {})
    return asked, asked.kind.load(asked, plan.parse_pairs(asked), None)


def written(text):
    Path("mine.yaml").write_text(text)
    return loaded("mine.yaml")


def texts(seed, n=40):
    rng, y = np.random.default_rng(seed), np.arange(n) % 2
    said = [" ".join(rng.choice(["good", "fine"] if c else ["bad", "dull"], 3)) + f", all in all {seed}" for c in y]
    return pd.DataFrame({"review": said, "label": np.where(y == 1, "pos", "neg")})


def series(seed, n=12):
    rng, rows = np.random.default_rng(seed), []
    for i in range(n):
        steps = rng.integers(30, 40)
        values = rng.normal(size=(steps, 2)).round(3)
        rows += [(f"s{i}", t, *v, "walk" if i % 2 else "run") for t, v in enumerate(values.tolist())]
    return pd.DataFrame(rows, columns=["id", "time", "ax", "ay", "label"])


def values(seed, n=60):
    X = np.random.default_rng(seed).normal(size=(n, 3)).round(3)
    return pd.DataFrame(X, columns=["f0", "f1", "f2"]).assign(y=(X.sum(1) + seed).round(2))


def both(made, end="csv", **how):
    for seed, name in enumerate("ab"):
        made(seed).to_csv(f"{name}.{end}", index=False, **how)
    return f"a.{end}", f"b.{end}"


def test_inspect_knows_a_table_of_texts():
    asked, data = inspected(*both(texts, "tsv", sep="\t"))
    assert (asked.source.kind, asked.features, data.classes) == ("text", "tfidf", ["neg", "pos"])
    assert set(data.domains["a"].X) == set(texts(0).review)


def test_inspect_knows_series_and_cuts_uneven_ones():
    asked, data = inspected(*both(series))
    assert asked.source.kind == "series"
    assert asked.normalise == ("zscore",)
    shortest = min(series(s).groupby("id").size().min() for s in range(2))
    assert data.domains["a"].X.shape[1:] in {(2, series(0).groupby("id").size().min()), (2, shortest)}


def test_inspect_says_regression_of_real_values():
    asked, data = inspected(*both(values))
    assert (asked.task, data.classes) == ("regression", [])
    assert sorted(data.domains["b"].y) == pytest.approx(sorted(values(1).y))


def test_values_of_minus_1_are_values_and_blanks_are_none():
    a, b = values(0).assign(y=np.arange(60) % 3.0), values(1).assign(y=np.arange(60) % 4 - 1.0)
    b.loc[:9, "y"] = np.nan
    a.to_csv("a.csv", index=False)
    b.to_csv("b.csv", index=False)
    more = "data: {format: csv, domains: {a: a.csv, b: b.csv}}\ntask: regression\n"
    asked, data = written(more)
    d = data.domains["b"]
    assert len(d.y) == 50
    assert len(d.unlabelled) == 10
    assert sorted(d.y) == sorted(b.y.dropna())
    pair = asked.kind.draws(asked, data).pair("a", "b", 0)
    assert len(pair.y_test) == 10
    assert len(pair.fields["Xt"]) == 50  # 40 of those with a value, and those without
    with pytest.raises(BadInput, match="classes: shared: task: regression predicts values"):
        written(more + "classes: shared\n")


def test_a_series_without_a_label_is_adapted_to_whole():
    both(series)
    table = series(1)
    table.loc[table.id.isin(["s0", "s1"]), "label"] = ""
    table.to_csv("b.csv", index=False)
    asked, data = written("data: {format: series, domains: {a: a.csv, b: b.csv}}\nwindow: 10\nstep: 5\n")
    d, whole = data.domains["b"], series(1).groupby("id").size()
    counts = (whole - 10) // 5 + 1
    assert len(d.unlabelled) == counts[["s0", "s1"]].sum()
    assert len(d.y) == counts.sum() - len(d.unlabelled)
    train = asked.kind.draws(asked, data).adapt_rows(asked, d, 0)
    held = np.setdiff1d(np.arange(len(d.y)), train)
    assert not {*d.groups[train]} & {*d.groups[held]}
    assert not {*d.groups[d.unlabelled]} & {*d.groups[: len(d.y)]}


def test_series_and_texts_that_stand_in_two_domains_are_refused():
    both(lambda seed: series(0))
    both(lambda seed: texts(0), "tsv", sep="\t")
    for form, end in (("series", "csv"), ("text", "tsv")):
        with pytest.raises(BadInput, match=r"a and b (hold the same samples|are the same)"):
            written(
                f"data: {{format: {form}, domains: {{a: a.{end}, b: b.{end}}}}}\n" + "window: 10\n" * (end == "csv")
            )
        with pytest.raises(BadInput, match="the same"):
            written(
                f"data: {{format: {form}, domains: {{a: a.{end}, b: a.{end}}}}}\n" + "window: 10\n" * (end == "csv")
            )


def test_one_file_of_texts_by_domain():
    pd.concat([texts(s).assign(site=name) for s, name in enumerate("ab")]).to_csv("all.csv", index=False)
    _, data = written("data: {format: text, file: all.csv, by: site, x: review}\n")
    assert set(data.domains["b"].X) == set(texts(1).review)


def test_values_with_a_decimal_comma():
    names = both(values, sep=";", decimal=",")
    _, data = written("data: {format: csv, domains: {a: a.csv, b: b.csv}, decimal: ','}\ntask: regression\n")
    assert names
    assert sorted(data.domains["a"].y) == pytest.approx(sorted(values(0).y))


@pytest.mark.parametrize(("by", "label"), [("site", "label"), ("Domain", "label"), ("batch", "mood")])
def test_inspect_finds_the_domains_in_a_table_of_texts(by, label):
    whole = pd.concat([texts(s).assign(**{by: name}) for s, name in enumerate("ab")]).rename(columns={"label": label})
    whole.assign(number=range(len(whole)))[["number", by, "review", label]].to_csv("all.csv", index=False)
    if label == "mood":  # where no name tells, one column may be left beside text and domain
        whole[[by, "review", label]].to_csv("all.csv", index=False)
    asked, data = inspected("all.csv")
    assert (asked.source.kind, asked.data.by, asked.data.file) == ("text", by, (asked.data.file))
    assert set(data.domains) == {"a", "b"}
    assert set(data.domains["b"].X) == set(texts(1).review)
    assert data.classes == ["neg", "pos"]
