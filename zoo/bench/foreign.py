"""A data set that is a plugin: its domains are loaded in a process of its own, and come as arrays and names."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from zoo import discover, plugged
from zoo.bench import apart
from zoo.bench.executors import Executor
from zoo.data.base import Dataset
from zoo.errors import BadInput, one_line, printable
from zoo.infos import DatasetInfo
from zoo.vault import answers, plugins

if TYPE_CHECKING:
    from zoo.bench.suite import Suite

LIMIT = 3600.0  # seconds that a domain may take to be loaded
SAMPLES = 1 << 36  # bytes
NOTES = 100


class Foreign(Dataset):
    """A plugin's data set, of which no line runs here.

    Attributes
    ----------
    executor : whose strangers load it; None: one is started when the first domain is asked for
    files : what loading it has read so far beside its own file, the data root aside
    """

    def __init__(self, info: DatasetInfo) -> None:
        self.info = info
        self.executor: Executor | None = None
        self.files: tuple[Path, ...] = ()
        self._notes: dict[str, tuple[str, ...]] = {}
        self._parts: dict[str, np.ndarray | None] = {}
        said = {k: getattr(info, k) for k in ("domains", "kind", "photographs", "cite", "origin", "licence", "folder")}
        vars(self).update(said)  # the base class has them per class

    @property
    def code(self) -> str:
        """The hash of its code, with that of what loading it has read: part of the identity of its cells."""
        return plugins.judged(discover.code_hash(self.info.path), self.info, self.files)

    def load(self, domain: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        """A domain; `root` is read below its own folder alone.

        Raises
        ------
        BadInput
            Its process fails, or what it hands over is no domain.
        """
        if self.executor is None:
            self.executor = apart.started([root] if root else [])
            weakref.finalize(self, self.executor.shutdown)
        shown = [root / self.folder] if root and self.folder else []
        given = (domain, root if self.folder else None)
        how: Any = {"executor": self.executor, "shown": shown, "limit": LIMIT}
        doing = f"loading of domain {domain}"
        said, opened = apart.gave(self.info, "zoo.data._handed:handed", *given, doing=doing, arrays=SAMPLES, **how)
        X, y, notes, parts = _believed(said, self.info, domain)
        self._notes[domain], self._parts[domain] = notes, parts
        read = plugins.beside(self.info, opened, [root] if root else [])
        self.files = tuple(sorted({*self.files, *read}))
        return X, y

    def notes(self, domain: str) -> tuple[str, ...]:
        return self._notes.get(domain, ())

    def parts(self, domain: str) -> np.ndarray | None:
        return self._parts.get(domain)


def known(files: Iterable[str | Path] = ()) -> dict[str, DatasetInfo]:
    """All data sets: the zoo's, installed ones, and those in plugin files."""
    return plugged.found("dataset", files)


def made(info: DatasetInfo) -> Dataset:
    """A data set: the zoo's own as it is, a plugin's as what asks its process."""
    return Foreign(info) if info.plugin else cast("Dataset", discover.load(info)())


def placed(suite: Suite, datasets: Mapping[str, Any]) -> Suite:
    """A suite with its data set as it is among those given, where that is a plugin's."""
    info = datasets.get(suite.dataset) if suite.data is None else None
    return suite.model_copy(update={"source": made(info)}) if info and info.plugin else suite


def lend(source: Dataset, executor: Executor | None) -> None:
    """Have a plugin's data set loaded by the strangers of a run."""
    if isinstance(source, Foreign) and executor is not None and executor.keeps_apart:
        source.executor = executor


def code(source: Dataset) -> str:
    """The hash of a plugin's data set; '' of the zoo's own and of files, which are known by their content."""
    return source.code if isinstance(source, Foreign) else ""


def hidden(source: Dataset) -> list[Path]:
    """What holds the labels of a plugin's data set, so that no method may read it: its file, and what loading read."""
    return [source.info.path, *source.files] if isinstance(source, Foreign) else []


def place(source: Dataset) -> dict[str, str]:
    """Where a run folder keeps a plugin's data set, for run.json."""
    if not isinstance(source, Foreign):
        return {}
    return {"dataset": f"plugins/{source.code[:16]}/{source.info.path.name}"}


def keep(source: Dataset, folder: Path) -> None:
    """Put a plugin's data set into a run folder, as methods are: its code, and none of its data."""
    if isinstance(source, Foreign):
        plugins.keep(folder, source.code, source.info, [f for f in source.files if f.suffix == ".py"])


def _believed(said: Any, info: DatasetInfo, domain: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], Any]:
    """Samples, labels, notes and parts of an answer, checked: a plugin's process may say anything."""
    said = said if isinstance(said, dict) else {}
    X, y, names = said.get("X"), said.get("y"), said.get("classes")
    kind = np.uint8 if info.photographs else np.float32
    n = len(X) if isinstance(X, np.ndarray) and X.ndim else 0
    good = n > 0 and isinstance(X, np.ndarray) and X.dtype == kind and X.ndim == (4 if info.kind == "images" else 2)
    good = good and isinstance(y, np.ndarray) and y.shape == (n,)
    if isinstance(y, np.ndarray) and names is None:
        labels = y
        good = good and y.dtype == np.float64
    else:
        good = good and isinstance(y, np.ndarray) and y.dtype == np.int64 and _names(names)
        good = good and int(y.min()) >= 0 and int(y.max()) < len(names)  # type: ignore[union-attr, arg-type]
        labels = np.array(names, dtype=str)[y] if good else np.empty(0)
    notes, parts = said.get("notes"), said.get("parts")
    good = good and isinstance(notes, list) and len(notes) <= NOTES and all(isinstance(note, str) for note in notes)
    good = good and (parts is None or (isinstance(parts, np.ndarray) and parts.shape == (n,)))
    if not good or X is None:
        raise BadInput(f"plugin {info.path} cannot be used: what it hands over of domain {domain} is no domain")
    return X, labels, tuple(map(one_line, notes or ())), parts


def _names(names: Any) -> bool:
    """Whether they are names of classes: texts on a line, each once."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return False
    fit = all(len(name) <= answers.LONGEST and printable(name) == name for name in names)
    return fit and len(set(names)) == len(names)
