"""Classes of several domains, matched by their names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import BadInput
from zoo.kinds._rows import adapt_rows
from zoo.kinds.base import Data, Domain, origins
from zoo.label_sets import Sets

if TYPE_CHECKING:
    from zoo.bench.suite import Suite


SETTINGS = {
    "partial": "the target's classes are some of the source's",
    "open": "the source's are some of the target's",
    "universal": "both have some of their own",
}


def instead(domains: dict[str, Domain], classes: list[str]) -> str:
    """What would run where no pair's target has the classes of its source alone."""
    shared = set.intersection(*(set(d.y.tolist()) for d in domains.values()))
    if len(shared) < 2:
        named = "; ".join(f"{d.name} has {', '.join(classes[c] for c in np.unique(d.y)[:5])}" for d in domains.values())
        return f": {named}"
    return f"; classes: shared runs it on the {len(shared)} classes that all domains have"


def shared(suite: Suite, raw: dict[str, Any]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Domains without the samples of classes that not all of them have, and the rows that stay.

    Those without a label do.
    """
    if not suite.problem.classes:
        raise BadInput(f"classes: shared: task: {suite.task} predicts values, which are no classes")
    classes = [{str(c) for c in labels} - {""} for _, labels in raw.values()]
    common = set.intersection(*filter(None, classes)) if any(classes) else set()
    if len(common) < 2:
        raise BadInput(f"classes: shared: the domains of {suite.dataset} share {len(common)} classes, which is too few")
    kept = {name: np.array([str(c) in common or not c for c in labels]) for name, (_, labels) in raw.items()}
    fewer = {
        name: (X, labels) if kept[name].all() else (X[kept[name]], labels[kept[name]])
        for name, (X, labels) in raw.items()
    }
    return fewer, {name: np.flatnonzero(mask) for name, mask in kept.items()}


def named(some: set[int], classes: list[str]) -> str:
    names = [classes[c] for c in sorted(some)]
    what = "class" if len(names) == 1 else f"any of {len(names)} classes:"
    return f"{what} {', '.join(names[:5])}{', …' if len(names) > 5 else ''}"


def sided(suite: Suite, domains: dict[str, Domain], classes: list[str]) -> Data:
    """Domains with the samples of the classes that the suite's ``classes`` has for either side, and for each.

    Raises
    ------
    BadInput
        A class that no domain has.
    """
    some = {}
    for side, names in suite.sides or {}:
        if odd := [name for name in names if name not in classes]:
            there = f"{', '.join(classes[:5])}{', …' if len(classes) > 5 else ''}"
            raise BadInput(f"classes: {side}: no domain of {suite.dataset} has class {odd[0]}; there are {there}")
        some[side] = {classes.index(name) for name in names} or {*range(len(classes))}
    used = sorted(some["source"] | some["target"])
    number = np.full(len(classes), -1)
    number[used] = np.arange(len(used))

    def part(of: set[int]) -> dict[str, Domain]:
        return {name: _part(d, np.isin(d.y, sorted(of)), number) for name, d in domains.items()}

    named = [classes[c] for c in used]
    return Data(part({*used}), named, sources=part(some["source"]), targets=part(some["target"]))


def _part(d: Domain, kept: np.ndarray, number: np.ndarray) -> Domain:
    """Some of a domain's labelled samples, with classes numbered anew, and all that have no label."""
    rows = np.concatenate([np.flatnonzero(kept), np.arange(len(d.y), d.X.shape[0])])
    seen, groups, parts = (None if x is None else x[rows] for x in (d.frozen, d.groups, d.parts))
    return replace(d, X=d.X[rows], y=number[d.y[kept]], rows=d.rows[rows], frozen=seen, groups=groups, parts=parts)


def judged(suite: Suite, target: Domain) -> np.ndarray | None:
    """The classes over which metrics of each class are averaged; None: all that are predicted."""
    return np.unique(target.y) if suite.label_sets == "partial" else None


def unfit(suite: Suite, sets: Sets, classes: list[str]) -> str:
    """Why no method runs on a pair with these classes; '' where methods do."""
    asked = "closed-set" if suite.label_sets == "closed" else suite.label_sets
    if suite.label_sets != "closed" and not sets.shared:
        return f"{asked}, but source and target share no class"
    if suite.label_sets != "closed" and len(sets.shared) == 1:
        return f"{asked}, but source and target share {named({*sets.shared}, classes)} alone"
    if suite.open and not sets.target_only:
        return f"{asked}, but every class of the target is one of its source's, so that nothing is unknown"
    if suite.label_sets == "open" and sets.source_only:
        return f"{asked}, but no target sample has {named({*sets.source_only}, classes)}"
    if not suite.open and sets.target_only:
        return f"{asked}, but no source sample has {named({*sets.target_only}, classes)}"
    return ""


def runs(suite: Suite, sets: Sets) -> str:
    """Which setting of label sets a refused pair fits, and what each is for; '' where too little is shared."""
    if len(sets.shared) < 2:
        return ""
    meant = ", ".join(f"{name} where {what}" for name, what in SETTINGS.items())
    return f"; label_sets: {sets.setting} runs it as it is" + (f" ({meant})" if suite.label_sets == "closed" else "")


def matched(suite: Suite, pairs: list[tuple[str, str]], data: Data, remark: str = "") -> Data:
    """Which pairs have the classes that their methods need, and which targets have labels.

    Raises
    ------
    BadInput
        A source with one class only; a target of which nothing is left to test on; no pair that can run.
    """
    classes, refused, partial = data.classes, {}, {}
    sets: dict[tuple[str, str], Sets] = {}
    if suite.open and "unknown" in classes:
        raise BadInput(
            f"{suite.dataset}: class unknown: with label_sets: {suite.label_sets} that is what no source has"
        )
    sides = {":": data.target, "": data.source}
    for side, name in [(":", t) for _, t in pairs] + [("", s) for source, _ in pairs for s in origins(source)]:
        if len(data.domains[name].y) and not len(sides[side](name).y):
            key = "target" if side else "source"
            raise BadInput(f"classes: {key}: domain {name} of {suite.dataset} has no sample of these classes")
    blind = {t: f"domain {t} has no label" for _, t in pairs if not len(data.target(t).y)}
    for source, target in pairs:
        t = data.target(target)
        if bare := [s for s in origins(source) or [target] if not len(data.domains[s].y)]:
            refused[source, target] = f"no sample of {bare[0]} has a label, and methods are trained on its labels"
            continue
        wanted = set(t.strata.tolist())
        have = {c for s in origins(source) for c in data.source(s).strata.tolist()} if origins(source) else wanted
        if classes and len(have) < 2:
            where = suite.source.place(origins(source)[0]) or suite.dataset
            raise BadInput(f"{where}: source {source} has one class only ({classes[have.pop()]})")
        if classes and target not in blind:
            found = Sets.of(have, wanted)
            if why := unfit(suite, found, classes):
                refused[source, target] = why
            if found.source_only and suite.label_sets == "closed":
                partial[source, target] = f"no target sample has {named({*found.source_only}, classes)}"
            sets |= {(source, target): found} if origins(source) else {}
        if suite.open and not origins(source):
            refused[source, target] = f"{suite.label_sets}, but a pretrained network alone knows no class"
        for name in origins(source) if suite.open and suite.protocol != "transductive" else []:
            if len(adapt_rows(suite, data.source(name), 0)) == len(data.source(name).y):
                where = suite.source.place(name) or suite.dataset
                raise BadInput(f"{where}: domain {name}: one sample of a class: none is left for source validation")
        n = len(t.y)
        if (
            target not in blind
            and suite.protocol not in ("transductive", "stream")
            and len(adapt_rows(suite, t, 0)) == n
        ):
            where = suite.source.place(target) or suite.dataset
            raise BadInput(
                f"{where}: domain {target} has {n} labelled sample{'s'[: n > 1]}, one of a class: none is left "
                "to test on; give it more, or say protocol: transductive"
            )
    if len(refused) == len(pairs):
        (source, target), why = next(iter(refused.items()))
        if bare := [d for d in origins(source) or [target] if not len(data.domains[d].y)]:
            raise BadInput(f"{suite.source.place(bare[0]) or suite.dataset}: y: {why} (pair {source}:{target})")
        hint = instead(data.domains, classes) if suite.label_sets == "closed" else ""
        hint += runs(suite, sets[source, target]) if (source, target) in sets else ""
        where = suite.source.place(target) or suite.dataset
        asked = "" if suite.label_sets == "closed" else f"label_sets: {suite.label_sets}: "
        remark = f"; {remark}" if remark else ""
        raise BadInput(f"{where}: pair {source}:{target}: {asked}{why.partition(', but ')[2]}{hint}{remark}")
    few = {}
    if isinstance(suite.labels, int) and suite.labels:
        targets = {t: data.target(t) for _, t in pairs}
        few = {t: why for t, d in targets.items() if (why := _too_few(suite, d, classes))}
    return replace(data, refused=refused, sets=sets, partial=partial, few=few, blind=blind)


def _too_few(suite: Suite, domain: Domain, classes: list[str]) -> str:
    """Why no K units of each class can be labelled; '' where they can."""
    y, _ = domain.units(adapt_rows(suite, domain, 0))
    counts, what = np.bincount(y, minlength=len(classes)), suite.kind.units
    each = "of every class " if classes else ""
    for c in np.unique(domain.strata):
        if counts[c] < int(suite.labels) + 1:
            return (
                f"labels: {suite.labels} needs {int(suite.labels) + 1} {what} {each}in the adapt part, but "
                f"{suite.dataset}: domain {domain.name} has {counts[c]}{f' of class {classes[c]}' if classes else ''}"
            )
    return ""
