"""What verifying a run folder found: a verdict a check, kept beside the records it is about."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zoo.records.ids import canonical
from zoo.records.schema import Record

FILE = "verified.json"
IDENTICAL, WITHIN, DIFFERENT, UNCHECKED, REFUSED = "identical", "within tolerance", "different", "unchecked", "refused"


@dataclass(frozen=True)
class Verdict:
    """One check of one cell.

    Attributes
    ----------
    check : lines, predictions, plan, metrics or again
    found : identical, within tolerance, different, unchecked or refused
    """

    cell: str
    check: str
    found: str
    reason: str = ""


@dataclass(frozen=True)
class Verified:
    """All verdicts over a run folder, with when and where they were found.

    Attributes
    ----------
    cells, drawn : ok cells in the folder, and how many of them were run again
    records : hash of the records that this is about
    """

    run: str
    verdicts: tuple[Verdict, ...]
    drawn: int
    cells: int
    records: str
    date: str
    versions: dict[str, str]
    device: str

    @property
    def sound(self) -> bool:
        """Whether nothing differs from what the records say."""
        return not any(v.found in (DIFFERENT, REFUSED) for v in self.verdicts)

    def count(self, check: str, found: str) -> int:
        return self.counts()[check, found]

    def counts(self) -> Counter[tuple[str, str]]:
        """How many verdicts there are, by check and finding."""
        return Counter((v.check, v.found) for v in self.verdicts)

    def badge(self) -> str:
        """One line for a paper."""
        again = self.count("again", IDENTICAL)
        near = self.count("again", WITHIN)
        more = f", {near} within tolerance" if near else ""
        lacks = self.count("metrics", UNCHECKED) + self.count("plan", UNCHECKED)
        more += f"; {lacks} of {self.cells} records could not be recomputed" if lacks else ""
        wrong = sum(v.found in (DIFFERENT, REFUSED) for v in self.verdicts)
        more += f"; {wrong} checks failed" if wrong else ""
        used = ", ".join(f"{k} {self.versions[k]}" for k in ("zoo", "torch", "numpy", "scikit-learn", "python"))
        head = f"verified: {again} of {self.drawn} cells run again identical{more}"
        return f"{head} ({used}; {self.device}; {self.date})"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "sound": self.sound, "badge": self.badge()}

    def keep(self, folder: Path) -> None:
        """Write it beside the records."""
        (folder / FILE).write_text(json.dumps(self.to_json(), indent=1, sort_keys=True) + "\n")


def fingerprint(records: Iterable[Record]) -> str:
    """The hash of records by what they found, whichever files they stand in.

    >>> fingerprint([]) == fingerprint(())
    True
    """
    return canonical([[r["cell"], r["status"], r.get("digest"), r.get("predictions_sha256")] for r in records])


def verified(folder: Path, records: Iterable[Record]) -> str:
    """The badge of a folder's last verification; empty where there is none, or the records have changed since."""
    try:
        said = json.loads((folder / FILE).read_bytes())
        return str(said["badge"]) if said["records"] == fingerprint(records) else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""
