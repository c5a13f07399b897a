"""What lies beside the records of a run: its predictions, the features that it kept, and what only the data know.

Pictures get it as `Beside`, so that they stay functions of what they are given; whoever draws says how it is found.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.errors import BadInput
from zoo.records import Record
from zoo.records.store import SEEN

Arrays = dict[str, np.ndarray]
NO_FEATURES = "no features of {} are in the run folder: zoo run ... --keep features keeps those of cells that it runs"


@dataclass(frozen=True)
class Truth:
    """Labels of a cell's rows, in the order in which its predictions and features have them.

    Attributes
    ----------
    classes : their names
    test, adapt, train : class indices; of the target's test and adapt rows, and of the source's training rows
    """

    classes: tuple[str, ...]
    test: np.ndarray
    adapt: np.ndarray
    train: np.ndarray


def _no_truth(record: Record) -> Truth:
    raise BadInput("the labels are not known here")


def _no_distances() -> Mapping[str, float]:
    raise BadInput("the distances are not known here")


@dataclass(frozen=True)
class Beside:
    """What lies beside the records.

    Attributes
    ----------
    folder : of the run; None: there is none
    truth : the labels of a cell's rows; BadInput where the data are not here
    distances : how far apart the domains of each pair are (proxy A-distance); BadInput as before
    """

    folder: Path | None = None
    truth: Callable[[Record], Truth] = _no_truth
    distances: Callable[[], Mapping[str, float]] = _no_distances

    def predictions(self, record: Record) -> Arrays:
        """The predictions of a cell, empty where they are not there or not those whose hash its record holds."""
        packed = self._read("predictions", record)
        if not packed or hashlib.sha256(packed).hexdigest() != record.get("predictions_sha256"):
            return {}
        return _unpacked(packed)

    def seen(self, record: Record) -> Arrays:
        """What was kept of a cell's fit: features, and the weights of source samples; empty where nothing was."""
        return _unpacked(self._read(SEEN, record))

    def _read(self, folder: str, record: Record) -> bytes:
        with suppress(OSError):
            if self.folder is not None:
                return (self.folder / folder / f"{record['cell']}.npz").read_bytes()
        return b""


def _unpacked(packed: bytes) -> Arrays:
    """The arrays of a file; none of one that is torn."""
    with suppress(Exception), np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        return dict(arrays)
    return {}
