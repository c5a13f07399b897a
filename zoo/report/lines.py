"""Records sorted into the rows of a table."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from statistics import fmean

from zoo.records import Record, Run

SETTINGS = ("none", "unsupervised", "few-shot", "semi-supervised", "oracle")
DUMMIES = ("dummy", "type_prior")  # which see no sample
CONSTANT = "one prediction for all test rows, such as the prior"
UNLINKED = "no edge of the neighbour graph leads from the source to the target"
ALL = -1  # of seeds
FAMILIES = ("baseline", "instance", "feature", "parameter", "relational")


@dataclass
class Line:
    """The records of one row: by pair, then by seed, where None stands for all seeds."""

    setting: str
    learner: str
    family: str
    label: str
    method: str
    pairs: dict[str, dict[int | None, Record]] = field(default_factory=dict)
    rule: str = ""  # by which its trials were selected; '' where there was no choice

    @property
    def shown(self) -> str:
        """Its label, with the rule of selection."""
        return f"{self.label} [{self.rule}]" if self.rule else self.label

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from other rows of the run, as `Run.shown` names them."""
        return self.setting, self.learner, self.label

    @property
    def oracle(self) -> bool:
        return self.setting.endswith("oracle")

    def records(self) -> list[Record]:
        """Each record once, though one without a source stands in several pairs."""
        return list({r["cell"]: r for seeds in self.pairs.values() for r in seeds.values()}.values())

    def values(self, pair: str, metric: str) -> dict[int | None, float]:
        """The metric by seed, where a cell is ok and the metric has a meaning."""
        found = {seed: r["metrics"].get(metric) for seed, r in self.pairs.get(pair, {}).items() if r["status"] == "ok"}
        return {seed: v for seed, v in found.items() if v is not None and math.isfinite(v)}

    def blind(self, pair: str, seed: int | None = ALL) -> str:
        """Why a pair's finished cells, or one of a seed, are no result to be ranked; '' where they are one.

        Of dummies and the like one prediction for all is what is asked.
        """
        seeds = self.pairs.get(pair, {})
        done = [r for s, r in seeds.items() if r["status"] == "ok" and seed in (ALL, s)]
        if not done or self.method in DUMMIES:
            return ""
        if all(r.get("constant") for r in done):
            return CONSTANT
        unlinked = all((r.get("certificate") or {}).get("cross_edges") == 0 for r in done)
        return UNLINKED if unlinked else ""

    def mean(self, pair: str, metric: str) -> float | None:
        """The mean over seeds, as far as there are any."""
        values = self.values(pair, metric)
        return fmean(values.values()) if values else None


def lines(run: Run) -> tuple[list[Line], Counter[str]]:
    """The rows of the last plan in table order, and how many records of each label are stale.

    A row that is unsupported everywhere is none. Trials of a search are left to the selection.
    """
    found: dict[tuple[str, str, str], Line] = {}
    stale: Counter[str] = Counter()
    for record in run.records:
        labels = run.labels(record)
        if not labels and not record.get("trial") and not run.tried(record):  # its method had other parameters then
            stale[record["method"]] += 1
        for label in labels:
            if run.stale(record, label):
                stale[label] += 1
                continue
            setting, learner = record["setting"], record["learner"]
            if run.shown and (setting, learner, label) not in run.shown:
                continue
            new = Line(setting, learner, record["family"], label, record["method"])
            line = found.setdefault((setting, learner, label), new)
            for pair in run.meta["pairs"]:
                source, target = pair.split(":")
                if target == record["target"] and record["source"] in (source, None):
                    line.pairs.setdefault(pair, {})[record["seed"]] = record
    suite = run.meta["suite"]

    def order(line: Line) -> tuple[object, ...]:
        access, root = line.setting.removeprefix("source-free "), line.learner.split("@")[0]
        return (
            *(_index(SETTINGS, access), line.setting != access, access),
            *(_index((suite.get("base"), suite.get("net")), root), line.learner),
            *(run.shown.index(line.key) if run.shown else 0, _index(FAMILIES, line.family), line.family, line.label),
        )

    kept = [line for line in found.values() if any(r["status"] != "unsupported" for r in line.records())]
    return sorted(kept, key=order), stale


def _index(names: tuple[str | None, ...], name: str) -> int:
    return names.index(name) if name in names else len(names)
