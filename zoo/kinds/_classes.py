"""Classes of several domains, matched by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import BadInput
from zoo.kinds._rows import adapt_rows
from zoo.kinds.base import Data, Domain, origins
from zoo.label_sets import Sets

if TYPE_CHECKING:
    from zoo.bench.suite import Suite


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


def matched(
    suite: Suite, pairs: list[tuple[str, str]], domains: dict[str, Domain], classes: list[str], remark: str = ""
) -> Data:
    """Which pairs have the classes that their methods need, and which targets have labels.

    Raises
    ------
    BadInput
        A source with one class only; a target of which nothing is left to test on; no pair that can run.
    """
    refused, partial, sets = {}, {}, {}
    blind = {t: f"domain {t} has no label" for _, t in pairs if not len(domains[t].y)}
    for source, target in pairs:
        if bare := [s for s in origins(source) or [target] if not len(domains[s].y)]:
            refused[source, target] = f"no sample of {bare[0]} has a label, and methods are trained on its labels"
            continue
        wanted = set(domains[target].strata.tolist())
        have = {c for s in origins(source) for c in domains[s].strata.tolist()} if origins(source) else wanted
        if classes and len(have) < 2:
            where = suite.source.place(origins(source)[0]) or suite.dataset
            raise BadInput(f"{where}: source {source} has one class only ({classes[have.pop()]})")
        if classes and origins(source) and target not in blind:
            sets[source, target] = Sets.of(have, wanted)
        if missing := wanted - have:
            refused[source, target] = f"closed-set, but no source sample has {named(missing, classes)}"
        if (extra := have - wanted) and target not in blind:
            partial[source, target] = f"no target sample has {named(extra, classes)}"
        n = len(domains[target].y)
        if target not in blind and suite.protocol != "transductive" and len(adapt_rows(suite, domains[target], 0)) == n:
            where = suite.source.place(target) or suite.dataset
            raise BadInput(
                f"{where}: domain {target} has {n} labelled sample{'s'[: n > 1]}, one of a class: none is left "
                "to test on; give it more, or say protocol: transductive"
            )
    if len(refused) == len(pairs):
        (source, target), why = next(iter(refused.items()))
        if bare := [d for d in origins(source) or [target] if not len(domains[d].y)]:
            raise BadInput(f"{suite.source.place(bare[0]) or suite.dataset}: y: {why} (pair {source}:{target})")
        hint = instead(domains, classes) + (f"; {remark}" if remark else "")
        where = suite.source.place(target) or suite.dataset
        raise BadInput(f"{where}: pair {source}:{target}: {why.partition(', but ')[2]}{hint}")
    few = {}
    if isinstance(suite.labels, int) and suite.labels:
        few = {t: why for t in dict.fromkeys(t for _, t in pairs) if (why := _too_few(suite, domains[t], classes))}
    return Data(domains, classes, refused, sets, partial, few, blind)


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
