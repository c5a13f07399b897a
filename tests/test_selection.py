"""Search and selection: points, one cell for equal parameters, and choices worked out by hand from planted values."""

import json
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from zoo import discover, records
from zoo.bench import search
from zoo.errors import BadInput
from zoo.records.ids import cell_id
from zoo.records.meta import merged
from zoo.records.values import Value
from zoo.report import rules, selection, table, validators

METHODS = discover.methods()
NOTHING_TO_SEARCH = {  # what their papers leave open is no number, or nothing; docs/selection.md says so
    *("degree", "dummy", "joint", "labelled_only", "source_only", "target_only"),
    *("ada_bn", "augment", "domain_aggregation", "mlls", "ot_emd", "symnets", "tent"),
}

# -- search


def test_every_method_searches_what_its_paper_varies():
    assert {name for name, info in METHODS.items() if not info.space} == NOTHING_TO_SEARCH
    for info in METHODS.values():
        for name in info.space:
            search.check(info, name)


@pytest.mark.parametrize("name", sorted(METHODS.keys() - NOTHING_TO_SEARCH))
def test_more_trials_change_none_of_the_fewer(name):
    info = METHODS[name]
    few, many = (search.trials(info, info.parameters, (), n) for n in (5, 16))
    assert many[: len(few)] == few
    assert few[0] == info.parameters
    assert len(many) == len({json.dumps(p, sort_keys=True) for p in many})
    for parameters in many[1:]:
        for key, (kind, low, high) in info.space.items():
            slack = 1e-5 * abs(high) if kind != "int" else 0  # of the rounding to 6 digits
            assert low - slack <= parameters[key] <= high + slack
            assert type(parameters[key]) is type(info.parameters[key])
        assert {k: v for k, v in parameters.items() if k not in info.space} == {
            k: v for k, v in info.parameters.items() if k not in info.space
        }


def test_points_are_scipys_and_spread():
    info = METHODS["coral"]
    made = [p["reg"] for p in search.points(info, 64)]
    u = (np.log(made) - np.log(1e-3)) / np.log(1e4)
    assert scipy.stats.qmc.discrepancy(u[:, None]) < 0.1 * np.mean(
        [scipy.stats.qmc.discrepancy(np.random.default_rng(i).random((64, 1))) for i in range(5)]
    )
    assert sorted(np.floor(64 * u.clip(0, 1 - 1e-9)).astype(int)) == list(
        range(64)
    )  # one in each 64th: a (0, 6, 1)-net


def test_points_hang_on_the_name_and_the_space_alone():
    coral, easytl = METHODS["coral"], METHODS["easytl"]
    assert coral.space == easytl.space
    assert search.points(coral, 4) != search.points(easytl, 4)
    assert search.points(replace(coral, parameters=coral.parameters | {"reg": 7.0}), 4) == search.points(coral, 4)


def test_what_was_given_is_not_searched():
    info = METHODS["cmd"]
    found = search.trials(info, info.parameters | {"weight": 3.0}, {"weight"}, 30)
    assert {p["weight"] for p in found} == {3.0}
    assert sorted(p["moments"] for p in found) == [2, 3, 4, 5, 6, 7]  # equal ones are one trial
    assert search.trials(info, info.parameters, set(info.space), 30) == [info.parameters]


@pytest.mark.parametrize(
    "space", [("log", 0, 1), ("log", 2, 1), ("normal", 0, 1), ("int", 0.5, 2), ("uniform", 0), ("uniform", 0, "1")]
)
def test_a_range_that_is_none_is_refused(space):
    info = replace(METHODS["coral"], space={"reg": space})
    with pytest.raises(BadInput, match=r"coral.py:1: space: reg: a range of a number is"):
        search.trials(info, info.parameters, (), 3)


def test_a_run_adds_the_new_trials_only(zoo, suite_file, tmp_path):
    def run(*args):
        done = zoo("run", suite_file, "--pairs", "amazon:webcam", "--out", tmp_path / "run", "--json", *args)
        return done.json["ran"]

    assert run("--trials", "3") == 1 + 3
    assert run("--trials", "5") == 2
    assert run("--trials", "2") == 0
    read = records.read(tmp_path / "run")
    assert read.meta["suite"]["trials"] == 5
    assert len(read.meta["rows"]["coral"]["trials"]) == 5
    trials = {r["trial"]: r for r in read.records if r["method"] == "coral"}
    assert sorted(trials) == [0, 1, 2, 3, 4]
    for number, record in trials.items():
        assert read.tried(record) == {"coral": number}
        assert record["cell"] == cell_id(record) == cell_id({**record, "trial": 0})
    default = table.build(read).groups[-1][1]
    assert [row.label for row in default] == ["coral"]
    assert zoo("status", tmp_path / "run").out.count("nothing") == 1


def test_too_few_trials_are_refused(refused):
    assert "--trials" in refused("{tiny}", "--trials", "0")
    assert "--trials" in refused("{tiny}", "--trials", "-1")


def test_a_shorter_list_of_trials_does_not_shorten_the_folder():
    row = {"method": "m", "family": "feature", "parameters": {"a": 1}, "code": {}, "cells": {}}
    meta = {"suite": {}, "pairs": [], "domains": {}, "unsupported": [], "partial": {}}
    long, short = [{"a": 1}, {"a": 2}, {"a": 3}], [{"a": 1}, {"a": 2}]

    def after(old, new):
        first, second = (meta | {"rows": {"m": row | {"trials": trials}}} for trials in (old, new))
        return merged(first, second)["rows"]["m"]["trials"]

    assert after(long, short) == long
    assert after(short, long) == long
    assert after(long, [{"a": 1}, {"a": 9}]) == [{"a": 1}, {"a": 9}]  # another search


# -- choices, over planted records: method m with trials 0 to 2 on two pairs and two seeds


PAIRS, SEEDS = ("a:b", "b:a"), (0, 1)
ACCURACY = {  # pair and seed → of each trial
    ("a:b", 0): (0.50, 0.60, 0.70),
    ("a:b", 1): (0.52, 0.62, 0.40),
    ("b:a", 0): (0.30, 0.20, 0.25),
    ("b:a", 1): (0.80, 0.90, 0.85),
}


def record(method, pair, seed, trial, accuracy, parameters):
    source, target = pair.split(":")
    made = {
        "source": source, "target": target, "data": {"a": "sha-a", "b": "sha-b"}, "setting": "unsupervised",
        "method": method, "family": "feature", "learner": "logistic", "seed": seed, "trial": trial,
        "parameters": parameters, "suite": {}, "code": "c1", "status": "ok", "reason": "",
        "metrics": {"accuracy": accuracy}, "validators": {}, "n_test": 100, "fit_s": 1.0 + trial, "shared_s": 0.5,
        "fit_cpu_s": 1.0, "predict_s": 0.1, "peak_rss_mb": 300.0, "peak_cuda_mb": None, "certificate": {},
        "device": "cpu", "versions": {}, "predictions_sha256": f"{method}{pair}{seed}{trial}",
    }  # fmt: skip
    return {"cell": cell_id(made), **made}


def planted(values=lambda accuracy, trial: accuracy, rule="v", change=lambda r: r):
    """A run in which `rule` says of a trial what `values` makes of its accuracy; None: no finite value, '': nothing."""
    made, found = [], {}
    for (pair, seed), accuracies in ACCURACY.items():
        made.append(record("source_only", pair, seed, 0, 0.5, {}))
        for trial, accuracy in enumerate(accuracies):
            one = change(record("m", pair, seed, trial, accuracy, {"x": trial}))
            made.append(one)
            value = values(accuracy, trial)
            status = "n/a" if value == "n/a" else "failed" if value is None else "ok"
            if value != "":
                number = value if status == "ok" else None
                said = Value(rule, "c", status, "" if status == "ok" else "why", number, 0.25, None)
                found[one["cell"], rule] = said
    row = {"method": "m", "family": "feature", "parameters": {"x": 0}, "code": {"logistic": "c1"}}
    plain = {"method": "source_only", "family": "baseline", "parameters": {}, "code": {"logistic": "c1"}}
    meta = {
        "suite": {"name": "s", "seeds": 2, "trials": 3, "base": "logistic", "reference": "source_only"},
        "pairs": list(PAIRS), "domains": {k: {"content": f"sha-{k}", "n": 100} for k in "ab"}, "unsupported": [],
        "rows": {"m": row | {"trials": [{"x": i} for i in range(3)]}, "source_only": plain},
    }  # fmt: skip
    return records.Run(meta, made, values=found)


def cells_of(run, *names, **options):
    built = table.build(run, select=names, **options)
    return {
        row.label: dict(zip([c.key for c in built.columns], row.cells, strict=True))
        for _, g in built.groups
        for row in g
    }


def test_each_pair_and_seed_is_selected_by_itself():
    cells = cells_of(planted(), "default", "v", "oracle")
    best = {pair: np.mean([max(ACCURACY[pair, s]) for s in SEEDS]) for pair in PAIRS}
    first = {pair: np.mean([ACCURACY[pair, s][0] for s in SEEDS]) for pair in PAIRS}
    for pair in PAIRS:
        assert cells["m [v]"][pair].value == pytest.approx(best[pair], abs=1e-12)
        assert cells["m [oracle]"][pair].value == pytest.approx(best[pair], abs=1e-12)
        assert cells["m [default]"][pair].value == pytest.approx(first[pair], abs=1e-12)
    assert cells["m [v]"]["average"].value == pytest.approx(np.mean(list(best.values())), abs=1e-12)
    assert not cells["m [oracle]"]["average"].ranked
    assert "source_only" in cells  # once: it had nothing to search


def test_a_validator_that_is_wrong_selects_the_worst():
    cells = cells_of(planted(lambda accuracy, trial: -accuracy), "v")
    for pair in PAIRS:
        expected = np.mean([min(ACCURACY[pair, s]) for s in SEEDS])
        assert cells["m [v]"][pair].value == pytest.approx(expected, abs=1e-12)


def test_selection_does_not_look_at_the_target():
    """Other accuracies, the same choice: only the oracle follows them."""
    run = planted(lambda accuracy, trial: trial == 1)
    other = replace(run, records=[r | {"metrics": {"accuracy": 1 - r["metrics"]["accuracy"]}} for r in run.records])
    for search_ in selection.searches(run):
        for _, by_seed in search_.pairs.items():
            for _, tried in selection.seeds(by_seed).items():
                if len(tried) == 3:
                    again = {t: {**r, "metrics": {"accuracy": 1 - r["metrics"]["accuracy"]}} for t, r in tried.items()}
                    assert selection.choose(run, tried, "v", "accuracy").trial == 1
                    assert selection.choose(other, again, "v", "accuracy").trial == 1
                    oracle = [selection.choose(run, x, "oracle", "accuracy").trial for x in (tried, again)]
                    assert oracle[0] != oracle[1]


@pytest.mark.parametrize(
    ("value", "text"), [(None, "no selection"), ("n/a", "n/a"), ("", "not judged")], ids=["failed", "n/a", "unasked"]
)
def test_what_a_validator_does_not_say_selects_nothing(value, text):
    if value == "":
        run = planted(lambda accuracy, trial: "" if trial == 1 else accuracy)
    else:
        run = planted(lambda accuracy, trial: value)
    cells = cells_of(run, "v")
    assert cells["m [v]"]["a:b"].text == text
    assert cells["m [v]"]["a:b"].value is None
    notes = table.build(run, select=["v"]).notes
    assert any(note.startswith(f"{text}: m [v] (logistic) on a→b (seeds 0, 1)") for note in notes)


def test_a_trial_without_a_value_is_out_and_counted():
    run = planted(lambda accuracy, trial: None if trial == 2 else accuracy)
    cells = cells_of(run, "v")
    assert cells["m [v]"]["a:b"].value == pytest.approx((0.60 + 0.62) / 2, abs=1e-12)
    assert "v: 4 selections without the trials that it has no finite value of" in table.build(run, select=["v"]).notes


def test_equal_values_take_the_first_and_say_so():
    run = planted(lambda accuracy, trial: 1.0)
    assert cells_of(run, "v")["m [v]"]["a:b"].value == pytest.approx(0.51, abs=1e-12)
    notes = table.build(run, select=["v"]).notes
    assert "v: 4 selections between trials of equal value: the first was taken" in notes


def test_a_trial_that_failed_is_not_chosen():
    def fails(r):
        return r | {"status": "failed", "metrics": {}, "reason": "because"} if r["trial"] == 2 else r

    cells = cells_of(planted(change=fails), "v", "oracle", "default")
    assert cells["m [v]"]["a:b"].value == pytest.approx((0.60 + 0.62) / 2, abs=1e-12)
    assert cells["m [oracle]"]["a:b"].value == pytest.approx((0.60 + 0.62) / 2, abs=1e-12)


def test_the_oracle_of_a_metric_of_which_less_is_better_takes_the_least():
    run = planted(change=lambda r: r | {"metrics": {"accuracy": 0.5, "nll": r["metrics"]["accuracy"]}})
    cells = cells_of(run, "oracle", metric="nll")
    assert cells["m [oracle]"]["a:b"].value == pytest.approx((0.50 + 0.40) / 2, abs=1e-12)


def test_the_time_of_a_selected_row_is_that_of_its_search():
    cells = cells_of(planted(), "v", "default")
    assert cells["m [v]"]["time_s"].value == pytest.approx(1 + 2 + 3 + 3 * 0.5 + 3 * 0.25)
    assert cells["m [default]"]["time_s"].value == pytest.approx(1.5)


def test_the_caption_names_rule_trials_and_unit():
    caption = table.build(planted(), select=["v"]).caption
    said = "Selection by v for each pair and seed among 3 trials of m; source_only has 1 trial (nothing to search)"
    assert said in caption


def test_rules_that_the_run_does_not_know_are_refused():
    with pytest.raises(BadInput, match="this run has default, v, oracle"):
        table.build(planted(), select=["dev"])
    run = planted()
    plain = {k: {x: y for x, y in row.items() if x != "trials"} for k, row in run.meta["rows"].items()}
    with pytest.raises(BadInput, match="one trial a method"):
        table.build(replace(run, meta=run.meta | {"rows": plain}), select=["oracle"])


def test_the_compact_table_is_methods_by_rules():
    built = rules.build(planted(lambda accuracy, trial: -accuracy))
    assert [c.key for c in built.columns] == ["default", "v", "oracle"]
    rows = {row.label: [c.value for c in row.cells] for _, group in built.groups for row in group}
    means = [np.mean([f(a) for a in ACCURACY.values()]) for f in (lambda a: a[0], min, max)]
    assert rows["m"] == pytest.approx(means, abs=1e-12)
    assert rows["source_only"] == pytest.approx([0.5] * 3)
    for form in ("md", "latex", "csv", "html", "json"):
        assert table.render(built, form) == table.render(rules.build(planted(lambda accuracy, trial: -accuracy)), form)


# -- zoo compare --validators


def judged(run, rule="v"):
    return {j.rule: j for j in validators.judge(run)[1]}[rule]


def test_rank_correlation_is_scipys():
    rng = np.random.default_rng(0)
    noise = dict(zip([a for t in ACCURACY.values() for a in t], rng.random(12), strict=True))
    found = judged(planted(lambda accuracy, trial: noise[accuracy]))
    by_pair = {pair: [] for pair in PAIRS}
    for (pair, _), accuracies in ACCURACY.items():
        by_pair[pair].append(scipy.stats.spearmanr([noise[a] for a in accuracies], accuracies).statistic)
    means = [np.mean(rhos) for rhos in by_pair.values()]
    assert found.within.pairs.mean == pytest.approx(np.mean(means), abs=1e-12)
    interval = scipy.stats.t.interval(0.95, 1, np.mean(means), scipy.stats.sem(means))
    assert (found.within.pairs.low, found.within.pairs.high) == pytest.approx(interval, abs=1e-9)
    assert found.within.of == 4


def test_regret_and_gain_by_hand():
    run = planted(lambda accuracy, trial: trial)  # always the last
    v, default, oracle, lot = (judged(run, rule) for rule in ("v", "default", "oracle", "random"))
    regrets = {k: max(a) - a[2] for k, a in ACCURACY.items()}
    by_pair = [np.mean([regrets[pair, s] for s in SEEDS]) for pair in PAIRS]
    assert v.regret.pairs.mean == pytest.approx(np.mean(by_pair), abs=1e-12)
    assert v.gain.pairs.mean == pytest.approx(np.mean([a[2] - a[0] for a in ACCURACY.values()]), abs=1e-12)
    assert default.gain.pairs.mean == 0
    assert oracle.regret.pairs.mean == 0
    assert lot.regret.pairs.mean == pytest.approx(np.mean([max(a) - np.mean(a) for a in ACCURACY.values()]), abs=1e-12)
    by_seed = [np.mean([regrets[pair, s] for pair in PAIRS]) for s in SEEDS]
    assert v.regret.seeds.mean == pytest.approx(np.mean(by_seed), abs=1e-12)
    assert v.regret.seeds.n == 2


def test_a_right_and_a_wrong_validator():
    right, wrong = judged(planted()), judged(planted(lambda accuracy, trial: -accuracy))
    assert (right.within.pairs.mean, right.regret.pairs.mean) == pytest.approx((1, 0))
    assert wrong.within.pairs.mean == pytest.approx(-1)
    assert wrong.regret.pairs.mean > 0.1


def test_cells_that_it_failed_are_counted_and_not_averaged():
    run = planted(lambda accuracy, trial: None)
    found = judged(run)
    assert (found.failed, found.cells, found.unchosen) == (12, 12, 4)
    assert found.regret is None
    assert found.within is None
    text = validators.render(run)
    assert "12/12" in text
    assert json.loads(validators.render(run, form="json"))["rules"][0]["rule"] == "v"


def test_a_run_that_nobody_judged_is_refused():
    with pytest.raises(BadInput, match="no validator has judged"):
        validators.judge(replace(planted(), values={}))


def test_selection_of_a_deterministic_row_stands_for_all_seeds():
    """Trials that no seed changes are one record, and stand beside those of each seed."""
    run = planted()
    trial = next(r for r in run.records if r["method"] == "m" and r["trial"] == 1)
    mixed = selection.seeds({None: {1: trial}, 0: {0: trial}, 1: {0: trial}})
    assert {seed: sorted(tried) for seed, tried in mixed.items()} == {0: [0, 1], 1: [0, 1]}
    assert selection.seeds({None: {0: trial}}) == {None: {0: trial}}
