"""Plugins that are neither methods nor validators, run in a process of their own.

The process is a stranger's (`zoo.vault.stranger`), confined as a method's; it is handed records, or nothing, and ends
with its answer, which whoever asks has to check.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from zoo.bench.executors import Executor
from zoo.errors import BadInput, one_line
from zoo.infos import FileInfo
from zoo.vault import plugins

LIMIT = 600.0  # seconds that one answer may take


class Refused(BadInput):
    """A plugin says itself why it gives nothing."""


def gave(
    info: FileInfo,
    what: str,
    *given: Any,
    doing: str,
    executor: Executor | None = None,
    hidden: Iterable[Path] = (),
    shown: Iterable[Path] = (),
    arrays: int = 0,
    limit: float = LIMIT,
) -> tuple[Any, list[str]]:
    """What a function of the zoo gives of a plugin in a process of its own, and the files that this opened.

    Parameters
    ----------
    what : ``module:function``; it is called with the plugin as imported and with what is `given`
    executor : whose strangers' process it is; None: one is started for this answer
    hidden, shown : what the process may not read, if no executor is given, and may read all the same

    Raises
    ------
    Refused
        It says why it gives nothing.
    BadInput
        As `zoo.vault.plugins.asked`.
    """
    packed = np.frombuffer(pickle.dumps(given), np.uint8)
    message = {"op": "call", "info": info, "what": what, "given": packed, "shown": list(shown)}
    own = executor or started(hidden)
    try:
        answer, opened = plugins.asked(own, message, limit, doing, arrays)
    finally:
        if own is not executor:
            own.shutdown()
    if isinstance(why := answer.get("refused"), str):
        raise Refused(one_line(why))
    return answer.get("gave"), opened


def started(hidden: Iterable[Path]) -> Executor:
    """An executor of its own, for what is asked outside a run."""
    from zoo.bench.executors.processes import Processes

    return Processes(1, [Path(p) for p in hidden])


def packed(value: Any) -> bytes:
    """The bytes that a worker sent; none where it sent something else."""
    good = isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim == 1
    return value.tobytes() if good else b""
