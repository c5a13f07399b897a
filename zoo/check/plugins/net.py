"""The contract tests of networks: what every one promises, tried on random samples of a few shapes and batches."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from zoo.bench import apart
from zoo.check.plugins import Tried, Wrong
from zoo.check.subject import LIMIT, Outcome
from zoo.infos import NetInfo

CLASSES, SEED = 3, 0
BATCHES = (2, 7, 32)
CLOSE = 1e-4  # of float32 features, which round by the batch they are in
BYTES = 1 << 28
VECTORS, CHANNELS = (12, 40), (1, 3)  # features of a vector; channels of an image, or of a series
MORE = 8  # pixels or steps beyond the least


def run(info: NetInfo, limit: float = LIMIT) -> list[Outcome]:
    """Try all promises of a network."""
    return Made(info, limit).run([shapes, batches, row_wise, keeps_nothing, repeats, gradients, devices])


class Made(Tried):
    """A network that is tried: what it makes of samples of each shape."""

    info: NetInfo

    @cached_property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of one sample that it says it takes."""
        if side := self.info.smallest:
            return [(c, side + more, side + more) for c, more in zip(CHANNELS, (0, MORE), strict=True)]
        if steps := self.info.shortest:
            return [(c, steps + more) for c, more in zip(CHANNELS, (0, MORE), strict=True)]
        return [(n,) for n in VECTORS]

    @cached_property
    def made(self) -> list[dict[str, Any]]:
        """What it makes of the largest batch of each shape."""
        return [self.handed(shape, max(BATCHES)) for shape in self.shapes]

    def handed(self, shape: tuple[int, ...], n: int) -> dict[str, Any]:
        """What it makes of `n` samples, in a process of its own."""
        return self.asked("handed", _samples(n, shape), CLASSES, SEED)

    def asked(self, function: str, *given: Any) -> dict[str, Any]:
        """What a function of `zoo.nets._handed` gives of it."""
        how: Any = {"executor": self.executor, "limit": self.limit, "arrays": BYTES}
        found = apart.gave(self.info, f"zoo.nets._handed:{function}", *given, doing="network", **how)[0]
        if not isinstance(found, dict):
            raise Wrong("its process gave something else than what it was asked for")
        return found


def _samples(n: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(SEED).normal(size=(n, *shape)).astype(np.float32)


def _apart(t: Made, other: str) -> float:
    """How far features are from the same ones got another way, by the largest of them."""
    found = (np.abs(m["z"] - m[other]).max() / max(1.0, np.abs(m["z"]).max()) for m in t.made)
    return float(max(found))


def shapes(t: Made) -> str:
    """Features are [n, width] and finite, scores [n, classes], for samples of each shape that it takes."""
    return "; ".join(f"{'×'.join(map(str, s))}: {m['width']}" for s, m in zip(t.shapes, t.made, strict=True))


def batches(t: Made) -> str:
    """It takes batches of any size."""
    for n in BATCHES[:-1]:
        t.handed(t.shapes[0], n)
    return ", ".join(map(str, BATCHES))


def row_wise(t: Made) -> str:
    """In evaluation a sample's features hang on it alone: not on who else is in the batch, nor on their order."""
    for other, how in (("alone", "alone than among all"), ("back", "when the batch is turned round")):
        if (far := _apart(t, other)) > CLOSE:
            raise Wrong(
                f"features(x) of a sample differ by {far:.2g} {how}, in evaluation; a batch's mean is of training"
            )
    return ""


def keeps_nothing(t: Made) -> str:
    """In evaluation nothing in it moves: it remembers no sample."""
    if moved := [m["moved"][0] for m in t.made if m["moved"]]:
        raise Wrong(f"{moved[0]} has moved in evaluation: update it where self.training is true")
    return ""


def repeats(t: Made) -> str:
    """The same seed of torch makes the same network."""
    if (far := _apart(t, "again")) > CLOSE:
        raise Wrong(
            f"made again under the same seed, its features differ by {far:.2g}: draw from torch's own generator"
        )
    return ""


def gradients(t: Made) -> str:
    """The loss reaches every parameter that asks for a gradient."""
    if asleep := [m["asleep"][0] for m in t.made if m["asleep"]]:
        raise Wrong(f"{asleep[0]} gets no gradient: it is not between samples and scores; say requires_grad_(False)")
    return ""


def devices(t: Made) -> str:
    """It trains on the device that it is moved to."""
    t.asked("elsewhere", _samples(4, t.shapes[0]), CLASSES)
    return ""
