"""What a worker tells of the networks it trains: learning curves, how far it is, and states to go on from."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from zoo import checkpoint
from zoo.train import Watch

PATIENCE = 0.5  # seconds between messages on how far it is


class Told(Watch):
    """Sends to the driver, which alone writes files.

    Parameters
    ----------
    send : takes a message for the driver
    every : seconds between checkpoints
    state : bytes of a checkpoint of the same cell, to go on from where it is of the same kind of device
    """

    def __init__(
        self, send: Callable[[dict[str, Any]], None], every: float, state: bytes | None, device: str = "cpu"
    ) -> None:
        self.send, self.every, self.state = send, every, state
        if state is not None and checkpoint.notes(state).get("device", "cpu") != device.partition(":")[0]:
            self.state = None
        self.curves: dict[str, list[float]] = {}
        self.runs = 0
        self.earlier = 0.0, 0.0  # wall and CPU seconds of attempts whose state is gone on from
        self.start = self.told = self.kept = self._now()

    def begin(self) -> bytes | None:
        self.runs += 1
        self.curves, self.first, self.began = {}, 0, time.monotonic()
        if self.state is None or (notes := checkpoint.notes(self.state))["run"] != self.runs:
            return None
        self.curves, self.first, self.earlier = notes["curves"], notes["step"], tuple(notes["spent"])
        state, self.state = self.state, None
        return state

    def tell(self, step: int, steps: int, terms: dict[str, float]) -> None:
        for name, value in {"step": step, **terms}.items():
            self.curves.setdefault(name, []).append(float(f"{value:.5g}"))
        now = time.monotonic()
        if now - self.told[0] > PATIENCE:
            self.told = self._now()
            rate = (step - self.first) / max(now - self.began, 1e-9)
            self.send({"note": "progress", "step": step, "steps": steps, "per_s": rate, "terms": terms})

    def due(self) -> bool:
        return time.monotonic() - self.kept[0] >= self.every

    def notes(self) -> dict[str, Any]:
        return {"run": self.runs, "curves": self.curves, "spent": self.spent()}

    def keep(self, state: bytes) -> None:
        self.kept = self._now()
        self.send({"note": "checkpoint", "state": np.frombuffer(state, np.uint8)})

    def spent(self) -> tuple[float, float]:
        """Wall and CPU seconds of this cell so far, earlier attempts included."""
        wall, cpu = self._now()
        return wall - self.start[0] + self.earlier[0], cpu - self.start[1] + self.earlier[1]

    def _now(self) -> tuple[float, float]:
        return time.monotonic(), time.process_time()
