"""Single sources beside several pooled: the best of them, chosen by a rule, and their mean.

A pure function of records and values: what is compared are the ordinary cells of the pairs ``a:c`` and ``b:c``, of the
same method, parameters and seed as that of ``a+b:c``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from zoo.records import Record, Run
from zoo.report.lines import Line
from zoo.report.selection import DEFAULT, ORACLE, Search, choose, record_of, rules, searches, seeds

BEST, MEAN = "best single", "mean single"
REMARKS = {
    "tied": "between sources of equal value: the first was taken",
    "partial": "without the sources that it has no finite value of",
}
PREFERRED = "info_max"  # of the validators that a run has values of: it compares fits of unlike sources


def of_pairs(meta: Mapping[str, Any]) -> dict[str, list[str]]:
    """The pairs of one source each that stand beside a pair of several, where the suite asks for them.

    >>> of_pairs({"suite": {"sources": "each"}, "pairs": ["a+b:c", "a:b"]})
    {'a+b:c': ['a:c', 'b:c']}
    """
    if meta["suite"].get("sources") != "each":
        return {}
    parted = ((pair, *pair.split(":")) for pair in meta["pairs"])
    return {pair: [f"{s}:{target}" for s in source.split("+")] for pair, source, target in parted if "+" in source}


def choosing(run: Run, select: Sequence[str] = ()) -> list[str]:
    """The rules by which the best source is chosen: those asked for, or else one validator that the run has.

    Of what was not asked for the oracle is none.
    """
    if not of_pairs(run.meta):
        return []
    if select:
        return [name for name in select if name != DEFAULT]
    known = [name for name in rules(run) if name not in (DEFAULT, ORACLE)]
    return [PREFERRED if PREFERRED in known else known[0]] if known else []


def ranked(rule: str) -> bool:
    """Whether a row under a rule could have been had: not by test labels, and no mean over several runs."""
    return rule not in (ORACLE, MEAN, f"{BEST}, {ORACLE}")


def beside(run: Run, rows: Sequence[Line], select: Sequence[str], metric: str) -> tuple[list[Line], list[str]]:
    """The rows of a table, each method's with those of its single sources below, and what is to be said of these.

    Parameters
    ----------
    select : the rules that the table's rows stand under, if any: the best source is then chosen together with the trial
    """
    pairs = of_pairs(run.meta)
    if not pairs:
        return list(rows), []
    alone = list(dict.fromkeys(pair for parts in pairs.values() for pair in parts))
    known = {s.line.key: s for s in searches(replace(run, meta={**run.meta, "pairs": alone}))}
    found: list[Line] = []
    notes: Counter[tuple[str, str]] = Counter()
    for row, after in zip(rows, [*rows[1:], None], strict=True):
        found.append(row)
        if row.oracle or row.key not in known or (after is not None and after.key == row.key):
            continue
        search = known[row.key]
        made = [best(run, search, pairs, rule, metric, bool(select), notes) for rule in choosing(run, select)]
        found += [line for line in [*made, mean(search, pairs)] if line.pairs]
    return found, [f"{BEST}, {rule}: {n} choices {REMARKS[what]}" for (rule, what), n in sorted(notes.items()) if n]


def best(
    run: Run,
    search: Search,
    pairs: Mapping[str, Sequence[str]],
    rule: str,
    metric: str,
    trials: bool,
    notes: Counter[tuple[str, str]],
) -> Line:
    """The row of the source that a rule chooses for each pair and seed, among all trials or the row's own."""
    line = replace(search.line, rule=f"{BEST}, {rule}", pairs={})
    for pair, seed, tried in _candidates(search, pairs):
        of = {i: r for i, r in tried.items() if trials or i % search.trials == 0}
        choice = choose(run, of, rule, metric)
        line.pairs.setdefault(pair, {})[seed] = record_of(run, search, choice, of, rule, seed)
        notes[rule, "tied"] += choice.tied > 1
        notes[rule, "partial"] += choice.failed > 0
    return line


def mean(search: Search, pairs: Mapping[str, Sequence[str]]) -> Line:
    """The row of the means over sources, of the row's own parameters."""
    line = replace(search.line, rule=MEAN, pairs={})
    for pair, seed, tried in _candidates(search, pairs):
        line.pairs.setdefault(pair, {})[seed] = _mean([r for i, r in tried.items() if i % search.trials == 0])
    return line


def _candidates(
    search: Search, pairs: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, int | None, dict[int, Record]]]:
    """Each pair and seed of which all sources have a cell of their own, with the trials of each source in turn."""
    for pair, parts in pairs.items():
        known = [seeds(search.pairs.get(part, {})) for part in parts]
        for seed in known[0]:
            of = [found.get(seed, {}) for found in known]
            if all(0 in trials and trials[0]["source"] is not None for trials in of):
                yield pair, seed, {k * search.trials + i: r for k, by in enumerate(of) for i, r in by.items()}


def _mean(records: Sequence[Record]) -> Record:
    """One record of the means of several, or that of the first that did not finish."""
    lost = next((r for r in records if r["status"] != "ok"), None)
    if lost is not None:
        return lost
    metrics = {}
    for name in records[0]["metrics"]:
        values = [r["metrics"].get(name) for r in records]
        metrics[name] = None if None in values else fmean(v for v in values if v is not None)
    spent = {k: fmean(r.get(k) or 0.0 for r in records) for k in ("fit_s", "shared_s")}
    cell = " ".join(r["cell"] for r in records)
    return {**records[0], **spent, "cell": f"{cell} mean", "metrics": metrics, "predictions_sha256": None}


def said(run: Run, select: Sequence[str] = ()) -> str:
    """The sentence of a caption."""
    if not of_pairs(run.meta):
        return ""
    by = ", ".join(choosing(run, select))
    chosen = f"the best chosen by {by} for each pair and seed, and their mean" if by else "their mean"
    return f"Single sources: {chosen}; every row without such a remark is of the pooled sources"
