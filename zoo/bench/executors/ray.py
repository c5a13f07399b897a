from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.bench.executors import Executor
from zoo.bench.executors._line import LOST_NODE, LOST_WORKER, Line, Shelf, Spot
from zoo.bench.executors._place import Place, same
from zoo.errors import BadInput, one_line

PATIENCE = 300.0  # seconds without any room for a worker in the whole cluster
REACHED = 5.0  # seconds within which the head of a cluster answers
STARTS = 3  # of places that may fail in a row


class Ray(Executor):
    """Runs cells on a Ray cluster, behind the label vault on each node; extra `zoo[ray]`.

    Each of the workers is forked by a server that a Ray actor keeps on its node, so that all is as in `processes`: a
    stranger's fit is a fresh, confined process. Its messages are passed on as bytes; they are JSON and arrays here, and
    nothing that it says is unpickled. Samples for the zoo's own methods go through Ray's object store, once to a node;
    labels and all that strangers get go in pieces too small for the store. A worker, or a node, that is lost costs its
    cell a try; lost twice by its worker alone, the cell has failed.

    Parameters
    ----------
    workers : how many work at once; None for as many as the cluster has CPUs, or GPUs
    hidden : files and folders that no plugin may read
    address : ``HOST:PORT`` of a cluster's head, or ``auto``; a local cluster is started without
    device : where cells are computed; a worker's share of CPUs and GPUs hangs on it

    Raises
    ------
    BadInput
        Ray is not installed, or the cluster cannot be reached or used.
    """

    keeps_apart = True
    takes = ("address", "device")

    def __init__(
        self, workers: int | None, hidden: Sequence[Path] = (), address: str = "", device: str = "cpu"
    ) -> None:
        try:
            import ray
        except ImportError:
            raise BadInput("--executor ray needs Ray: pip install 'zoo[ray]'") from None
        if device.startswith("cuda:") and device != "cuda:0":
            raise BadInput(f"--device {device}: Ray says which GPU a worker has; use --device cuda")
        self.ray: Any = ray
        self.own = not ray.is_initialized()  # else it is the caller's, who goes on with it
        if self.own:
            _connect(ray, workers, address)
        nodes = [n for n in ray.nodes() if n["Alive"]]
        cpus, gpus, memory = ([n["Resources"].get(k, 0) for n in nodes] for k in ("CPU", "GPU", "object_store_memory"))
        cuda = device.startswith("cuda")
        if cuda and not sum(gpus):
            self.shutdown()
            raise BadInput(f"--device {device}: the Ray cluster has no GPU; use --device cpu")
        self.width = workers or max(1, int(sum(gpus if cuda else cpus)))
        self.share = {"num_cpus": share(self.width, sum(cpus)), "num_gpus": share(self.width, sum(gpus)) if cuda else 0}
        secret = [Path(n["RayletSocketName"]).parents[1] for n in nodes] + [Path.home() / ".ray"]
        self.hidden = [Path(os.path.abspath(p)) for p in (*hidden, *secret)]
        self.shelf = Shelf(ray, int(min(memory) / 2))
        self.plugins: dict[Path, dict[str, bytes]] = {}
        self.places: list[Spot] = []  # that can be used
        self.coming: dict[Any, Spot] = {}  # that have been asked for
        self.numbers = self.failures = 0
        self.warned = False

    def bring(self, path: Path, files: Mapping[str, bytes]) -> None:
        """Have a plugin, with the files it loads, on all nodes; before the first worker."""
        self.plugins.setdefault(path.resolve().parent, {}).update(files)

    @property
    def room(self) -> int:
        """How many places there are now: those asked for come as soon as the cluster has room for them.

        Raises
        ------
        BadInput
            There is none, and none comes.
        """
        while len(self.places) + len(self.coming) < self.width:
            self._ask()
        end = time.monotonic() + PATIENCE
        self._greet(0.0)
        while not self.places:
            if (left := end - time.monotonic()) < 0:
                need = " and ".join(f"{n:g} {k[4:-1].upper()}" for k, n in self.share.items() if n)
                raise BadInput(f"the Ray cluster had no room for a worker, with {need}, for {PATIENCE:g} s")
            self._greet(left)
        return len(self.places)

    def open(self, stranger: bool = False) -> Line:
        while not (free := [p for p in self.places if p.line is None]):
            if self.room <= sum(p.line is not None for p in self.places):
                self._greet(1.0)
        self.numbers += 1
        place = free[0]
        if stranger and not place.landlock and not self.warned:
            self.warned = True
            sys.stderr.write(
                "zoo: a node has no Landlock: plugins are not kept from the data and the run folder there\n"
            )
        place.line = Line(self.ray, self.shelf, self.lost, place, self.numbers, stranger)
        return place.line

    def wait(self, channels: Sequence[Any], timeout: float | None) -> Sequence[Any]:
        end = None if timeout is None else time.monotonic() + timeout
        while not (ready := [c for c in channels if c.ready]):
            refs = {c.awaited(): c for c in channels}
            asked = [*refs, *self.coming]
            left = None if end is None else max(0.0, end - time.monotonic())
            if not self.ray.wait(asked, num_returns=1, timeout=left)[0]:
                return []
            there, _ = self.ray.wait(asked, num_returns=len(asked), timeout=0)
            for ref in there:
                if ref in refs:
                    refs[ref].hear()
            if self.coming.keys() & set(there):  # there is more room than before
                self._greet(0.0)
                return [c for c in channels if c.ready]
        return ready

    def shutdown(self) -> None:
        """End all places, and the cluster if it was started for them."""
        places = [*getattr(self, "places", ()), *getattr(self, "coming", {}).values()]
        with contextlib.suppress(Exception):  # of a cluster that has gone, nothing is left to be ended
            leaving = [p.actor.leave.remote() for p in places if not p.busy]
            if leaving:
                self.ray.wait(leaving, num_returns=len(leaving), timeout=5)
            for place in places:
                self.ray.kill(place.actor)
        self.places, self.coming = [], {}
        if self.own:
            self.own = False
            self.ray.shutdown()

    def lost(self, place: Spot, error: Exception) -> tuple[str, float]:
        """A place cannot be used any more: why, and what that counts against the cell. Another is asked for."""
        if place in self.places:
            self.places.remove(place)
            with contextlib.suppress(Exception):
                self.ray.kill(place.actor)
        unsure = isinstance(error, self.ray.exceptions.ActorUnavailableError) or "its node" in str(error)
        end = time.monotonic() + 3  # the end of an actor may be known before that of its node
        while (alive := self._alive(place)) and unsure and time.monotonic() < end:
            time.sleep(0.2)
        if not alive:
            return f"the node of its worker was lost ({place.address})", LOST_NODE
        memory = "memory" in str(error).lower()
        return "the Ray actor of its worker was lost" + (", perhaps out of memory" if memory else ""), LOST_WORKER

    def _alive(self, place: Spot) -> bool:
        """Whether its node is."""
        return any(n["Alive"] and n["NodeID"] == place.node for n in self.ray.nodes())

    def _ask(self) -> None:
        """Ask for one more place."""
        options = {"scheduling_strategy": "SPREAD", "concurrency_groups": {"end": 1}, **self.share}
        actor = self.ray.remote(**options)(Place).remote(self.hidden, list(self.plugins.values()))
        self.coming[actor.ready.remote()] = Spot(actor, list(self.plugins))

    def _greet(self, timeout: float) -> None:
        """Take in the places that have come, waiting for the first."""
        if not self.coming:
            return
        asked = list(self.coming)
        if timeout and not self.ray.wait(asked, num_returns=1, timeout=timeout)[0]:
            return
        for ref in self.ray.wait(asked, num_returns=len(asked), timeout=0)[0]:
            place = self.coming.pop(ref)
            try:
                said = self.ray.get(ref)
            except self.ray.exceptions.RayError as error:
                self.failures += 1
                if self.failures >= STARTS:
                    lines = [line for line in str(error).splitlines() if line.strip()]
                    raise BadInput(f"no worker can be started on the Ray cluster: {one_line(lines[-1])}") from None
                self._ask()
                continue
            self.failures = 0
            node: dict[str, Any] = next((n for n in self.ray.nodes() if n["NodeID"] == said["node"]), {})
            place.node, place.folder, place.landlock = said["node"], said["folder"], said["landlock"]
            place.address = node.get("NodeManagerAddress", "")
            for name, ours in same().items():
                if said.get(name) != ours:
                    where = f"the Ray node {place.address} has {name} {said.get(name)}, this machine {ours}"
                    raise BadInput(f"{where}: a run's machines have to be alike")
            self.places.append(place)


def share(workers: int, there: float) -> float:
    """The share of a CPU, or of a GPU, that each of some workers asks for, so that all find a place; 1 at most.

    >>> share(2, 8), share(4, 2), share(3, 1), share(1, 0)
    (1.0, 0.5, 0.3333, 0.0)
    """
    return math.floor(1e4 / math.ceil(workers / there)) / 1e4 if there >= 1 else 0.0


def _connect(ray: Any, workers: int | None, address: str) -> None:
    """Start a cluster on this machine, or join one."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        if address:
            _reach(address)
            ray.init(address=address, **quiet)
        else:
            ray.init(address="local", num_cpus=workers, include_dashboard=False, **quiet)
    except Exception as error:  # Ray raises this very class where a node starts too slowly
        ray.shutdown()
        what = f"--ray-address {address}: " if address else "a local Ray cluster does not start: "
        raise BadInput(what + one_line(str(error))) from None
    finally:
        if main:  # Ray takes SIGTERM for itself
            signal.signal(signal.SIGTERM, before)


def _reach(address: str) -> None:
    """Knock where a head should be: Ray itself tries for long, and says much."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit()) or "/" in address:
        raise ValueError("expected HOST:PORT of a cluster's head, such as 10.0.0.1:6379, or auto")
    with contextlib.suppress(socket.timeout):
        socket.create_connection((host, int(port)), REACHED).close()
        return
    raise ValueError(f"nobody answers within {REACHED:g} s")
