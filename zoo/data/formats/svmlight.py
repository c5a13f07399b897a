from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from zoo.data import _text
from zoo.data.formats.base import Format

TEXTS = (".csv", ".tsv", ".txt", ".dat", ".data", ".tab", ".libsvm", ".svm", "")


class Svmlight(Format):
    """Sparse rows as ``label index:value …``, as LIBSVM and SVMlight have them, through scikit-learn."""

    keys = ()
    suffixes = (".libsvm", ".svm", ".svmlight", ".svml")
    row, first_row = "line", 1

    def read(self) -> tuple[Any, Any, tuple[Any, ...]]:
        # All domains at once: one file alone tells neither how many features there are nor whether they count from 0.
        paths = sorted({*self.beside, *self.files})
        stamps = tuple((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in paths)
        try:
            read = _read(stamps)
        except Exception:
            self._blame(paths)
            raise
        X, y = read[paths.index(self.path)]
        return X, y, X.shape[1:]

    def _blame(self, paths: list[Path]) -> None:
        """Say which of the files cannot be read, and in which line, where one is found."""
        for path in sorted(paths, key=lambda path: path not in self.files):
            if why := _fault(path):
                raise self.bad(why if path == self.path else f"is read together with {path}: {why}")

    def rows(self) -> list[dict[str, Any]]:
        X, _, _ = self.read()
        return [{"name": "X", "type": f"sparse, {X.nnz / max(1, X.shape[0]):.3g} values a row", "shape": list(X.shape)}]

    def guessed(self) -> tuple[dict[str, Any], Any]:
        return {}, self.read()[1]

    @classmethod
    def fits(cls, path: Path) -> bool:
        """Whether a file is text of such lines."""
        if path.is_dir() or path.suffix.lower() not in TEXTS:
            return False
        head = _text.head(_text.read(path))
        rows = [line.partition("#")[0].split() for line in head if not line.startswith("#")]
        return bool(rows) and any(len(r) > 1 for r in rows) and all(_is_row(r) for r in rows)


def _is_row(fields: list[str]) -> bool:
    return all(f.partition(":")[0].isdigit() and ":" in f for f in fields[1:] if not f.startswith("qid:"))


def _fault(path: Path) -> str:
    """The first line that is none of `label index:value …`, and why; empty where all are."""
    for i, line in enumerate(_text.read(path).splitlines(), 1):
        label, *entries = line.partition("#")[0].split() or [""]
        if label and not _is_number(label.partition(",")[0]):
            return f"line {i}: label {label!r} is no number"
        last = -1
        for entry in entries:
            index, _, value = entry.partition(":")
            if index == "qid":
                continue
            if not (index.isdecimal() and _is_number(value)):
                return f"line {i}: expected index:value, got {entry!r}"
            if not last < int(index) < 2**31:
                return f"line {i}: index {index} " + (
                    "is too large" if int(index) > last else f"stands behind {last}: they have to rise"
                )
            last = int(index)
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1)
def _read(stamps: tuple[tuple[str, int, int], ...]) -> list[tuple[Any, Any]]:
    from sklearn.datasets import load_svmlight_files

    flat = load_svmlight_files([str(Path(name)) for name, _, _ in stamps])
    return list(zip(flat[::2], flat[1::2], strict=True))
