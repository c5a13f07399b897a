from __future__ import annotations

import io
import itertools
import re
import unicodedata
import warnings
from functools import cached_property
from typing import TYPE_CHECKING

from zoo.data import _text
from zoo.data._labels import NUMBER
from zoo.data.formats.base import LABELS as LABELLED
from zoo.data.formats.base import Table

if TYPE_CHECKING:
    import pandas as pd

LOOKED = 1000  # lines with an empty last field, of which it is asked whether they end early
INCREASING = 5  # numbers in a header, from which on increasing ones are names (wavelengths, hours), by no chance


class Csv(Table):
    """Text with a header; commas, semicolons, tabs or blanks between the fields; packed or not."""

    keys = (*Table.keys, "decimal", "header")
    suffixes = (".csv", ".tsv", ".txt", ".dat", ".data", ".tab", ".csv.gz", ".tsv.gz", ".txt.gz", ".csv.bz2", ".csv.xz")
    first_row, row = 2, "line"

    def columns(self) -> list[str]:
        return [str(c) for c in self._table.columns]

    def frame(self) -> pd.DataFrame:
        self._lines = self._table.index.to_numpy()
        return self._table

    @cached_property
    def _table(self) -> pd.DataFrame:
        """All fields as text, under their names; the index counts lines from the one below the header."""
        text = _text.read(self.path)
        self._lines_of_text = text.split("\n") if '\n"' not in text else []
        lines, skipped = _text.head(text), 0
        if lines and (said := re.fullmatch(r"(?i)sep=(.)\s*", lines[0])):  # Excel's
            separator, lines, skipped = said[1], lines[1:], 1
        else:
            separator = _text.separator(lines)
        self._separator = separator
        if not lines:
            raise ValueError("it is empty")
        first = _text.fields(lines[0], separator)
        second = _text.fields(lines[1], separator) if len(lines) > 1 else first
        raw = self._raw(text, separator, max(len(first), len(second)), skipped)
        blank = raw.isna().all(axis=1) | (raw.fillna("") == "").all(axis=1)
        raw = raw[~blank]
        if self.header == "none":
            raw.columns = [str(i) for i in range(raw.shape[1])]  # type: ignore[assignment]
            return self._trimmed(raw)
        self._is_header(first, second)
        names = [re.sub(r"^[#%]\s*", "", n) if i == 0 else n for i, n in enumerate(first)]
        table = raw.iloc[1:]
        if len(names) < raw.shape[1]:
            names = self._with_row_names(table, names)
        names = [unicodedata.normalize("NFC", n.strip().strip("'\"")) or f"Unnamed: {i}" for i, n in enumerate(names)]
        table.columns = names  # type: ignore[assignment]
        return self._trimmed(table)

    def _raw(self, text: str, separator: str, width: int, skipped: int) -> pd.DataFrame:
        import pandas as pd

        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header are only warned of
            raw = pd.read_csv(
                io.StringIO(text.removeprefix("\ufeff")),
                sep=r"\s+" if separator == " " else separator,
                header=None,
                names=list(range(width)),
                dtype=str,
                index_col=False,
                keep_default_na=False,
                skipinitialspace=True,
                skip_blank_lines=False,
                skiprows=skipped,
            )
        raw.index += skipped - 1  # the first line below the header is row 0
        return raw

    def _trimmed(self, table: pd.DataFrame) -> pd.DataFrame:
        """Without a last column that separators at the ends of lines make; a line that ends early is refused."""
        if table.shape[1] > 1 and re.fullmatch(r"Unnamed: \d+|\d+", str(table.columns[-1])):
            last = table.iloc[:, -1].fillna("").str.strip()
            if (last == "").all():
                table = table.iloc[:, :-1]
        for at in table.index[(table.iloc[:, -1].fillna("") == "").to_numpy()][:LOOKED]:
            line = self._lines_of_text[at + 1] if at + 1 < len(self._lines_of_text) else ""
            if '"' in line or (there := len(_text.fields(line, self._separator))) >= table.shape[1]:
                continue
            y = self.choose("y", [str(c) for c in table.columns], LABELLED) if not self.header else ""
            key, lacks = ("y: ", "has no label") if y == table.columns[-1] else ("", "ends early")
            raise self.bad(f"{key}line {at + self.first_row} {lacks}: {there} fields of {table.shape[1]}")
        return table

    def _with_row_names(self, table: pd.DataFrame, names: list[str]) -> list[str]:
        """Names of a header that is one short: of a separator at the ends of lines, or of row names, as R writes."""
        if len(names) < table.shape[1] - 1:
            raise ValueError(f"Expected {len(names)} fields, as in its header, saw {table.shape[1]}")
        if (table.iloc[:, -1].fillna("").str.strip() == "").all():
            return [*names, ""]
        first = table.iloc[:, 0].fillna("")
        counts = [str(i + 1) for i in range(len(first))]
        if first.is_unique and (first.tolist() == counts or not first.map(lambda t: bool(NUMBER.fullmatch(t))).any()):
            return ["", *names]
        raise ValueError(f"Expected {len(names)} fields, as in its header, saw {table.shape[1]}")

    def _is_header(self, first: list[str], second: list[str]) -> None:
        """Refuse a first line that looks like a sample."""
        if self.header == "first":
            return
        numbers = [NUMBER.fullmatch(f) is not None for f in first]
        below = [NUMBER.fullmatch(f.replace(",", ".")) is not None for f in second]
        counted = [float(f) for f, n in zip(first, numbers, strict=True) if n]
        if not counted:
            return
        whole = counted in ([float(i + k) for i in range(len(counted))] for k in (0, 1))
        rising = len(counted) >= INCREASING and all(a < b for a, b in itertools.pairwise(counted))
        if rising or (whole and (self.y in first or not all(numbers))):
            return
        if all(numbers):
            raise self.bad(
                "the first line holds numbers: a header with the columns' names is required; where there is none, say "
                "header: none, and columns are 0, 1, 2 and so on",
                {"header": "none"},
            )
        if len(first) == len(second) and all(n for n, b in zip(numbers, below, strict=True) if b):
            shown = ", ".join(first[:5]) + (", …" if len(first) > 5 else "")
            y = next((i for i, b in enumerate(below) if not b), 0)
            raise self.bad(
                f"the first line looks like a sample ({shown}), not like names: say header: none, and columns are 0, "
                f"1, 2 and so on (y: {y}), or header: first where these are names",
                {"header": "none", "y": str(y)},
            )
