from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.data.formats.base import LABELS, Format

if TYPE_CHECKING:
    import pandas as pd

TEXTS = frozenset({"text", "texts", "sentence", "document", "review", "content", "body", "message"})


class Text(Format):
    """A csv or tsv file with a column of texts, or a folder with a folder of txt files per class."""

    kind = "text"
    lies_in = ""
    suffixes = ()
    row, first_row = "row", 1

    def read(self) -> tuple[np.ndarray, np.ndarray, tuple[Any, ...]]:
        if self.path.is_dir():
            files = self._files()
            texts = [self._text(f) for f in files]
            return np.array(texts, dtype=object), np.array([f.parent.name for f in files]), ("text",)
        frame = self._frame()
        x, y = self._names(frame)
        empty = np.flatnonzero(frame[x].str.strip() == "")
        if len(empty):
            raise self.bad(f"x: column {x!r}, {self.row} {empty[0] + self.first_row}: has no text")
        return frame[x].to_numpy(dtype=object), frame[y].to_numpy(dtype=object), ("text",)

    def rows(self) -> list[dict[str, Any]]:
        if self.path.is_dir():
            counts = Counter(f.parent.name for f in self._files())
            return [{"name": c, "type": "txt", "shape": [n]} for c, n in counts.items()]
        frame = self._frame()
        return [{"name": c, "type": "text", "shape": [len(frame)]} for c in frame.columns]

    def guessed(self) -> tuple[dict[str, Any], np.ndarray]:
        if self.path.is_dir():
            return {}, np.array([f.parent.name for f in self._files()])
        frame = self._frame()
        x, y = self._names(frame)
        return {"x": x, "y": y}, frame[y].to_numpy(dtype=object)

    def _names(self, frame: pd.DataFrame) -> tuple[str, str]:
        names = [str(c) for c in frame.columns]
        y = self.choose("y", names, LABELS, self.x)
        return self.choose("x", names, TEXTS, y), y

    def _frame(self) -> pd.DataFrame:
        import pandas as pd

        with self.path.open(encoding="utf-8-sig") as file:
            head = file.readline()
        separator = "\t" if self.path.suffix.lower() in (".tsv", ".tab") else max(",;\t", key=head.count)
        return pd.read_csv(self.path, sep=separator, encoding="utf-8-sig", dtype=str, keep_default_na=False)

    def _files(self) -> list[Path]:
        found = sorted(f for f in self.path.glob("*/*") if f.suffix.lower() == ".txt" and not f.name.startswith("."))
        if not found:
            raise self.bad("holds no txt files in folders, one a class")
        return found

    def _text(self, path: Path) -> str:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            raise self.bad(f"{path.relative_to(self.path)} is no UTF-8 text") from None
        if not text.strip():
            raise self.bad(f"{path.relative_to(self.path)} has no text")
        return text
