from __future__ import annotations

import warnings
from functools import cached_property
from typing import TYPE_CHECKING

from zoo.data.formats.base import Table

if TYPE_CHECKING:
    import pandas as pd

MISSING = ["", "NA", "NaN", "nan", "null", "None"]


class Csv(Table):
    """Text with a header; commas, semicolons or tabs between the fields."""

    suffixes = (".csv", ".tsv")
    first_row, row = 2, "line"

    @cached_property
    def _separator(self) -> str:
        with self.path.open(encoding="utf-8-sig") as file:
            head = file.readline()
        return max(",;\t", key=head.count)

    def columns(self) -> list[str]:
        names = [str(c) for c in self._read(nrows=0).columns]
        if all(_is_number(c) for c in names):
            raise self.bad("the first line holds numbers: a header with the columns' names is required")
        return names

    def frame(self, y: str) -> pd.DataFrame:
        """The table; a label such as NA is text, in a feature it is missing."""
        features = [c for c in self.columns() if c != y]
        return self._read(dtype={y: str}, na_values=dict.fromkeys(features, MISSING))

    def _read(self, **how: object) -> pd.DataFrame:
        import pandas as pd

        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header are only warned of
            return pd.read_csv(  # type: ignore[call-overload]
                self.path,
                sep=self._separator,
                encoding="utf-8-sig",
                index_col=False,
                keep_default_na=False,
                skipinitialspace=True,
                skip_blank_lines=False,
                low_memory=False,
                **how,
            )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
