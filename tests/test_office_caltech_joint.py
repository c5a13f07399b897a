"""Joint alignment on Office-Caltech SURF, transductive: averages of 12 pairs at one setting against published ones."""

from __future__ import annotations

import pytest

import zoo

pytestmark = pytest.mark.slow
SUITE = """\
dataset: office_caltech
normalise: [l1, zscore]
normalise_by: domain
protocol: transductive
base: 1nn
methods: [jda, {jda: {k: 20, as: jda_20}}, bda, jgsa, tjm, meda]
"""
# Long et al. (2013), Zhang et al. (2017), Wang et al. (2018), as far as a reading of the papers can be expected to go.
# jda's row is copied by Wang et al. without its k. At the k = 100 of Long et al. and JDA.m that formula by scipy gets
# 43.8 here; at 20 it is 46.8, a k that these labels have told.
PUBLISHED = {"jda_20": (46.8, 2.0), "jgsa": (50.0, 2.5), "meda": (52.7, 2.0)}
# Our own, so that a change is seen; jda's is scipy's too (by JDA.m's formula, all 12 pairs, without the zoo).
MEASURED = {"jda": 43.8, "jda_20": 46.8, "bda": 47.0, "jgsa": 48.5, "tjm": 45.9, "meda": 52.5}


@pytest.fixture(scope="module")
def averages(tmp_path_factory, office_caltech):
    folder = tmp_path_factory.mktemp("joint")
    (folder / "joint.yaml").write_text(SUITE)
    frame = zoo.run(str(folder / "joint.yaml"), data_root=office_caltech, out=folder / "run").frame()
    frame = frame[frame.label.isin(MEASURED)]
    assert set(frame.groupby("label").size()) == {12}  # deterministic: one cell a pair
    return 100 * frame.groupby("label").accuracy.mean()


@pytest.mark.parametrize("method", PUBLISHED)
def test_published(averages, method):
    value, within = PUBLISHED[method]
    assert averages[method] == pytest.approx(value, abs=within)


@pytest.mark.parametrize("method", MEASURED)
def test_as_documented(averages, method):
    assert averages[method] == pytest.approx(MEASURED[method], abs=0.25)
