"""What `zoo distance` and `zoo rank` share: the domains of a suite, loaded and judged, and two of them side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zoo import machine
from zoo.bench import plan
from zoo.bench.suite import Suite
from zoo.errors import BadInput
from zoo.graph import is_sparse
from zoo.kinds.base import Data
from zoo.ops import distance
from zoo.seeds import derive

CAP = 1000  # samples of a domain, drawn at random, for the domain classifier and the MMD, whose cost is quadratic
SPLITS = 20

Track = Callable[[Sequence[Any]], Iterable[Any]]


def loaded(
    asked: Suite, data_root: str | Path | None, size: Callable[[Any], int]
) -> tuple[list[tuple[str, str]], Data]:
    """The pairs of a suite that have a source, and their domains.

    Parameters
    ----------
    size : how many samples of a domain are used

    Raises
    ------
    BadInput
        As `zoo run`; fewer than 4 samples of a domain.
    """
    wanted = plan.sourced(asked)
    data = asked.kind.load(asked, wanted, machine.data_root(data_root))
    for domain in data.domains.values():
        if (n := size(domain)) < distance.LEAST:
            where = f"{asked.dataset}: domain {domain.name}"
            raise BadInput(f"{where}: a distance needs {distance.LEAST} samples or more, got {n}")
    return wanted, data


def flat(X: Any) -> torch.Tensor:
    """Samples as rows; photographs, which are stored as bytes, in [0, 1]; sparse features of nodes as dense ones."""
    X = X.toarray() if is_sparse(X) else X
    rows = torch.from_numpy(X.reshape(len(X), -1))
    return rows.double() / 255 if X.dtype == np.uint8 else rows.double()


@dataclass(frozen=True)
class Beside:
    """The rows of two domains in alphabetical order of their names, so that a pair and its reverse give the same.

    Attributes
    ----------
    few : at most `CAP` random rows of each
    generator : the one that drew them, to go on with
    """

    X: torch.Tensor
    Y: torch.Tensor
    few: tuple[torch.Tensor, torch.Tensor]
    generator: torch.Generator

    @classmethod
    def of(cls, fields: dict[str, Any], source: str, target: str, seed: int) -> Beside:
        """Xs and Xt of a pair."""
        X, Y = (flat(fields[key]) for key in (("Xs", "Xt") if source < target else ("Xt", "Xs")))
        generator = torch.Generator().manual_seed(derive("distance", seed, *sorted((source, target))))
        x, y = (Z[torch.randperm(len(Z), generator=generator)[:CAP]] for Z in (X, Y))
        return cls(X, Y, (x, y), generator)
