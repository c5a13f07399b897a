"""Joint alignment on Office-Caltech SURF, transductive: averages of 12 pairs at one setting against published ones."""

from __future__ import annotations

import json

import pytest

import zoo

pytestmark = pytest.mark.slow
SUITE = """\
dataset: office_caltech
normalise: [l1, zscore]
normalise_by: domain
protocol: transductive
base: 1nn
"""
# Long et al. (2013), Zhang et al. (2017), Wang et al. (2018), as far as a reading of the papers can be expected to go.
# jda's row is copied by Wang et al. without its k. At the k = 100 of Long et al. and JDA.m that formula by scipy gets
# 43.8 here; at 20 it is 46.8, a k that these labels have told.
PUBLISHED = {"jda_20": (46.8, 2.0), "jgsa": (50.0, 2.5), "meda": (52.7, 2.0)}
# Our own, so that a change is seen; jda's is scipy's too (by JDA.m's formula, all 12 pairs, without the zoo).
MEASURED = {"jda": 43.8, "jda_20": 46.8, "bda": 47.0, "jgsa": 48.5, "tjm": 45.9, "meda": 52.5}


@pytest.mark.faults  # a whole table: 12 pairs each
@pytest.mark.parametrize("label", MEASURED)
def test_average(label, tmp_path, office_caltech):
    method = {label.removesuffix("_20"): {"as": label, **({"k": 20} if label.endswith("_20") else {})}}
    suite = tmp_path / "joint.yaml"
    suite.write_text(f"{SUITE}methods: [{json.dumps(method)}]\n")
    frame = zoo.run(str(suite), data_root=office_caltech, out=tmp_path / "run", quiet=True).frame()
    frame = frame[frame.label == label]
    assert len(frame) == 12  # deterministic: one cell a pair
    average = 100 * frame.accuracy.mean()
    assert average == pytest.approx(MEASURED[label], abs=0.25)
    if label in PUBLISHED:
        value, within = PUBLISHED[label]
        assert average == pytest.approx(value, abs=within)
