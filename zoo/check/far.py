"""The far side of the contract tests: a process that imports one method, runs it, and tells what came of it.

What it tells is what the method gave; whether that is right is judged on the near side (`zoo.check.near`), where no
line of the method runs. Labels of the target are never here, save for methods that are given them.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import gc
import importlib
import io
import os
import pickle
import random
import signal
import socket
import struct
import sys
import traceback
from pathlib import Path
from typing import Any

from zoo.access import trained
from zoo.check import wire
from zoo.noun import Noun

HEAVY = ("torch", "torch._dynamo", "sklearn.linear_model", "sklearn.neighbors", "sklearn.svm", "ot", "zoo.learners.net")
KINDS = (
    "BadInput",
    "Unsupported",
    "LeakError",
    "Diverged",
    "Broken",
    "FloatingPointError",
)  # of errors that judges tell apart


def serve(fd: int) -> None:
    """Import what is heavy, then fork a process for every request, until the other end closes."""
    os.dup2(2, 1)  # what a method prints is no answer
    for heavy in HEAVY:
        importlib.import_module(heavy)
    import torch

    from zoo.check import spoils

    torch.set_num_threads(1)
    spoils.warm_up()
    random.seed(0)
    before = spoils.state()
    gc.collect()
    gc.freeze()  # a collection in a child would go through all that is here, and copy its pages
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    line = socket.socket(fileno=fd)
    while True:
        data, fds, _, _ = socket.recv_fds(line, 1, 1)
        if not data:
            return
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            random.seed(0)  # Python seeds anew after a fork
            line.close()
            _live(fds[0], before)
        os.close(fds[0])
        line.sendall(struct.pack("<I", pid))


def _live(fd: int, before: Any) -> None:
    """Answer until the other end closes; never returns into the server's loop."""
    try:
        line = socket.socket(fileno=fd)
        read = line.makefile("rb")
        runs, printed = Runs(before), Printed()
        sys.stdout = io.TextIOWrapper(printed, "utf-8", "backslashreplace", write_through=True)
        while head := read.read(8):
            number, op, what = pickle.loads(read.read(struct.unpack("<Q", head)[0]))  # from the near side, ours
            answer = _answer(runs, op, what)
            line.sendall(wire.encode({"number": number, "printed": printed.lines, **answer}))
    finally:
        sys.stderr.flush()
        os._exit(1)


def _answer(runs: Runs, op: str, what: dict[str, Any]) -> dict[str, Any]:
    try:
        answer = {"error": None, **getattr(runs, op)(**what)}
        wire.encode(answer)  # a method's own values may be no JSON
        return answer
    except (Exception, SystemExit) as e:  # a plugin is a stranger's code
        kind = next((c.__name__ for c in type(e).__mro__ if c.__name__ in KINDS), "")
        lines = [f.lineno for f in traceback.extract_tb(e.__traceback__) if f.filename == str(runs.path)]
        return {"error": kind or "Exception", "type": type(e).__name__, "says": str(e), "line": (lines or [0])[-1]}


class Printed(io.RawIOBase):
    """Where a method prints to while it is tried: what it prints is counted, and no answer."""

    def __init__(self) -> None:
        self.lines = 0

    def writable(self) -> bool:
        return True

    def write(self, text: Any) -> int:
        self.lines += bytes(text).count(b"\n")
        return len(text)


class Runs:
    """One method's fits, by the names that the near side gives them.

    Parameters
    ----------
    before : the state of the process before the method was imported
    """

    def __init__(self, before: Any) -> None:
        self.before, self.path = before, Path()
        self.fitted: dict[str, Any] = {}
        self.models: dict[tuple[Any, ...], Any] = {}

    def load(self, info: Any) -> dict[str, Any]:
        """Import the method."""
        from zoo import discover
        from zoo.check import promised

        self.info, self.path = info, info.path
        self.cls = discover.load(info)
        promised.watch(self.cls)
        return {}

    def fit(self, name: str, task: dict[str, Any], again: str = "", params: Any = None) -> dict[str, Any]:
        """Fit a new adapter, one fitted before, or one with given parameters."""
        given = self._task(**task)
        adapter = self.fitted[again] if again else self.cls(**(params or {}))
        self.fitted[name] = fitted = adapter.fit(given)
        leaks = sorted(vars(given).get("leaks", ()))
        return {"leaks": leaks, "itself": fitted is adapter, "scores_t": hasattr(fitted, "scores_t")}

    def scores(self, name: str, rule: str, arguments: tuple[Any, ...]) -> dict[str, Any]:
        """What a fitted adapter gives by a rule: predict, predict_source or scores_t."""
        import torch

        found = getattr(self.fitted[name], rule)(*arguments)
        if not isinstance(found, torch.Tensor):
            return {"gives": type(found).__name__, "scores": None}
        return {"gives": "Tensor", "scores": found.detach().cpu().double().numpy()}

    def stream(self, name: str, batches: list[Any]) -> dict[str, Any]:
        """What a copy of a fitted adapter gives of batches that come one by one, and what it holds after each."""
        import numpy as np
        import torch

        adapter, given, scores, held = copy.deepcopy(self.fitted[name]), [], [], []
        for batch in batches:
            with torch.enable_grad():
                found = adapter.observe(batch.clone())
            if not isinstance(found, torch.Tensor):
                return {"gives": type(found).__name__, "held": [], "final": False}
            given.append(found)
            scores.append(found.detach().cpu().double().numpy().copy())
            held.append(self._held(adapter))
        now = [part.detach().cpu().double().numpy() for part in given]
        final = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(scores, now, strict=True))
        told = {f"scores {i}": part for i, part in enumerate(scores)}
        return {"gives": "Tensor", "held": held, "final": final, **told}

    def _held(self, adapter: Any) -> int:
        """How many numbers and objects an adapter and its file hold."""
        from zoo.vault.shared import parts

        own = {k: v for k, v in vars(sys.modules[self.cls.__module__]).items() if not k.startswith("__")}
        return sum(_numbers(part) for part in parts([adapter, self.cls.__dict__.copy(), own]))

    def params(self, name: str = "") -> dict[str, Any]:
        """The parameters of a fitted adapter, or of a new one."""
        return {"params": (self.fitted[name] if name else self.cls()).get_params()}

    def explanation(self, name: str) -> dict[str, Any]:
        """What a fitted adapter explains."""
        explains = hasattr(self.fitted[name], "explanation_")
        return {"explains": explains, "explanation": getattr(self.fitted[name], "explanation_", None)}

    def place(self, name: str, rule: str) -> dict[str, Any]:
        """The line of the method's file in which a rule gives what it gives."""
        from zoo.check import promised

        return {"place": promised.where(getattr(self.fitted[name], rule))}

    def settle(self) -> dict[str, Any]:
        """Answer, so that what was said without being asked comes to light."""
        return {}

    def train_on_meta(self, task: dict[str, Any]) -> dict[str, Any]:
        """A few training steps on the meta device."""
        from zoo.check.devices import OneDevice

        if self.cls.host_sync:
            return {"exempt": True}
        given, adapter = self._task(device="meta", **task), self.cls()
        with OneDevice():
            (given.learner.train if self.info.kind == "deep" else given.learner.tune)(given, adapter)
        return {"exempt": False}

    def spoils(self, info: Any, task: dict[str, Any], rule: str, arguments: tuple[Any, ...]) -> dict[str, Any]:
        """Import, fit and predict in a process that has done nothing yet, and tell what is not as it was."""
        from zoo.check import spoils

        given = spoils.Given()
        self.info = info
        made = self._task(**task, given=given)
        self.load(info)
        for field in task["fields"]:
            if made.has(field):
                given.know(f"task.{field}", getattr(made, field))
        for argument in arguments:
            given.know("what predict is given", argument)
        fitted = self.cls().fit(made)
        getattr(fitted, rule)(*arguments)
        return {"shared": given.changed(), "state": spoils.changes(self.before, spoils.state())}

    def _task(
        self,
        fields: dict[str, Any],
        budget: Any,
        use: str,
        n_classes: int,
        columns: int,
        seed: int = 0,
        more: tuple[str, ...] = (),
        device: str = "cpu",
        net: str = "mlp",
        given: Any = None,
        bait: Any = None,
        predicts: str = "classification",
    ) -> Any:
        """The task, and with it on the heap some labels that are nobody's, for those who look there."""
        from zoo.check import spoils
        from zoo.check.watched import Watched
        from zoo.nets._graphs import Graphs
        from zoo.tasks import problem

        nodes = use == "net" and "As" in fields
        how: dict[str, Any] = {"n_classes": n_classes, "columns": columns, "device": device, "seed": seed}
        options = {"net": "gcn" if nodes else net, "budget": budget, "seed": seed, "use": use}
        options |= {"task": predicts, "base": problem(predicts).bases[0]}
        if "model" in self.info.needs:
            options["graphs"] = Graphs(fields["As"], fields["At"]) if nodes else None
            budgeted, built = trained(self.info.source_model)
            own = {"budget": dataclasses.replace(budget, **budgeted), "backbone": built}
            model = self._model(fields, n_classes, options | own | {"use": "net", "seed": 0})
            fields = fields | {"model": model.to(device)}
        if device != "cpu":
            how |= {"n_sources": int(fields["ds"].max()) + 1} if "ds" in fields else {}
            fields = {k: v.to(device) for k, v in fields.items()}  # tensors, nouns and a network
        options["graphs"] = Graphs(fields["As"], fields["At"]) if nodes else None
        learner: Any = spoils.Sharing(**options)
        how |= {} if given is None else {"memo": given.memo}
        needs = self.info.needs | set(more)
        task = Watched(fields, needs=needs, learner=learner, **how)
        learner.given, learner.samples = given, () if given is None else tuple(vars(task).get(k) for k in ("Xs", "Xl"))
        return task

    def _model(self, fields: dict[str, Any], n_classes: int, options: dict[str, Any]) -> Any:
        """A copy of the source model, trained once for the same source."""
        from zoo.check import spoils
        from zoo.learners import Learner

        nouns = {k: v for k, v in fields.items() if isinstance(v, Noun)}
        seen = spoils.leaves({k: fields[k] for k in ("Xs", "ys")} | nouns)
        key = (*sorted(seen.items()), options["budget"], *options["backbone"])
        if key not in self.models:
            self.models[key] = Learner(**options).fit(fields["Xs"], fields["ys"], n_classes)
        return copy.deepcopy(self.models[key])


def _numbers(part: Any) -> int:
    import numpy as np
    import torch

    if isinstance(part, torch.Tensor):
        return part.untyped_storage().nbytes() // part.element_size() if part.device.type != "meta" else 0
    return part.size if isinstance(part, np.ndarray) else len(part) if isinstance(part, str | bytes) else 1


def start(end: socket.socket) -> list[str]:
    """The command that serves on a socket, in a fresh interpreter with our import path."""
    with contextlib.suppress(OSError):
        os.set_inheritable(end.fileno(), True)
    path = repr([os.path.abspath(p) for p in sys.path])
    code = f"import sys; sys.path[:] = {path}; from zoo.check import far; far.serve({end.fileno()})"
    return [sys.executable, "-P", "-c", code]
