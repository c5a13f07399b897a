from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.data.base import Dataset
from zoo.data.formats.facts import read
from zoo.facts import Database

# What is asked for, and where the false atoms come from: neg.txt, or all type-consistent pairs that are not true.
ASKED: dict[str, dict[str, Any]] = {
    "imdb": {"target": "workedunder"},
    "uwcse": {"target": "advisedby"},
    "cora": {"target": "samevenue"},
    "twitter": {"target": "accounttype", "aliases": ("typeaccount",), "negatives": "closed"},
    "yeast": {"target": "proteinclass", "aliases": ("classprotein",), "negatives": "closed"},
}


class Relational(Dataset):
    """Five databases of facts that share no predicate: films, a university, citations, tweets and proteins."""

    domains = ("imdb", "uwcse", "cora", "twitter", "yeast")
    kind = "facts"
    cite = "mihalkova2007mapping, azevedo2020boosted"
    origin = "the databases of TreeBoostler's experiments, of which Alchemy published imdb, uwcse and cora"
    licence = "none stated; for research"
    folder = "relational"

    def load(self, domain: str, root: Path | None) -> Database:  # type: ignore[override]
        return read(self.under(root, domain), name=domain, **ASKED[domain])
