"""What only the data know of a run: its suite and its data anew, and the labels of the rows that its cells saw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from zoo import machine
from zoo.bench import foreign, guests, plan
from zoo.bench.executors import Executor
from zoo.bench.pairs import alone
from zoo.bench.suite import BACKBONE_KEYS, Suite
from zoo.errors import BadInput, one_line
from zoo.kinds import unknown
from zoo.kinds.base import Data, Domain, Draws
from zoo.records import Record, Run
from zoo.report.beside import Beside, Truth


def suite(meta: Mapping[str, Any], **keys: Any) -> Suite:
    """The suite of a run.json, with some keys as they are given; BadInput where they are none of a suite."""
    said = {k: v for k, v in meta["suite"].items() if k in Suite.model_fields} | {"pairs": meta["pairs"]} | keys
    try:
        return Suite.model_validate(said)
    except ValidationError as error:
        raise BadInput(one_line(error)) from None


def again(
    meta: Mapping[str, Any],
    root: str | Path | None,
    device: str = "cpu",
    files: Iterable[Path] = (),
    executor: Executor | None = None,
    **keys: Any,
) -> tuple[Suite, list[tuple[str, str]], Data]:
    """The suite of a run.json, with some keys as they are given, its pairs, and its data as they are here.

    Parameters
    ----------
    files, executor : plugins, of which one may be the data set, and whose strangers load that

    Raises
    ------
    BadInput
        The keys are none of a suite, or the data are not here.
    """
    files = list(files)
    made = guests.placed(foreign.placed(suite(meta, **keys), foreign.known(files)), guests.known(files))
    if made.net and meta.get("net") and guests.of(made) is None:
        raise BadInput(
            f"net {made.net} is a plugin's, which the run keeps as {meta['net']}: "
            "zoo run and zoo verify alone take it, by --plugin"
        )
    foreign.lend(made.source, executor)
    pairs = plan.parse_pairs(made)
    return made, pairs, made.kind.load(made, [*pairs, *alone(made.sources, pairs)], machine.data_root(root), device)


def labels_alone(meta: Mapping[str, Any]) -> dict[str, Any]:
    """A run.json under which labels are loaded and drawn as under this one, without a network and its features."""
    said = {k: v for k, v in meta["suite"].items() if k not in BACKBONE_KEYS} | {"methods": (), "trials": 1}
    raw = {"features": "raw"} if said.get("features") == "frozen" else {}
    return {**meta, "suite": said | raw}


@dataclass(frozen=True)
class Known:
    """Labels of a run's rows, from the data that are here; nothing is loaded before the first is asked for."""

    run: Run
    root: Path | None = None
    found: dict[tuple[str | None, str, int], Truth] = field(default_factory=dict)

    @cached_property
    def draws(self) -> Draws:
        made, _, data = again(labels_alone(self.run.meta), self.root)
        return made.kind.draws(made, data)

    def truth(self, record: Record) -> Truth:
        """Labels of a cell's rows, in the order in which its predictions and features have them.

        Raises
        ------
        BadInput
            The data are not here, are not those of the record, or have no classes.
        """
        data = self.draws.data
        for name, content in record["data"].items():
            domain = data.domains.get(name)
            if not isinstance(domain, Domain) or not data.classes:
                raise BadInput("this run has no samples with classes")
            if domain.content != content:
                raise BadInput(f"domain {name} is not the one that the run was made on")
        key = record["source"], record["target"], record["seed"] or 0
        if key not in self.found:
            self.found[key] = self._truth(*key)
        return self.found[key]

    def _truth(self, source: str | None, target: str, seed: int) -> Truth:
        data = self.draws.data
        pair, of = self.draws.pair(source, target, seed), data.domains[target]
        place = np.full(int(of.rows.max()) + 1, -1)
        place[of.rows[: len(of.y)]] = of.y  # what is behind them has no label
        fields = getattr(pair, "fields", {})
        adapt = pair.rows.get("adapt", pair.rows["test"])
        names = tuple(unknown.names(data, source))
        return Truth(
            names, pair.y_test, unknown.numbers(data, source, place[adapt]), fields.get("ys", np.empty(0, np.int64))
        )


def beside(folder: Path, run: Run, root: Path | None = None, weights: str = "") -> Beside:
    """What pictures may ask for beside the records; the data are not looked at before one does."""

    def distances() -> dict[str, float]:
        from zoo.measure.distance import proxies

        given = {"weights": weights} if weights else {}
        return proxies(suite(run.meta, methods=(), trials=1, **given), root)

    return Beside(folder, Known(run, root).truth, distances)
