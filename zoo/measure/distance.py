"""How far apart the domains of a suite are: suite → domains → distances of each pair."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zoo.bench import plan, suite
from zoo.errors import BadInput
from zoo.graph import is_sparse
from zoo.kinds.samples import Protocol
from zoo.machine import versions
from zoo.ops import distance
from zoo.seeds import derive

CAP = 1000  # samples of a domain, drawn at random, for the domain classifier and the MMD, whose cost is quadratic
SPLITS, NULL, PERMUTATIONS, PROJECTIONS = 20, 200, 999, 500

Track = Callable[[Sequence[Any]], Iterable[Any]]


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
) -> dict[str, Any]:
    """All four distances of each pair, with everything that they depend on, as JSON would hold it.

    Each domain is taken whole and normalised by its own statistics. The distances are symmetric: a pair and its reverse
    are one row. A row depends on its two domains and the seed, not on which other pairs were asked for.

    Parameters
    ----------
    net, weights : of photographs, whose frozen features are compared
    raw : leave out the suite's normalisation
    track : wraps the sequence of pairs, to show progress

    Raises
    ------
    BadInput
        As `zoo run`; fewer than 4 samples in a domain.
    """
    asked = suite.load(name, {"pairs": pairs, "net": net, "weights": weights})
    whole = {"protocol": "transductive", "normalise_by": "domain", "labels": 0, **({"normalise": ()} if raw else {})}
    asked = asked.model_copy(update=whole)
    wanted = plan.sourced(asked)
    root = data_root or os.environ.get("ZOO_DATA")
    data = asked.kind.load(asked, wanted, Path(root) if root else None)
    for domain in data.domains.values():
        if len(domain.y) < distance.LEAST:
            where = f"{asked.dataset}: domain {domain.name}"
            raise BadInput(f"{where}: a distance needs {distance.LEAST} samples or more, got {len(domain.y)}")
    samples = Protocol(asked, data)
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


def _row(samples: Protocol, same: list[tuple[str, str]], seed: int) -> dict[str, Any]:
    """A pair and, if asked for, its reverse; computed in alphabetical order, so that both give the same numbers."""
    source, target = same[0]
    fields = samples.pair(source, target, 0, base=True).fields
    X, Y = (_flat(fields[key]) for key in (("Xs", "Xt") if source < target else ("Xt", "Xs")))
    generator = torch.Generator().manual_seed(derive("distance", seed, *sorted((source, target))))
    few = [Z[torch.randperm(len(Z), generator=generator)[:CAP]] for Z in (X, Y)]
    proxy = distance.proxy_a_distance(*few, splits=SPLITS, permutations=NULL, generator=generator)
    mmd = distance.mmd_test(*few, permutations=PERMUTATIONS, generator=generator)
    shared = torch.Generator().manual_seed(derive("projections", seed))  # the same directions for every pair
    theta = distance.directions(X.shape[1], PROJECTIONS, shared)
    return {
        "pairs": [f"{s}:{t}" for s, t in same],
        "n": [len(fields["Xs"]), len(fields["Xt"])],
        "proxy_a": proxy.distance,
        "proxy_a_null": [proxy.low, proxy.high],
        "balanced_error": proxy.error,
        "mmd2": mmd.value,
        "mmd2_p": mmd.p,
        "coral": distance.coral_distance(X, Y),
        "sliced_wasserstein": distance.sliced_wasserstein(X, Y, theta),
    }


def _flat(X: Any) -> torch.Tensor:
    """Samples as rows; photographs, which are stored as bytes, in [0, 1]; sparse features of nodes as dense ones."""
    X = X.toarray() if is_sparse(X) else X
    rows = torch.from_numpy(X.reshape(len(X), -1))
    return rows.double() / 255 if X.dtype == np.uint8 else rows.double()
