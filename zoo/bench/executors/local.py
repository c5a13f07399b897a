from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from zoo.bench.executors import Executor
from zoo.vault.session import Session


class Local(Executor):
    """Runs cells in this process, for debugging: no vault, no hard timeout."""

    def __init__(self, workers: int, hidden: Sequence[Any] = ()) -> None:
        import threadpoolctl
        import torch

        torch.set_num_threads(1)  # as in a worker, so that results are the same
        self.limit = threadpoolctl.threadpool_limits(1)

    def open(self, stranger: bool = False) -> _Here:
        return _Here()

    def wait(self, channels: Sequence[Any], timeout: float | None) -> Sequence[Any]:
        return [c for c in channels if c.answer is not None]

    def shutdown(self) -> None:
        self.limit.restore_original_limits()


class _Here:
    server_died = False
    blame = 1.0

    def __init__(self) -> None:
        self.session, self.answer = Session(), None

    def send(self, message: dict[str, Any]) -> None:
        own = copy.deepcopy(message.get("arrays"))  # as a pipe would: what an adapter writes into them stays its own
        self.answer = self.session.handle({**message, "arrays": own})  # type: ignore[assignment]

    def receive(self) -> dict[str, Any]:
        answer, self.answer = self.answer, None
        return answer  # type: ignore[return-value]

    def expect(self, arrays: int) -> None:
        pass

    def close(self) -> None:
        self.answer = None

    def obituary(self) -> str:
        return ""
