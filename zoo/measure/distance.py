"""How far apart the domains of a suite are: suite → domains → distances of each pair."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from zoo.bench import guests, suite
from zoo.machine import versions
from zoo.measure.domains import CAP, SPLITS, Beside, Track, loaded
from zoo.ops import distance
from zoo.seeds import derive

NULL, PERMUTATIONS, PROJECTIONS = 200, 999, 500
WHOLE: dict[str, Any] = {"protocol": "transductive", "normalise_by": "domain", "labels": 0}


def measure(
    name: str,
    *,
    pairs: Sequence[str] | None = None,
    data_root: str | Path | None = None,
    net: str | None = None,
    weights: str | None = None,
    seed: int = 0,
    raw: bool = False,
    track: Track = iter,
    plugins: Sequence[Path] = (),
) -> dict[str, Any]:
    """All four distances of each pair, with everything that they depend on, as JSON would hold it.

    Each domain is taken whole and normalised by its own statistics. The distances are symmetric: a pair and its reverse
    are one row. A row depends on its two domains and the seed, not on which other pairs were asked for.

    Parameters
    ----------
    net, weights : of photographs, whose frozen features are compared
    raw : leave out the suite's normalisation
    track : wraps the sequence of pairs, to show progress
    plugins : files, of which one may hold the data set

    Raises
    ------
    BadInput
        As `zoo run`; fewer than 4 samples in a domain.
    """
    asked = suite.load(name, {"pairs": pairs, "net": net, "weights": weights}, plugins)
    guests.refuse(asked, "zoo distance")
    asked = asked.model_copy(update=WHOLE | ({"normalise": ()} if raw else {}))
    wanted, data = loaded(asked, data_root, lambda domain: len(domain.y))
    samples = asked.kind.draws(asked, data)
    same: dict[frozenset[str], list[tuple[str, str]]] = {}
    for pair in wanted:
        same.setdefault(frozenset(pair), []).append(pair)
    rows = [_row(samples, both, seed) for both in track(list(same.values()))]
    first = next(iter(data.domains.values()))
    seen = first.X if first.frozen is None else first.frozen
    return {
        "suite": asked.recorded(),
        "domains": {name: len(d.y) for name, d in data.domains.items()},
        "shape": list(seen.shape[1:]),
        "settings": {
            "seed": seed, "cap": CAP, "splits": SPLITS, "null_permutations": NULL, "mmd_permutations": PERMUTATIONS,
            "projections": PROJECTIONS,
        },
        "versions": versions(),
        "rows": rows,
    }  # fmt: skip


def proxies(asked: suite.Suite, data_root: str | Path | None = None, seed: int = 0) -> dict[str, float]:
    """The A-distance of each pair, by ``source:target``: what `measure` finds of it without the suite's normalisation.

    Raises
    ------
    BadInput
        As `measure`.
    """
    asked = asked.model_copy(update=WHOLE | {"normalise": ()})
    wanted, data = loaded(asked, data_root, lambda domain: len(domain.y))
    samples: Any = asked.kind.draws(asked, data)
    found: dict[frozenset[str], float] = {}
    for source, target in wanted:
        if (key := frozenset((source, target))) not in found:
            both = Beside.of(samples.pair(source, target, 0, base=True).fields, source, target, seed)
            found[key] = _proxy(both).distance
    return {f"{s}:{t}": found[frozenset((s, t))] for s, t in wanted}


def _proxy(both: Beside) -> distance.ProxyA:
    return distance.proxy_a_distance(*both.few, splits=SPLITS, permutations=NULL, generator=both.generator)


def _row(samples: Any, same: list[tuple[str, str]], seed: int) -> dict[str, Any]:
    """A pair and, if asked for, its reverse, which has the same numbers."""
    source, target = same[0]
    fields = samples.pair(source, target, 0, base=True).fields
    both = Beside.of(fields, source, target, seed)
    proxy = _proxy(both)
    mmd = distance.mmd_test(*both.few, permutations=PERMUTATIONS, generator=both.generator)
    shared = torch.Generator().manual_seed(derive("projections", seed))  # the same directions for every pair
    theta = distance.directions(both.X.shape[1], PROJECTIONS, shared)
    return {
        "pairs": [f"{s}:{t}" for s, t in same],
        "n": [len(fields["Xs"]), len(fields["Xt"])],
        "proxy_a": proxy.distance,
        "proxy_a_null": [proxy.low, proxy.high],
        "balanced_error": proxy.error,
        "mmd2": mmd.value,
        "mmd2_p": mmd.p,
        "coral": distance.coral_distance(both.X, both.Y),
        "sliced_wasserstein": distance.sliced_wasserstein(both.X, both.Y, theta),
    }
