"""What `zoo compare` prints: gains, ranks and, in words, what follows from them, as markdown, LaTeX or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby

from zoo.records import Run
from zoo.report import compare
from zoo.report.caption import abbreviations
from zoo.report.cells import PERCENT
from zoo.report.compare import ROPE, Row, name
from zoo.report.grid import FORMS, Grid
from zoo.report.statistics.paired import FEWEST, LEVEL, Gain

SURE = 0.95  # probability from which the hierarchical test's outcome is said to be so
FORMATS = (*FORMS, "json")


def render(
    run: Run, metric: str = "", form: str = "md", reference: str = "", rope: float = ROPE, every_two: bool = False
) -> str:
    """The comparison of a run.

    Parameters
    ----------
    rope : half the width of the region of practical equivalence, in points (of other metrics: in their unit)
    every_two : compare each two rows, too
    """
    metric, rows, smallest = compare.gains(run, metric, reference, rope)
    reference = reference or run.meta["suite"].get("reference") or "source_only"
    said = [*_conclusions(rows, reference, rope, metric), *_shared(run)]
    if form == "json":
        found = compare.ranked(run, metric)
        ranked = found and {
            "pairs": found[1],
            "friedman_p": found[2].friedman,
            "critical_difference": found[2].difference,
            "rows": [
                {"label": r.label, "learner": r.learner, "setting": r.setting, **asdict(m)}
                for r, m in zip(found[0], found[2].mean, strict=True)
            ],
        }
        two = [dict(zip(("a", "b", "gain", "p"), t, strict=True)) for t in compare.every_two(run, metric)]
        whole = {"metric": metric, "reference": reference, "smallest_p": smallest, "rope": rope} | {
            "correlation": compare.correlation(run), "rows": [asdict(r) for r in rows], "ranks": ranked,
            "said": said, "refused": run.refused, **({"every_two": two} if every_two else {}),
        }  # fmt: skip
        return json.dumps(whole, indent=1)
    grids = [_gains(run, rows, metric, reference, smallest, rope), *_ranks(run, metric)]
    grids += _every_two(run, metric) if every_two else []
    words = Grid("What follows", [], [], 0, [*said, *run.remarks()])
    return "\n".join(FORMS[form](g) for g in (*grids, words))


def parts(run: Run, metric: str = "") -> tuple[list[Grid], list[str]]:
    """The tables of `render`, and in words what follows from them and what does not."""
    metric, rows, smallest = compare.gains(run, metric)
    reference = run.meta["suite"].get("reference") or "source_only"
    grids = [_gains(run, rows, metric, reference, smallest, ROPE), *_ranks(run, metric)]
    return grids, [*_conclusions(rows, reference, ROPE, metric), *_shared(run)]


def gains(run: Run, metric: str = "", reference: str = "", rope: float = ROPE) -> str:
    """The first table of `render` alone, as markdown."""
    metric, rows, smallest = compare.gains(run, metric, reference, rope)
    reference = reference or run.meta["suite"].get("reference") or "source_only"
    return FORMS["md"](_gains(run, rows, metric, reference, smallest, rope))


def _gains(run: Run, rows: Sequence[Row], metric: str, reference: str, smallest: float, rope: float) -> Grid:
    pairs, scale = run.meta["pairs"], 100 if metric in PERCENT else 1
    short = abbreviations(pairs) if sum(map(len, pairs)) > 40 else {}
    heads = ["→".join(short.get(side, side) for side in pair.split(":")) for pair in pairs]
    names = "".join(f"; {a} {n}" for n, a in sorted(short.items()))
    title = f"{run.meta['suite'].get('name')}: gain in {metric} over {reference} of the same learner{names}."
    head = ["method", "setting", "learner", *heads, "mean over pairs", "+/=/-", "p (Holm)", "worse/same/better"]
    body = []
    for r in rows:
        shown = [_shown(r.pairs.get(p), scale) for p in pairs]
        p = "n/a" if r.p is None else f"{r.p:.3g}" if r.trusted else f"({r.p:.3g})"
        chances = f"{r.next.worse:.2f}/{r.next.same:.2f}/{r.next.better:.2f}" if r.next else "n/a"
        tallied = "/".join(map(str, r.tally))
        body.append([r.label, r.setting, r.learner, *shown, _shown(r.overall, scale), tallied, p, chances])
    above = " — above .05, so no test is shown" if smallest > 1 - LEVEL else ""
    unit = "points" if scale == 100 else f"of {metric}"
    notes = [
        f"of a pair: mean [95 % interval, Student's t over seeds], each seed against the same seed of {reference}",
        "over pairs: mean [95 % interval, Student's t over the pairs' means]; n where pairs are missing",
        f"+/=/-: pairs won, within {rope:g} {unit}, lost",
        f"p: Wilcoxon over pairs, Holm over the {len(rows)} rows; the smallest it can be is {smallest:.3g}{above}; "
        f"in brackets: fewer than {FEWEST} pairs, or one seed of what draws random numbers",
        f"worse/same/better: how probable each is on another pair, same being within {rope:g} {unit} (Bayesian "
        f"hierarchical test over seeds and pairs, Corani et al. 2017; correlation over seeds "
        f"{compare.correlation(run):g}, the share of test samples)",
    ]
    return Grid(title, head, body, 3, notes)


def _ranks(run: Run, metric: str) -> Iterator[Grid]:
    if (found := compare.ranked(run, metric)) is None:
        return
    rows, pairs, ranks = found
    order = sorted(range(len(rows)), key=lambda i: (ranks.mean[i].mean, rows[i].label))
    groups = {i: "".join(chr(97 + g % 26) for g, c in enumerate(ranks.cliques) if i in c) for i in order}
    body = [
        [rows[i].label, rows[i].setting, rows[i].learner, _shown(ranks.mean[i], 1, "{:.1f}"), groups[i] or "–"]
        for i in order
    ]
    if ranks.friedman is None:
        notes = [f"no test of ranks: it takes {FEWEST} pairs and 3 rows; these are {len(pairs)} and {len(rows)}"]
    else:
        verdict = "differ" if ranks.friedman < 1 - LEVEL else "cannot be told apart"
        notes = [
            f"Friedman over {len(pairs)} pairs: p = {ranks.friedman:.3g}, so the rows {verdict}",
            f"rows with a letter in common differ by less than Nemenyi's critical difference of {ranks.difference:.2f}",
        ]
    notes.append("ranks are noisy: [95 % interval, Student's t over pairs]; this is no strict order")
    yield Grid("Mean ranks over pairs, 1 the best.", ["method", "setting", "learner", "rank", "group"], body, 3, notes)


def _every_two(run: Run, metric: str) -> Iterator[Grid]:
    scale = 100 if metric in PERCENT else 1
    found = compare.every_two(run, metric)
    body = [[a, b, f"{scale * g:+.1f}", "n/a" if p is None else f"{p:.3g}"] for a, b, g, p in found]
    if body:
        note = f"p: Wilcoxon over pairs, Holm over {len(body)} comparisons"
        yield Grid("Each two rows: the gain of the first.", ["first", "second", "gain", "p (Holm)"], body, 2, [note])


def _conclusions(rows: Sequence[Row], reference: str, rope: float, metric: str) -> Iterator[str]:
    """What can be said, and what cannot."""
    unit = "points" if metric in PERCENT else f"of {metric}"
    if not rows:
        yield f"nothing is compared: no method is scored beside {reference} of its learner"
    few = [r for r in rows if len(r.pairs) < FEWEST]
    if few:
        n = max(len(r.pairs) for r in few)
        yield f"of {len(rows)} rows {len(few)} have fewer than {FEWEST} pairs (at most {n}): no test is made of them"
    once = [r for r in rows if not r.trusted and len(r.pairs) >= FEWEST]
    if once:
        yield f"one seed of what draws random numbers, so not called significant: {_names(once)}"
    sure = [r for r in rows if r.trusted and r.p is not None and r.p < 1 - LEVEL]
    for better, word in ((True, "better"), (False, "worse")):
        if hit := [r for r in sure if (r.overall.mean > 0) == better]:
            yield f"significantly {word} than {reference} (Wilcoxon over pairs, Holm, p < .05): {_names(hit)}"
    if rows and not sure:
        yield f"no row differs significantly from {reference}; that is no proof that they are equal"
    outcomes = {
        "better": f"better than {reference} by more than {rope:g} {unit}",
        "worse": f"worse than {reference} by more than {rope:g} {unit}",
        "same": f"within {rope:g} {unit} of {reference}",
    }
    for outcome, words in outcomes.items():
        if hit := [r for r in rows if r.next and getattr(r.next, outcome) >= SURE]:
            yield f"on another pair {words} with a probability of {SURE:g} or more: {_names(hit)}"
    open_ = [r for r in rows if r.next and max(r.next.better, r.next.worse, r.next.same) < SURE]
    if open_:
        yield f"undecided by the hierarchical test: {_names(open_)}"


def _shared(run: Run) -> Iterator[str]:
    """Pairs that share domains are not independent."""
    sides = [side for pair in run.meta["pairs"] for side in pair.split(":")]
    if len(set(sides)) < len(sides):
        yield "pairs share domains and are not independent, so that intervals may be too narrow, and p too small"


def _names(rows: Sequence[Row]) -> str:
    """Rows by label, with learners and settings where a label has several."""
    ordered = sorted(rows, key=lambda r: r.label)
    grouped = [(label, list(group)) for label, group in groupby(ordered, key=lambda r: r.label)]
    return ", ".join(n for label, group in grouped for n in ([label] if len(group) == 1 else map(name, group)))


def _shown(gain: Gain | None, scale: int, form: str = "") -> str:
    if gain is None:
        return "–"
    form = form or ("{:+.1f}" if scale == 100 else "{:+.3f}")
    mean = form.format(scale * gain.mean)
    if gain.low is None or gain.high is None:
        return mean
    return f"{mean} [{form.format(scale * gain.low)}, {form.format(scale * gain.high)}]"
