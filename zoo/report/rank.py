"""Transferability scores as a table beside what methods achieved: a pure function of scores and records."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import StatisticsError, correlation, fmean
from typing import Any

from zoo.errors import BadInput
from zoo.records import Run
from zoo.report import files
from zoo.report.caption import PROTOCOLS, normalisation
from zoo.report.formats.md import padded
from zoo.report.lines import Line, lines

SCORES = {"leep": "LEEP*", "nce": "NCE*", "log_me": "LogME*", "h_score": "H-score*", "proxy_a": "A-distance"}
LOWER = ("proxy_a",)
TABLES = ("md", "json", "csv")
LEAST = 3  # sources of a target, or pairs, for a correlation

Pair = tuple[str, str]


def check(out: Iterable[Path]) -> None:
    """Refuse, before anything is computed, what could not be written afterwards."""
    files.check(out, TABLES)


def write(found: dict[str, Any], file: Path) -> None:
    """The table, by the file's ending."""
    with files.writing(file):
        file.write_text(render(found, file.suffix[1:]), encoding="utf-8")


def join(found: dict[str, Any], run: Run | None, folder: Path) -> dict[str, Any]:
    """The scores with their ranks within each target, and how they correlate with the accuracies of a run.

    `achieved` maps what was reached to accuracies by pair: source_only of each learner; of the unsupervised methods
    under it that finished every pair of the run asked for here, the highest accuracy of each pair and the mean; and
    each unsupervised method. A method with a classifier of its own counts under the base learner.

    Raises
    ------
    BadInput
        The run is of another data set, or of other data under its name.
    """
    rows = _ranked(found["rows"])
    if run is None:
        note = f"no run in {folder}: accuracies and correlations are left out (zoo run, or --run DIR)"
        return {**found, "rows": rows, "run": None, "achieved": {}, "correlations": [], "notes": [note]}
    mine, theirs = found["suite"], run.meta["suite"]
    if theirs.get("dataset") != mine["dataset"]:
        raise BadInput(f"--run {folder}: a run of {theirs.get('dataset')}, not of {mine['dataset']}")
    for name, domain in found["domains"].items():
        content = run.meta["domains"].get(name, {}).get("content")
        if content not in (None, domain["content"]):
            raise BadInput(f"--run {folder}: its domain {name} held other data than there are now")
    keys = ("protocol", "normalise", "normalise_by", "base", "features", "net", "weights")
    notes = [
        f"the run differs from what was scored in {key}: {theirs.get(key)}, not {mine.get(key)}"
        for key in keys
        if theirs.get(key) != mine.get(key)
    ]
    achieved, left_out = _achieved(run, [(row["source"], row["target"]) for row in rows])
    if not achieved:
        notes.append(f"{folder} holds no accuracy of source_only or an unsupervised method on these pairs")
    if left_out:
        notes.append(f"not in best and mean, for unfinished pairs: {', '.join(left_out)}")
    return {
        **found,
        "rows": rows,
        "run": str(folder),
        "achieved": {
            name: {"kind": kind, "pairs": {f"{s}:{t}": v for (s, t), v in values.items()}}
            for name, (kind, values) in achieved.items()
        },
        "correlations": [_correlated(name, kind, values, rows) for name, (kind, values) in achieved.items()],
        "notes": notes,
    }


def spearman(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Spearman's rank correlation, ties by their mean rank; None of fewer than 3, or where one side is constant."""
    if len(x) < LEAST:
        return None
    try:
        return correlation(_ranks(x), _ranks(y))
    except StatisticsError:
        return None


def _ranks(values: Sequence[float]) -> list[float]:
    return [sum(v < w for v in values) + (sum(v == w for v in values) + 1) / 2 for w in values]


def _good(row: dict[str, Any], score: str) -> float:
    """The score turned so that higher is better."""
    return -row[score] if score in LOWER else row[score]


def _ranked(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with ranks (1 is best, equal ones share theirs), by target in the order given, then by mean rank."""
    ranked, targets = [], list(dict.fromkeys(row["target"] for row in rows))
    for row in rows:
        rivals = [other for other in rows if other["target"] == row["target"]]
        ranks = {s: 1 + sum(_good(other, s) > _good(row, s) for other in rivals) for s in SCORES}
        ranked.append({**row, "ranks": ranks})
    return sorted(ranked, key=lambda r: (targets.index(r["target"]), fmean(r["ranks"].values())))


def _achieved(run: Run, wanted: list[Pair]) -> tuple[dict[str, tuple[str, dict[Pair, float]]], list[str]]:
    """What was reached → its kind and accuracy by pair; and the methods that best and mean leave out."""
    suite = run.meta["suite"]
    planned = set(range(suite.get("seeds", 1)))
    there = [pair for pair in wanted if ":".join(pair) in run.meta["pairs"]]
    groups: dict[str, list[tuple[Line, dict[Pair, float]]]] = {}
    for line in lines(run)[0]:
        # A method with a classifier of its own is compared under the base learner; so it is here.
        learner = suite.get("base") if line.learner == "own" else line.learner
        values = {}
        for pair in there:
            seeds = line.values(":".join(pair), "accuracy")
            if None in seeds or planned <= seeds.keys():
                values[pair] = fmean(seeds.values())
        groups.setdefault(str(learner), []).append((line, values))
    first: dict[str, tuple[str, dict[Pair, float]]] = {}
    each: dict[str, tuple[str, dict[Pair, float]]] = {}
    left_out = []
    for learner, members in groups.items():
        for line, values in members:
            if line.label == "source_only" and values:
                first[f"source_only ({learner})"] = ("source_only", values)
        free = [(m, v) for m, v in members if m.setting.removeprefix("source-free ") == "unsupervised" and v]
        each |= {f"{line.label} ({learner})": ("method", values) for line, values in free}
        whole = [values for _, values in free if len(values) == len(there)]
        left_out += [f"{line.label} ({learner})" for line, values in free if len(values) < len(there)]
        if whole:
            k = f"of {len(whole)} unsupervised ({learner})"
            first[f"best {k}"] = ("best", {p: max(v[p] for v in whole) for p in there})
            first[f"mean {k}"] = ("mean", {p: fmean(v[p] for v in whole) for p in there})
    return first | each, left_out


def _correlated(name: str, kind: str, values: dict[Pair, float], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Spearman's correlation of each score with accuracies: the mean over targets, and over all pairs."""
    rows = [row for row in rows if (row["source"], row["target"]) in values]
    targets = list(dict.fromkeys(row["target"] for row in rows))
    sources = {t: sum(row["target"] == t for row in rows) for t in targets}
    enough = [t for t in targets if sources[t] >= LEAST]
    found: dict[str, Any] = {}
    for score in SCORES:

        def of(some: list[dict[str, Any]], score: str = score) -> float | None:
            return spearman([_good(r, score) for r in some], [values[r["source"], r["target"]] for r in some])

        within = [rho for t in enough if (rho := of([row for row in rows if row["target"] == t])) is not None]
        found[score] = {"within": fmean(within) if within else None, "targets": len(within), "all": of(rows)}
    few = [sources[t] for t in enough]
    return {"achieved": name, "kind": kind, "targets": len(few), "sources": few, "pairs": len(rows), "scores": found}


def render(found: dict[str, Any], format: str = "md") -> str:
    """What `join` gave as md, json or csv (the pairs alone), with one newline at its end."""
    if format == "json":
        return json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    shown = {name: a["pairs"] for name, a in found["achieved"].items() if a["kind"] != "method"}
    if format == "csv":
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        heads = [name for score in SCORES for name in (score, f"{score}_rank")]
        writer.writerow(["source", "target", "n_source", "n_target", *heads, *found["achieved"]])
        for row in found["rows"]:
            scores = [v for score in SCORES for v in (row[score], row["ranks"][score])]
            pair = f"{row['source']}:{row['target']}"
            reached = [a["pairs"].get(pair, "") for a in found["achieved"].values()]
            writer.writerow([row["source"], row["target"], *row["n"], *scores, *reached])
        return out.getvalue()
    table = [["target", "source", *SCORES.values(), *shown]]
    for row in found["rows"]:
        pair = f"{row['source']}:{row['target']}"
        scores = [f"{row[score]:.3f} ({row['ranks'][score]})" for score in SCORES]
        reached = [f"{100 * values[pair]:.1f}" if pair in values else "–" for values in shown.values()]
        table.append([row["target"], row["source"], *scores, *reached])
    text = [caption(found), "", *padded(table, 2)]
    if found["correlations"]:
        table = [["Spearman: within targets / all pairs", "targets", "pairs", *SCORES.values()]]
        for row in found["correlations"]:
            cells = [f"{_rho(c['within'])} / {_rho(c['all'])}" for c in row["scores"].values()]
            table.append([row["achieved"], str(row["targets"]), str(row["pairs"]), *cells])
        text += ["", *padded(table, 1)]
    return "\n".join([*text, "", *(f"- {note}" for note in (*_legend(found), *found["notes"]))]) + "\n"


def _rho(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2f}"


def _legend(found: dict[str, Any]) -> list[str]:
    notes = [
        "*: reads target labels, so it is a diagnostic and no method's input; A-distance reads none",
        "(rank): among the sources of a target; 1 is best, which is the highest, for A-distance the lowest",
    ]
    if not found["correlations"]:
        return notes
    notes.append(
        f"Spearman within a target over its sources, then the mean over targets; A-distance with its sign turned; "
        f"n/a: fewer than {LEAST}, or all equal"
    )
    fullest = max(found["correlations"], key=lambda row: row["pairs"])
    if fullest["targets"]:
        n, spread = fullest["targets"], sum(1 / (k - 1) for k in fullest["sources"]) ** 0.5 / fullest["targets"]
        notes.append(
            f"where nothing correlates, the standard deviation is {spread:.2f} within {n} targets and "
            f"{(fullest['pairs'] - 1) ** -0.5:.2f} over {fullest['pairs']} pairs, were they independent"
        )
    if any(row["kind"] == "best" for row in found["correlations"]):
        notes.append("best: the highest accuracy of each pair, which only its test labels tell")
    return notes


def caption(found: dict[str, Any]) -> str:
    """What the numbers depend on."""
    suite, settings = found["suite"], found["settings"]
    sizes = ", ".join(f"{name} {d['n']}" for name, d in found["domains"].items())
    base = suite["base"]
    why = f" (the base learner, {base}, gives no probabilities)" if base != "logistic" else " (the base learner)"
    read = "all target samples, with labels" if suite["protocol"] == "transductive" else "the adapt part, with labels"
    parts = [
        f"{suite['name']}: transferability before any adaptation",
        f"Data: {suite['dataset']} ({sizes}; {found['classes']} classes)",
        f"Protocol: {PROTOCOLS[suite['protocol']]}; scores read {read}"
        + ", and no test row" * (suite["protocol"] == "holdout"),
        f"Normalisation: {normalisation(suite)}",
        f"Source model: logistic regression on {suite['features']} features{why}: LEEP and LogME on its probabilities, "
        "NCE on its decisions, H-score on its logits",
        f"A-distance: proxy, of features without the suite's normalisation, {settings['splits']} halves of at most "
        f"{settings['cap']} random samples a domain",
        f"Seed {settings['seed']}",
        *([f"Accuracies in %, mean over seeds: {found['run']}"] if found["achieved"] else []),
        ", ".join(f"{x} {found['versions'][x]}" for x in ("zoo", "torch", "scikit-learn", "numpy")),
    ]
    return ". ".join(parts) + "."
