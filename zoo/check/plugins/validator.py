"""The contract tests of validators: what every one promises, tried on a toy fit, in a process of its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from zoo import discover
from zoo.bench.executors.processes import Processes
from zoo.check.plugins import Wrong
from zoo.check.subject import LIMIT, Outcome
from zoo.errors import one_line
from zoo.select import ValidatorInfo
from zoo.vault import answers
from zoo.vault.wire import Malformed

N, CLASSES, WIDTH = 60, 3, 4  # of the toy


def toy(seed: int, collapsed: bool = False) -> dict[str, np.ndarray]:
    """All that can be seen of a fit: classes that the features tell, and scores that are right of the source mostly."""
    rng = np.random.default_rng(seed)

    def part(n: int, shift: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        y = np.arange(n) % CLASSES
        z = rng.normal(size=(n, WIDTH)) + 3 * np.eye(CLASSES, WIDTH)[y] + shift
        logits = np.tile([9.0, 0, 0], (n, 1)) if collapsed else z[:, :CLASSES]
        p = np.exp(logits - logits.max(1, keepdims=True))
        return p / p.sum(1, keepdims=True), y, z.astype(np.float32)

    (ps, ys, zs), (pv, yv, zv), (pt, _, zt) = part(N, 0.0), part(N // 2, 0.0), part(N, 0.5)
    first = np.tile(np.arange(N), 2)
    im = np.stack([first, np.roll(first, 7)], 1)
    im[N:, 1] = (im[N:, 0] + CLASSES) % N  # of the same class
    pm = 0.55 * pt[im[:, 0]] + 0.45 * pt[im[:, 1]]
    return {"ps": ps, "ys": ys, "zs": zs, "pv": pv, "yv": yv, "zv": zv, "pt": pt, "zt": zt, "pm": pm, "im": im}


def run(info: ValidatorInfo, limit: float = LIMIT) -> list[Outcome]:
    """Try all promises of a validator.

    Parameters
    ----------
    limit : seconds that each test may take
    """
    executor = Processes(1)

    def value(fields: dict[str, np.ndarray]) -> float:
        channel = executor.open(info.plugin)
        try:
            channel.expect(1 << 10)
            arrays = {k: np.ascontiguousarray(v) for k, v in fields.items() if k in info.needs}
            channel.send({"op": "validate", "info": info, "arrays": arrays})
            if not executor.wait([channel], limit):
                raise Wrong(f"takes more than {limit:g} s")
            answer = channel.receive()
            if failure := answers.failure(answer):
                raise Wrong(failure[1])
            return answers.validated(answer)[0]
        except EOFError:
            raise Wrong(channel.obituary()) from None
        except Malformed as error:
            raise Wrong(f"its answer: {error}") from None
        finally:
            channel.close()

    try:
        if info.outside:
            return [Outcome("needs", True, f"its value is {info.outside}'s, and no function of what is seen", True)]
        return [_outcome(test, info, value) for test in (needs, repeats, one_class, citation)]
    finally:
        executor.shutdown()


Value = Callable[[dict[str, Any]], float]


def needs(info: ValidatorInfo, value: Value) -> str:
    """It gives a finite number for a plain fit, from what its needs name and nothing else."""
    got = value(toy(0))
    if not math.isfinite(got):
        raise Wrong(f"gives {got} for a plain fit")
    return f"{got:.4g}"


def repeats(info: ValidatorInfo, value: Value) -> str:
    """It gives the same number for the same fit: what it draws, it seeds itself."""
    first, second = value(toy(1)), value(toy(1))
    if first != second:
        raise Wrong(f"gives {first} and then {second} for the same fit")
    return ""


def one_class(info: ValidatorInfo, value: Value) -> str:
    """Of a fit that puts all samples into one class it gives a number, or says that there is none."""
    return f"{value(toy(0, collapsed=True)):.4g}"


def citation(info: ValidatorInfo, value: Value) -> str:
    """Its citation is in ``zoo/refs.bib``."""
    if not info.cite:
        return "none given"
    if info.cite not in (known := discover.references()):
        raise Wrong(str(discover.unknown("reference in zoo/refs.bib", info.cite, known)))
    return ""


def _outcome(test: Callable[[ValidatorInfo, Value], str], info: ValidatorInfo, value: Value) -> Outcome:
    name = test.__name__.replace("_", " ")
    try:
        return Outcome(name, True, test(info, value))
    except Wrong as error:
        return Outcome(name, False, one_line(str(error)))
