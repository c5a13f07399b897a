from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.data import _columns, _folders, _text
from zoo.data.formats.base import LABELS, Format
from zoo.data.formats.csv import Csv

if TYPE_CHECKING:
    import pandas as pd

TEXTS = frozenset({"text", "texts", "sentence", "document", "review", "content", "body", "message"})
SUFFIXES = (".txt",)


class Text(Format):
    """A table as of ``format: csv`` with a column of texts, or a folder with a folder of txt files per class."""

    keys = ("x", "y", "by", "missing")
    kind = "text"
    lies_in = ""

    @classmethod
    def grouped(cls, paths: Sequence[Path]) -> list[list[Path]]:
        return [list(paths)] if all(p.is_dir() for p in paths) else super().grouped(paths)

    def read(self) -> tuple[np.ndarray, np.ndarray, tuple[Any, ...]]:
        if (frame := self.frame()) is None:
            files, labels = self._files()
            return np.array([self._content(f) for f in files], dtype=object), labels, ("text",)
        x, y = self._names()
        texts = frame[x].fillna("").str.strip()
        if (empty := np.flatnonzero(texts == "")).size:
            raise self.bad(f"x: column {x!r}, {self.line(int(empty[0]))}: has no text")
        labels = frame[y].to_numpy(dtype=object) if self.labelled else np.full(len(frame), "", dtype=object)
        return texts.to_numpy(dtype=object), labels, ("text",)

    def listed(self) -> list[Path]:
        return self._files()[0] if self.path.is_dir() else []

    def frame(self) -> pd.DataFrame | None:
        return None if self.path.is_dir() else self._table.frame()

    def groups(self) -> np.ndarray:
        return self._table.groups()

    def line(self, row: int) -> str:
        return super().line(row) if self.path.is_dir() else self._table.line(row)

    def rows(self) -> list[dict[str, Any]]:
        if self.path.is_dir():
            found, counts = np.unique(self._files()[1], return_counts=True)
            return [
                {"name": c, "type": "txt", "shape": [n]} for c, n in zip(found.tolist(), counts.tolist(), strict=True)
            ]
        return self._table.rows()

    def guessed(self) -> tuple[dict[str, Any], np.ndarray]:
        if self.path.is_dir():
            return {}, self._files()[1]
        x, y = self._names()
        return {"x": x, "y": y}, self._table.frame()[y].to_numpy(dtype=object)

    @classmethod
    def fits(cls, path: Path) -> bool:
        """Whether a folder holds txt files alone, or a table one column of texts beside those of labels and domains."""
        if path.is_dir():
            inside = {p.suffix.lower() for p in path.glob("*/*") if p.is_file() and not _folders.dropping(p)}
            return inside == set(SUFFIXES)
        if not path.name.lower().endswith(Csv.suffixes):
            return False
        form = cls(path)
        frame = form._table.frame()
        texts = [c for c in frame.columns if _holds_texts(frame[c], c.lower() in TEXTS)]
        others = [c for c in frame.columns if c not in texts and c.lower() not in LABELS.union(_columns.DOMAINS)]
        return len(texts) == 1 and (len(frame.columns) <= 3 or len(others) <= 1)

    def _names(self) -> tuple[str, str]:
        columns = [c for c in self._table.columns() if c != self.by]
        texts = [c for c in columns if c != self.y and _holds_texts(self._table.frame()[c], False)]
        y = self.choose("y", columns, LABELS, self.x or (texts[0] if len(texts) == 1 else ""))
        texts = [c for c in texts if c != y]
        one = len(texts) == 1 and not self.x
        return (texts[0] if one else self.choose("x", columns, TEXTS, y if self.labelled else y or "none")), y

    @cached_property
    def _table(self) -> Csv:
        return Csv(self.path, by=self.by, missing=self.missing)

    def _files(self) -> tuple[list[Path], np.ndarray]:
        read = _folders.tree if self.labelled else _folders.flat
        found = [read(folder, SUFFIXES) for folder in self.files]
        self.notes = [f"left out: {left}" for _, _, left in found if left]
        return [path for files, _, _ in found for path in files], np.concatenate([y for _, y, _ in found])

    def _content(self, path: Path) -> str:
        try:
            text = _text.read(path)
        except UnicodeDecodeError:
            raise self.bad(f"{path} is no UTF-8 text") from None
        if not text.strip():
            raise self.bad(f"{path} has no text")
        return text


def _holds_texts(column: pd.Series[Any], named: bool) -> bool:
    """Whether a column holds texts of several words; of two or more where its name says so."""
    texts = [t for t in _columns.texts_of(column, ()) if t is not None]
    words = sum(len(t.split()) for t in texts)
    wordy = _columns.numbers(column, ".", ())[1].sum() > len(texts) / 2
    return bool(texts) and bool(wordy) and words > (1 if named else 4) * len(texts)
