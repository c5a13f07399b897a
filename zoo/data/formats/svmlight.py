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
        read = _read(stamps)
        X, y = read[paths.index(self.path)]
        return X, y, X.shape[1:]

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


@lru_cache(maxsize=1)
def _read(stamps: tuple[tuple[str, int, int], ...]) -> list[tuple[Any, Any]]:
    from sklearn.datasets import load_svmlight_files

    flat = load_svmlight_files([str(Path(name)) for name, _, _ in stamps])
    return list(zip(flat[::2], flat[1::2], strict=True))
