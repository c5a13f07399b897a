from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from zoo.data.formats.base import Table
from zoo.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd


class Parquet(Table):
    """A parquet file, through pyarrow."""

    suffixes = (".parquet", ".pq")

    def columns(self) -> list[str]:
        try:
            from pyarrow import parquet
        except ImportError:
            raise BadInput(f"{self.path}: a parquet file needs pyarrow: pip install 'zoo[data]'") from None
        return list(parquet.read_schema(self.path).names)

    def frame(self) -> pd.DataFrame:
        return self._whole

    @cached_property
    def _whole(self) -> pd.DataFrame:
        from pyarrow import parquet

        return parquet.ParquetFile(self.path).read().to_pandas(ignore_metadata=True)
