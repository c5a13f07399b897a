"""Rows that a run did not have: predicted by its kept fits, or by its cells fitted again, behind the vault.

They are normalised as the target's own rows are, by the statistics of what was adapted to, for which the run's data
have to be here. Cells are the same as in the run: same code, parameters, seed and data, or they are refused.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import machine, records, streams
from zoo.bench import predict
from zoo.bench.again import Rebuilt, Unplanned, rebuilt
from zoo.bench.execute import STATE_LIMIT, Driver
from zoo.bench.executors.processes import Processes
from zoo.bench.jobs import Job, Slot, View
from zoo.bench.plan import Cell
from zoo.data import _own
from zoo.errors import BadInput, one_line
from zoo.graph import is_sparse, stacked
from zoo.kinds import unknown
from zoo.kinds.base import Domain
from zoo.kinds.samples import Samples
from zoo.records import Record
from zoo.records.store import MODELS, Store
from zoo.vault import confine

if TYPE_CHECKING:
    import pandas as pd

    from zoo.bench.suite import Suite

Models = Mapping[str, Sequence[np.ndarray]]  # by cell, one a round


class Asking(Driver):
    """Runs cells, of which those with kept fits take these up in place of fitting."""

    models: Models = {}

    def _enqueue(self, cells: Iterable[Cell]) -> None:
        super()._enqueue(replace(c, model=None) if c.id in self.models else c for c in cells)

    def _send_fit(self, slot: Slot, job: Job) -> None:
        if job.makes or job.cell.id not in self.models:
            return super()._send_fit(slot, job)
        self._end(slot)
        # A kept fit is a pickle: it is taken up where a plugin would be, confined, in a process that ends with it.
        slot.channel, slot.worker = self.executor.open(stranger=True), job.worker
        slot.channel.expect(STATE_LIMIT)
        info, kept = job.cell.row.info, self.models[job.cell.id][job.round]
        slot.channel.send({"op": "restore", "info": info, "kept": kept, "device": self.common["device"]})


def predicted(
    folder: Path,
    method: str,
    file: Path,
    *,
    pairs: Sequence[str] | None = None,
    learner: str = "",
    setting: str = "",
    data_root: str | Path | None = None,
    plugins: Sequence[Path] = (),
    weights: str = "",
    workers: int | None = None,
    device: str = "auto",
    told: Callable[[str], None] = lambda line: None,
) -> pd.DataFrame:
    """What `zoo.bench.predict.predict` gives, of the rows of a file like a target's, labels in it unread.

    Parameters
    ----------
    file : in the format of the run's own data, with the columns of its features
    plugins, weights : files that the run had
    told : is told in a line of what is fitted again, and of what gave other metrics than then

    Raises
    ------
    BadInput
        As there; the file is not like the run's; a cell cannot be made again.
    """
    run, root, device = records.read(folder), machine.data_root(data_root), machine.device(device)
    cells = predict.chosen(folder, run, method, pairs, learner, setting)
    every = [r for found in cells.values() for r in found]
    models = {r["cell"]: kept for r in every if (kept := _kept(folder, r))} if confine.abi() else {}
    executor = Processes(workers or (machine.cores() if device == "cpu" else 1), [p for p in (root, folder) if p])
    try:
        try:
            planned = rebuilt(run, every, root, plugins, weights, device, executor)
        except Unplanned as error:
            raise BadInput(f"{folder}: its data are not here, or not as they were ({one_line(error.why)})") from None
        places = {}
        for record in every:
            if record["cell"] not in planned.cells:
                raise BadInput(f"{folder}: {method} cannot be had again: {planned.absent(record).reason}")
        if planned.plan.suite.protocol == streams.NAME:
            raise BadInput(
                f"{folder}: protocol: stream: a stream ends with its last batch, and new rows are none of it"
            )
        if planned.cells[every[0]["cell"]].row.info.transductive_only:
            raise BadInput(f"{folder}: {method} has no rule for new samples")
        for found in cells.values():
            domain = predict.of_run(folder, planned.data, found)
            if domain.name not in places:
                asked = planned.data.target(domain.name)
                grown, places[domain.name] = extended(planned.plan.suite, planned, asked, file, device)
                targets = planned.data.targets | {domain.name: grown}
                planned = replace(planned, data=replace(planned.data, targets=targets))
        again = {r["cell"] for r in every} - models.keys()
        if again:
            told(f"{len(again)} cells are fitted again (zoo run --keep model keeps them)")
        made = _run(planned, {r["cell"]: r for r in every}, models, executor, device, told)
    finally:
        executor.shutdown()
    parts = []
    for pair, found in cells.items():
        where, names = places[pair.partition(":")[2]], unknown.names(planned.data, found[0]["source"])
        said = predict.averaged([predict.of_cell(made[r["cell"]], ["asked"]) for r in found], len(where["row"]))
        parts.append(predict.lines(pair, said, np.arange(len(where["row"])), where, names))
    return predict.joined(parts)


def extended(suite: Suite, planned: Rebuilt, domain: Domain, file: Path, device: str) -> tuple[Domain, dict[str, Any]]:
    """A target with the rows of a file below its own, and where they stand in it.

    Raises
    ------
    BadInput
        The file is not like the domain's, or the run is not on one's own data.
    """
    if suite.data is None:
        raise BadInput(f"{file}: new rows are read as a suite's data: says, and this run is on {suite.dataset}")
    own = suite.data.model_copy(update={"domains": {domain.name: str(file)}, "file": "", "by": ""})
    if not isinstance(suite.kind, Samples) or domain.graph is not None:
        raise BadInput(f"{file}: rows stand for themselves, and {domain.name} holds {suite.kind.name}")
    try:
        source = _own.dataset(own.model_dump() | {"unlabelled": True})
        source.like(suite.source)
        other = suite.model_copy(update={"data": own, "source": source})
        raw, _ = suite.kind.read(other, domain.name, None)
    except BadInput as error:
        raise BadInput(str(error).removeprefix(f"data: domains: {domain.name}: ")) from None
    n, t = raw.shape[0], domain
    none = np.full(n, -1) if suite.problem.classes else np.full(n, np.nan)
    new = suite.kind.domain(other, t.name, raw, none, planned.data.classes, device)
    order = np.argsort(new.rows)
    if new.X.shape[1:] != t.X.shape[1:]:
        raise BadInput(f"{file}: samples of shape {new.X.shape[1:]}, but those of {t.name} have {t.X.shape[1:]}")
    X = new.X[order]
    if X.ndim == 4 and X.dtype != np.uint8 and float(t.X.max()) <= 1 and float(X.max()) > 2:
        raise BadInput(f"{file}: images in 0 to {X.max():g}, those of {t.name} in 0 to 1: scale them alike")
    seen = None if t.frozen is None else _below(t.frozen, new.frozen[order])
    if new.groups is None:
        files, rows = source.places(t.name, n)
        places = ({"file": files} if files else {}) | {"row": rows}
    else:
        places = predict.windows(new.groups[order])
    return replace(t, X=_below(t.X, X), frozen=seen, asked=n), places


def _below(X: Any, more: Any) -> Any:
    """Rows below others, in the type of these."""
    if is_sparse(X) != is_sparse(more):
        from scipy.sparse import csr_matrix

        more = csr_matrix(more) if is_sparse(X) else more.toarray()
    return stacked([X, more.astype(X.dtype, copy=False)])


def _kept(folder: Path, record: Record) -> list[np.ndarray]:
    """The kept fits of a cell, round by round; none where one is not there.

    Raises
    ------
    BadInput
        One is another than the record says.
    """
    found = []
    for i, sha in enumerate(record.get("models_sha256") or ()):
        path = folder / MODELS / f"{record['cell']}{f'-{i}' if i else ''}.pt"
        if not path.is_file():
            return []
        packed = path.read_bytes()
        if hashlib.sha256(packed).hexdigest() != sha:
            raise BadInput(f"{path}: is not the model that was kept: its record holds another hash")
        found.append(np.frombuffer(packed, np.uint8))
    return found


def _run(
    planned: Rebuilt,
    cells: Mapping[str, Record],
    models: Models,
    executor: Processes,
    device: str,
    told: Callable[[str], None],
) -> dict[str, dict[str, np.ndarray]]:
    """What cells store when they are asked for the new rows too, in a folder that is thrown away."""
    made: dict[str, Record] = {}

    class Listener(View):
        def record(self, record: Record) -> None:
            made[record["cell"]] = record

    suite = planned.plan.suite
    with tempfile.TemporaryDirectory() as place:
        store = Store(Path(place) / "again")
        store.make()
        common = {"device": device, "versions": machine.versions()}
        try:
            driver = Asking(suite.kind.draws(suite, planned.data), store, executor, common=common, view=Listener())
            driver.models = models
            driver.run([planned.cells[cell] for cell in cells])
            for cell, record in made.items():
                if record["status"] != "ok":
                    raise BadInput(f"seed {record['seed']} of {record['method']}: {record['reason']}")
                if record["metrics"] != cells[cell]["metrics"]:
                    told(f"seed {record['seed']}: metrics are others than in the run (other versions, or device?)")
            return {cell: predict.stored(store.folder, record) for cell, record in made.items()}
        finally:
            store.close()
