"""What a table is before it has a format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from zoo.errors import printable

STUB = ("method", "learner", "family")  # heads of the columns that name a row
OPEN = ("os", "os_star", "unk", "hos", "auroc_unknown")
PERCENT = ("accuracy", "accuracy_last", "balanced_accuracy", "f1_macro", "auroc", "auprc", "ece", *OPEN)
LOWER = ("nll", "ece", "mae", "rmse")
EQUAL = 1e-9  # means of equal numbers may differ by rounding


@dataclass(frozen=True)
class Cell:
    """One entry.

    Attributes
    ----------
    value, std : in the unit of the records (an accuracy is a fraction); None where there is none
    n : how many seeds (negative transfer: pairs; time and memory: cells) the value comes from
    text : the value as printed, or a status, or "–"
    tail : what is printed behind it: ± and, where it is not the caption's, n
    mark : "best", "second" or ""
    ranked : whether it takes part in the ranking of its column
    whole : whether all seeds are finished, and of an average all pairs
    """

    value: float | None = None
    std: float | None = None
    n: int = 0
    text: str = "–"
    tail: str = ""
    mark: str = ""
    ranked: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Row:
    """One method with one learner in one setting; `cells` in the order of the table's columns.

    `name` is the label as printed, with the n of the whole row where that is not the caption's.
    """

    setting: str
    learner: str
    family: str
    label: str
    method: str
    cells: list[Cell]
    remark: str = ""

    @property
    def name(self) -> str:
        return self.label + self.remark


@dataclass(frozen=True)
class Column:
    """`key` for machines (``amazon:caltech``, ``average``), `head` as printed, `unit` in which values are printed."""

    key: str
    head: str
    unit: str = ""


@dataclass(frozen=True)
class Paper:
    """What a table has in a paper alone.

    Attributes
    ----------
    label : by which the text refers to it
    caption, foot : the short caption, and what of the long one stands under the table
    titles : display names by method
    cites : keys of references by method; none where they are not asked for
    signs : what stands behind the average of a row, by setting, learner and label
    notes : what they mean
    """

    label: str = ""
    caption: str = ""
    foot: str = ""
    titles: Mapping[str, str] = field(default_factory=dict)
    cites: Mapping[str, Sequence[str]] = field(default_factory=dict)
    signs: Mapping[tuple[str, str, str], str] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Table:
    """A table before it has a format; `groups` are the settings in order, oracle last."""

    caption: str
    metric: str
    columns: list[Column]
    groups: list[tuple[str, list[Row]]]
    notes: list[str]
    paper: Paper = field(default_factory=Paper)

    def printable(self) -> Table:
        """The table with whatever labels, domains and reasons hold made printable; see `zoo.errors.printable`."""

        def row(row: Row) -> Row:
            names = {key: printable(getattr(row, key)) for key in ("setting", "learner", "family", "label", "method")}
            cells = [replace(cell, text=printable(cell.text)) for cell in row.cells]
            return replace(row, cells=cells, **names)  # type: ignore[arg-type]

        return replace(
            self,
            caption=printable(self.caption),
            columns=[replace(c, key=printable(c.key), head=printable(c.head)) for c in self.columns],
            groups=[(printable(setting), [row(r) for r in rows]) for setting, rows in self.groups],
            notes=[printable(note) for note in self.notes],
        )


def ruled(setting: str) -> bool:
    """Whether a rule sets a group apart, since its rows are not to be ranked with those above."""
    return setting.endswith("oracle") or setting.startswith("published")
