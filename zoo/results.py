"""A run folder from Python: its cells as a frame, its table, its pictures, and what was best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from zoo.errors import BadInput


@dataclass(frozen=True)
class Picture:
    """A plot of a run; a notebook shows it, `save` writes it as .png, .pdf or .svg."""

    run: Any
    kind: str
    beside: Any

    def save(self, path: str | Path) -> Path:
        """Write it to a file, whose ending says the format."""
        from zoo.report import plots

        path = Path(path)
        path.write_bytes(plots.render(self.run, self.kind, path.suffix, self.beside))
        return path

    def _repr_svg_(self) -> str:
        from zoo.report import plots

        return plots.render(self.run, self.kind, ".svg", self.beside).decode()


@dataclass(frozen=True)
class Results:
    """A run folder, read when first asked.

    Parameters
    ----------
    folder : of a run, such as ``runs/quickstart``; its records may come from other runs and machines too

    Raises
    ------
    BadInput
        There is no run in the folder.

    Examples
    --------
    >>> import zoo
    >>> zoo.Results("nowhere")
    Traceback (most recent call last):
    zoo.errors.BadInput: nowhere: no run here (no readable run.json)
    """

    folder: Path

    def __post_init__(self) -> None:
        from zoo.records.meta import read_meta

        object.__setattr__(self, "folder", Path(self.folder).expanduser())
        read_meta(self.folder)

    @cached_property
    def _run(self) -> Any:
        from zoo import records

        return records.read(self.folder)

    def frame(self) -> Any:
        """All cells as a pandas DataFrame, one row a cell, metrics as columns."""
        from zoo.report.frame import frame

        return frame([self._run])

    def table(self, format: str = "md", metric: str = "", cost: bool = True, select: Sequence[str] = ()) -> str:
        """The comparison table as md, latex, csv, html or json; `metric` '' is the suite's own.

        `select` are rules by which trials are chosen, such as ``["info_max", "oracle"]``; ``["all"]``: methods × rules.
        """
        from zoo.report import rules, table

        if "all" in select:
            built = rules.build(self._run, metric)
        else:
            built = table.build(self._run, metric=metric, cost=cost, select=select)
        if format == "latex":
            from zoo import listing
            from zoo.report.paper import dressed

            built = dressed(built, self._run, listing.methods())
        return table.render(built, format)

    def plot(self, kind: str = "bars", data_root: str | Path | None = None, weights: str = "") -> Picture:
        """A picture of the run: a `kind` of ``zoo list plots``.

        `data_root` and `weights` are where the data and the network are, for pictures that show samples or labels.

        Raises
        ------
        BadInput
            There is no such kind.
        """
        from zoo import discover

        if kind not in (known := discover.plots()):
            raise discover.unknown("kind of plot", kind, known)
        from zoo.bench.known import beside

        root = Path(data_root).expanduser() if data_root else None
        return Picture(self._run, kind, beside(self.folder, self._run, root, weights))

    def best(self, metric: str = "") -> Any:
        """The highest mean of each column of the table among the methods of a setting, as a pandas DataFrame.

        One row for each setting, pair and method that prints as high; ``average`` is over all pairs. It is read off the
        test rows, so it tells what was reached, and is no way to select a method. Oracles, and rows without a label of
        the target's domain to adapt to (setting ``none``), are compared among themselves.
        """
        import pandas as pd

        from zoo.report import table
        from zoo.report.cells import LOWER

        built = table.build(self._run, metric=metric, cost=False)
        sign = -1 if built.metric in LOWER else 1
        found = []
        for setting, rows in built.groups:
            for i, column in enumerate(built.columns):
                cells = [(row, row.cells[i]) for row in rows if row.cells[i].ranked]
                top = max((sign * float(cell.text) for _, cell in cells), default=None)
                found += [
                    {
                        "setting": setting,
                        "pair": column.key,
                        "method": row.label,
                        "learner": row.learner,
                        built.metric: cell.value,
                        "std": cell.std,
                        "n": cell.n,
                    }
                    for row, cell in cells
                    if sign * float(cell.text) == top
                ]
        if not found:
            raise BadInput(f"{self.folder}: no method has finished a pair yet")
        return pd.DataFrame(found)

    def _repr_html_(self) -> str:
        return self.table("html")
