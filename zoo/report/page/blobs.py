"""The records as the page holds them: JSON that a click reads, one text a row so that a click reads little."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from zoo.errors import printable
from zoo.records import Record, Run
from zoo.report.page.again import command
from zoo.report.selection import Search, searches

SAFE = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}  # nothing in a script's text ends the script
LARGEST = 2**53  # beyond which a browser rounds whole numbers
SHARED = ("who", "parameters", "versions", "suite", "data", "code", "device")  # alike in many records: kept once
OWN = (
    *("cell", "status", "reason", "source", "target", "seed", "trial", "metrics", "validators", "n_test"),
    *("fit_s", "fit_cpu_s", "shared_s", "predict_s", "peak_rss_mb", "peak_cuda_mb", "certificate", "curves"),
    *("predictions_sha256", "digest"),
)
FIELDS = (*OWN, *SHARED, "confusion")


class Blobs:
    """The records of a run by row of its table, with what they share.

    Parameters
    ----------
    defaults : parameters of the known methods, by name
    confusions : by cell, as of `zoo.bench.confused`
    """

    def __init__(
        self, run: Run, defaults: Mapping[str, Mapping[str, Any]], confusions: Mapping[str, Any] | None = None
    ) -> None:
        self.run, self.defaults, self.confusions = run, defaults, confusions or {}
        self.things: list[Any] = []
        self.places: dict[str, int] = {}
        self.judged: dict[str, dict[str, float | None]] = {}
        for (cell, name), value in sorted(run.values.items()):
            self.judged.setdefault(cell, {})[name] = value.value
        found = searches(run)
        self.rows = [escaped(self._row(search)) for search in found]
        shown = {r["cell"] for s in found for by in s.pairs.values() for t in by.values() for r in t.values()}
        rest = [r for r in run.records if r["cell"] not in shown]
        self.rest = escaped({"records": self._records(rest)})
        self.shared = escaped({"run": run.meta["suite"].get("name"), "fields": FIELDS, "things": self.things})

    def _row(self, search: Search) -> dict[str, Any]:
        line = search.line
        records = {
            r["cell"]: r for by in search.pairs.values() for tried in by.values() for r in tried.values()
        }  # one without a source stands in several pairs
        places = {cell: i for i, cell in enumerate(records)}
        known = self.defaults.get(line.method, {})
        names = ("label", "method", "setting", "learner", "family")
        return {
            **{name: getattr(line, name) for name in names},
            "pairs": {
                pair: [
                    places[tried[trial]["cell"]]
                    for seed in sorted(by, key=lambda s: -1 if s is None else s)
                    for tried in [by[seed]]
                    for trial in sorted(tried)
                ]
                for pair, by in search.pairs.items()
            },
            "commands": {pair: command(self.run.meta, line.label, pair, known) for pair in search.pairs},
            "records": self._records(records.values()),
        }

    def _records(self, records: Iterable[Record]) -> list[list[Any]]:
        return [self._values(record) for record in records]

    def _values(self, record: Record) -> list[Any]:
        labels = self.run.labels(record)
        stale = all(self.run.stale(record, label) for label in labels)
        who = {key: record[key] for key in ("setting", "method", "family", "learner")}
        who |= {"label": ", ".join(labels) or None, "stale": stale}
        own = [record.get(key) for key in OWN]
        own[OWN.index("validators")] = {**(record.get("validators") or {}), **self.judged.get(record["cell"], {})}
        shared = [self._place({"who": who, **record}.get(key)) for key in SHARED]
        return [*own, *shared, self._confusion(record["cell"])]

    def _confusion(self, cell: str) -> Any:
        found = self.confusions.get(cell)
        return found and [self._place(list(found[0])), found[1]]

    def _place(self, thing: Any) -> int:
        key = json.dumps(thing, sort_keys=True)
        if key not in self.places:
            self.places[key] = len(self.things)
            self.things.append(thing)
        return self.places[key]


def escaped(value: Any) -> str:
    r"""JSON that may stand in a script element, of texts that are printable and numbers that a browser keeps.

    >>> escaped({"a": "</script>", "b": 2**60})
    '{"a":"\\u003c/script\\u003e","b":"1152921504606846976"}'
    """
    return json.dumps(_kept(value), separators=(",", ":"), allow_nan=False).translate(SAFE)


def _kept(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > LARGEST:
        return str(value)
    if isinstance(value, Mapping):
        return {printable(key): _kept(entry) for key, entry in value.items()}
    return [_kept(entry) for entry in value] if isinstance(value, list | tuple) else value
