"""Selection of a trial by a rule, for each pair and seed by itself: a pure function of records and values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from zoo.errors import BadInput
from zoo.records import Record, Run
from zoo.report.cells import LOWER
from zoo.report.lines import Line, lines

DEFAULT, ORACLE = "default", "oracle"
NONE, NA, UNJUDGED = "no selection", "n/a", "not judged"  # statuses of what no rule chose


@dataclass
class Search:
    """A row's trials: for each pair and seed the record of each trial, by its number."""

    line: Line
    trials: int
    pairs: dict[str, dict[int | None, dict[int, Record]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """What a rule chose for a pair and seed: the number of a trial, or why none; `tied` trials have the same value."""

    trial: int | None
    status: str = "ok"
    reason: str = ""
    tied: int = 1
    failed: int = 0  # trials that the rule has no value of


def searches(run: Run) -> list[Search]:
    """The rows of the table, each with the trials of its search; the row's own parameters are trial 0."""
    known, _ = lines(run)
    found = {
        (line.setting, line.learner, line.label): Search(line, len(run.meta["rows"][line.label].get("trials") or [0]))
        for line in known
    }
    for record in run.records:
        for label, trial in run.tried(record).items():
            search = found.get((record["setting"], record["learner"], label))
            if search is None or run.stale(record, label):
                continue
            for pair in run.meta["pairs"]:
                source, target = pair.split(":")
                if target == record["target"] and record["source"] in (source, None):
                    search.pairs.setdefault(pair, {}).setdefault(record["seed"], {})[trial] = record
    return list(found.values())


def rules(run: Run) -> list[str]:
    """The rules that a run allows: the default, the validators that said something of it, and the oracle."""
    return [DEFAULT, *sorted({name for _, name in run.values}), ORACLE]


def asked(run: Run, names: Sequence[str]) -> list[str]:
    """The rules of an option; ``all`` are all there are.

    Raises
    ------
    BadInput
        A rule that the run has no values of; a run in which nothing was searched.
    """
    known = rules(run)
    for name in names:
        if name not in (*known, "all"):
            how = "zoo run ... --validators computes values"
            raise BadInput(f"--select {name}: this run has {', '.join(known)}; {how}")
    several = run.meta["suite"].get("sources") == "each"  # of which the best is to be chosen
    if not several and not any(len(row.get("trials") or ()) > 1 for row in run.meta["rows"].values()):
        raise BadInput("--select: this run has one trial a method, so nothing can be selected (zoo run ... --trials N)")
    return list(dict.fromkeys(r for name in names for r in (known if name == "all" else [name])))


def choose(run: Run, tried: dict[int, Record], rule: str, metric: str) -> Choice:
    """The trial that a rule chooses: that of the highest value, of several equal ones the first.

    Trials whose cells did not finish, or of which the rule has no finite value, are out; where none is left, nothing is
    chosen. A trial that no validator was asked of leaves the choice open.
    """
    done = {t: r for t, r in sorted(tried.items()) if r["status"] == "ok"}
    if rule == DEFAULT:
        return Choice(0) if 0 in done else Choice(None, tried[0]["status"] if 0 in tried else UNJUDGED, _why(tried))
    if not done:
        return Choice(None, next(iter(tried.values()))["status"], _why(tried))
    if rule == ORACLE:
        sign = -1 if metric in LOWER else 1
        said = {t: sign * v for t, r in done.items() if (v := r["metrics"].get(metric)) is not None}
        return _best(said, len(done)) if said else Choice(None, NONE, f"no {metric}")
    values = {t: run.values.get((r["cell"], rule)) for t, r in done.items()}
    if any(v is None for v in values.values()):
        return Choice(None, UNJUDGED, f"{rule} has not judged all trials")
    known = {t: v for t, v in values.items() if v is not None}
    if all(v.status == NA for v in known.values()):
        return Choice(None, NA, f"{rule}: {next(iter(known.values())).reason}")
    said = {t: v.value for t, v in known.items() if v.value is not None}
    if not said:
        why = next(v.reason for v in known.values() if v.status != NA)
        return Choice(None, NONE, f"{rule} gave no value of any trial ({why})")
    return _best(said, len(done))


def _best(said: dict[int, float], of: int) -> Choice:
    best = max(said.values())
    first, *others = [t for t, v in said.items() if v == best]
    return Choice(first, tied=1 + len(others), failed=of - len(said))


def _why(tried: dict[int, Record]) -> str:
    return str(next((r.get("reason") for r in tried.values() if r.get("reason")), "") or "")


def seeds(found: dict[int | None, dict[int, Record]]) -> dict[int | None, dict[int, Record]]:
    """The trials of each seed of a pair; a trial that no seed changes stands in all of them."""
    fixed = found.get(None, {})
    own: dict[int | None, dict[int, Record]] = {}
    own |= {seed: {**fixed, **trials} for seed, trials in found.items() if seed is not None}
    return own or {None: fixed}


def selected(run: Run, search: Search, rule: str, metric: str) -> tuple[Line, Counter[str]]:
    """A row under a rule, and what has to be said of it: how many of its selections were ``tied`` and ``partial``.

    The time of a chosen record is that of the search: of all trials' fits and of the validator.
    """
    line = replace(search.line, rule=rule, pairs={})
    said: Counter[str] = Counter()
    for pair, found in search.pairs.items():
        for seed, tried in seeds(found).items():
            choice = choose(run, tried, rule, metric)
            line.pairs.setdefault(pair, {})[seed] = record_of(run, search, choice, tried, rule, seed)
            said["tied"] += choice.tied > 1
            said["partial"] += choice.failed > 0
    return line, said


def record_of(
    run: Run, search: Search, choice: Choice, tried: dict[int, Record], rule: str, seed: int | None
) -> dict[str, Any]:
    """The record of a choice, with the time of the search; of none a record that says why."""
    some = next(iter(tried.values()))
    if choice.trial is None:
        lost = {"cell": f"{some['cell']} {rule}", "status": choice.status, "reason": choice.reason, "metrics": {}}
        return {**some, **lost, "predictions_sha256": None}
    record = tried[choice.trial]
    if rule == DEFAULT:
        return record
    judged = [v.seconds or 0 for r in tried.values() if (v := run.values.get((r["cell"], rule)))]
    spent = [(r["fit_s"] or 0) + (r.get("shared_s") or 0) for r in tried.values() if r["status"] == "ok"]
    return {**record, "fit_s": sum(spent) + sum(judged), "shared_s": 0.0}


def under(run: Run, names: Sequence[str], metric: str) -> tuple[list[Line], list[str]]:
    """The rows of a table under rules, and its notes. A row that had nothing to search stands once, under no rule."""
    found: list[Line] = []
    notes: dict[str, Counter[str]] = {rule: Counter() for rule in names}
    for search in searches(run):
        if search.trials == 1:
            found.append(search.line)
            continue
        for rule in names:
            line, said = selected(run, search, rule, metric)
            notes[rule] += said
            found.append(line)
    text = []
    for rule, said in notes.items():
        if said["tied"]:
            text.append(f"{rule}: {said['tied']} selections between trials of equal value: the first was taken")
        if said["partial"]:
            text.append(f"{rule}: {said['partial']} selections without the trials that it has no finite value of")
    if ORACLE in names:
        text.append("[oracle]: chosen by the test labels, the most that any rule could gain; not ranked")
    if set(names) - {DEFAULT}:
        text.append("time of a selected row: fits of all its trials, and its validator")
    return found, text


def said(run: Run, names: Sequence[str]) -> str:
    """The sentence of a caption: rules, and the number of trials of each row."""
    counts: dict[int, list[str]] = {}
    for search in searches(run):
        if search.line.label not in counts.setdefault(search.trials, []):
            counts[search.trials].append(search.line.label)
    parts = [
        f"{', '.join(labels)} {'has 1 trial' if len(labels) == 1 else 'have 1 trial'} (nothing to search)"
        if n == 1
        else f"{n} trials of {', '.join(labels)}"
        for n, labels in sorted(counts.items(), reverse=True)
    ]
    return f"Selection by {', '.join(names)} for each pair and seed among {'; '.join(parts)}"
