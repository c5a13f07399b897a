"""The command that makes a published run anew, read off its records: what was asked for beyond the suite's own file."""

from __future__ import annotations

from collections import defaultdict
from itertools import permutations
from typing import Any

from zoo import discover
from zoo.bench.suite import load
from zoo.records import Run

OPTIONS = ("protocol", "labels", "examples", "net", "weights", "trainable", "precision", "steps", "batch_size")


def commands(run: Run, name: str) -> list[str]:
    """One line, or one for each number of seeds where rows differ in it, and for validators of some pairs only.

    Parameters
    ----------
    name : the run's folder under results/; where that is a suite's name, it is this suite
    """
    was = run.meta["suite"]
    suite = name if name in discover.suites() else was["name"]
    usual = load(suite, {}).recorded()
    known = discover.datasets()[was["dataset"]]
    words = ["zoo", "run", suite]
    if known.folder:
        words += ["--data-root", "data"]
    for key in OPTIONS:
        if was.get(key, usual[key]) != usual[key]:
            words += [f"--{key.replace('_', '-')}", _value(was[key])]
    if was.get("trials", 1) > 1:  # old runs have 0
        words += ["--trials", str(was["trials"])]
    usual_pairs = {*(usual["pairs"] or map(":".join, permutations(known.domains, 2)))}
    own = {next(iter(m.values())).get("as", next(iter(m))) if isinstance(m, dict) else m for m in usual["methods"]}
    lines = []
    for seeds, labels in sorted(_by_seeds(run).items(), reverse=True):
        asked = [] if labels == own else ["--methods", ",".join(sorted(labels - {"source_only"}))]
        count = [] if seeds == usual["seeds"] else ["--seeds", str(seeds)]
        for pairs, validators in sorted(_judged(run).items(), key=lambda item: -len(item[0])):
            on = [] if {*pairs} == usual_pairs else ["--pairs", ",".join(pairs)]
            by = ["--validators", ",".join(validators)] if validators else []
            lines.append(" ".join([*words, *on, *asked, *count, *by, "--out", f"results/{name}"]))
    return lines


def _judged(run: Run) -> dict[tuple[str, ...], list[str]]:
    """The validators that judged cells of the same pairs, sorted, by these pairs; an empty list where none has."""
    pair_of = {r["cell"]: f"{r['source']}:{r['target']}" for r in run.records if r["source"]}
    pairs: dict[str, set[str]] = defaultdict(set)
    for cell, validator in run.values:
        if cell in pair_of:
            pairs[validator].add(pair_of[cell])
    judged: dict[tuple[str, ...], list[str]] = {tuple(run.meta["pairs"]): []}
    for validator, on in sorted(pairs.items()):
        judged.setdefault(tuple(p for p in run.meta["pairs"] if p in on), []).append(validator)
    return judged


def _value(value: Any) -> str:
    """A file of weights is recorded by its name and content."""
    text = str(value)
    return f"data/weights/{text.split(' (sha256')[0]}" if " (sha256" in text else text


def _by_seeds(run: Run) -> dict[int, set[str]]:
    """Labels that have cells, by their number of seeds; in transductive a row may need one only."""
    seeds: dict[str, set[int]] = defaultdict(set)
    for record in run.records:
        for label in run.labels(record):
            seeds[label] |= {record["seed"]} - {None}
    counts: dict[int, set[str]] = defaultdict(set)
    most = max(map(len, seeds.values()))
    for label, found in seeds.items():
        counts[most if run.meta["suite"]["protocol"] == "transductive" else len(found)].add(label)
    return counts
