from __future__ import annotations

import io
from functools import cached_property
from typing import TYPE_CHECKING

from zoo.data import _text
from zoo.data.formats.base import LABELS, Table

if TYPE_CHECKING:
    import pandas as pd


class Arff(Table):
    """Weka's files, through scipy; the label is the attribute with a usual name, or the last where it is nominal."""

    suffixes = (".arff", ".arff.gz")

    def columns(self) -> list[str]:
        return [str(c) for c in self._whole.columns]

    def frame(self) -> pd.DataFrame:
        return self._whole

    def _names(self) -> tuple[list[str], str]:
        columns = self.columns()
        if self.labelled and not self.y and not any(c.lower() in LABELS for c in columns) and columns:
            self.y = columns[-1]  # as Weka takes it
        return super()._names()

    @cached_property
    def _whole(self) -> pd.DataFrame:
        import pandas as pd
        from scipy.io import arff

        values, _ = arff.loadarff(io.StringIO(_text.read(self.path)))
        frame = pd.DataFrame(values)
        for name in frame.columns:
            if frame[name].dtype == object:  # nominal ones come as bytes
                frame[name] = [None if v == b"?" else v.decode() for v in frame[name]]
        return frame
