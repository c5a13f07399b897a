"""What runs on the other side of the vault: one adapter at a time, on arrays that hold no label it may not see.

A session receives no cell id, no data hash and no path of data; test rows arrive only after `fit` has returned.
"""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from zoo import discover
from zoo.bench.shared import Shared, digest
from zoo.bench.watch import Told
from zoo.errors import Diverged, LeakError, Unsupported, ZooError
from zoo.graph import Graph, is_sparse
from zoo.seeds import derive
from zoo.task import Task

FACTS, GRAPHS = ("Fs", "Ft"), ("As", "At")  # fields that are no tensors


class Session:
    """Answers the driver's messages: ``check``, ``model``, ``fit``, then ``predict``.

    Parameters
    ----------
    send : takes messages that are no answer, on how far a training is; see `zoo.bench.watch`
    """

    def __init__(self, send: Callable[[dict[str, Any]], None] = lambda note: None) -> None:
        self.send = send
        self.arrays: dict[str, tuple[np.ndarray, str]] = {}
        self.facts: dict[str, Any] = {}
        self.adapter: Any = None
        self.graphs: Any = None
        self.embed: Callable[[Any], Any] | None = None
        self.shared = Shared()

    def handle(self, message: dict[str, Any]) -> dict[str, Any]:
        """Answer one message; what an adapter raises becomes a typed status, never an exception here."""
        op = {"check": self.check, "model": self.train_source, "fit": self.fit, "predict": self.predict}[message["op"]]
        try:
            return {"status": "ok", **op(message)}
        except Exception as error:
            return {"status": _status(error), "reason": _reason(error)}

    def check(self, message: dict[str, Any]) -> dict[str, Any]:
        """Import a plugin and construct it, so that a broken one is refused before anything is written."""
        discover.load(message["info"])(**message["parameters"])
        return {}

    def train_source(self, message: dict[str, Any]) -> dict[str, Any]:
        """Train a source model; returns its state as arrays."""
        t = self._tensors(message)
        self.nodes = message.get("nodes", "")
        graphs = self._graphs(t)
        watch = self._watch(message)
        with _Clock() as clock:
            if "Xs" in t:
                net = _learner(message, None, watch, graphs=graphs).fit(t["Xs"], t["ys"], message["n_classes"])
            else:  # no source but a pretrained network: its weights and a new head
                net = _network(message["learner"], t["Xl"], message["n_classes"])
        state = {k: v.cpu().numpy() for k, v in net.state_dict().items()}
        return {"state": state, "fit_s": clock.wall + watch.earlier[0], "curves": watch.curves}

    def fit(self, message: dict[str, Any]) -> dict[str, Any]:
        """Fit an adapter on what it is granted."""
        self.peak_is_ours = _reset_peak(message["device"])
        self.shared.begin(message.get("again", False))
        tensors = self._tensors(message)
        self.nodes = message.get("nodes", "")
        graphs = self._graphs(tensors)
        source = self._source_model(message, tensors)
        self.embed = source.embed if message["featurise"] else None
        self.model = digest(*message["model"].values()) if self.embed else ""
        self.shaped = message["shaped"] and not self.embed
        tensors = {
            k: self._seen(v, self._name(k)) if k in ("Xs", "Xt", "Xl") else self.shared.know(v, self.arrays[k][1])
            for k, v in tensors.items()
            if k not in GRAPHS
        } | {k: v for k, v in tensors.items() if k in GRAPHS}
        facts = {k: v for k, v in message["arrays"].items() if k in FACTS}
        self.facts |= {k: v for k, v in facts.items() if v is not None}
        tensors |= {k: self.facts[k] for k in facts}
        seed = message["seed"]
        _seed_everything(seed)
        needs = set(message["needs"])
        known = None if source is None or "Xs" not in tensors else (tensors["Xs"], tensors["ys"], source)
        task = Task(
            {**tensors, "model": source},
            needs=needs,
            learner=_learner(message, known, watch := self._watch(message), self.shared, graphs),
            n_classes=message["n_classes"],
            device=message["device"],
            seed=seed,
            memo=self.shared,
        )
        self.n_classes = message["n_classes"]
        adapter = discover.load(message["info"])(**message["parameters"])
        with _Clock(self.shared) as clock:
            self.adapter = adapter.fit(task)
        if self.adapter is not adapter:
            raise TypeError(f"fit returned {type(self.adapter).__name__}, not self")
        certificate = {k: float(v) for k, v in getattr(adapter, "certificate_", {}).items()}
        wall, cpu = watch.earlier
        costs = {"fit_s": clock.wall + wall, "fit_cpu_s": clock.cpu + cpu, "shared_s": self.shared.wall}
        explanation = getattr(adapter, "explanation_", None)
        return {**costs, "certificate": certificate, "curves": watch.curves, "explanation": explanation}

    def predict(self, message: dict[str, Any]) -> dict[str, Any]:
        """Class scores of the sets in ``arrays``: test, adapt, validation."""
        scores, charged = {}, self.shared.wall
        with _Clock(self.shared) as clock:
            whole = self._bound(message.get("graphs", {}))
            for name, X in message["arrays"].items():
                place = "As" if name == "validation" else "At"
                key = _digest(X) + (whole[place].key if whole else "") if self.embed else ""
                X = self._tensor(X)
                X = self._seen(~X if name == "validation" and self.nodes == "net" else X, key)
                A = whole.get(place) if self.nodes == "own" else message["context"].get(name)
                scores[name] = self._scores(self._rule(name, message["fitted"], A), X)
        self.adapter = self.graphs = None
        return {
            "scores": scores,
            "predict_s": clock.wall,
            "shared_s": self.shared.wall - charged,
            "peak_rss_mb": _peak() if self.peak_is_ours else None,
            "peak_cuda_mb": self._peak_cuda(),
        }

    def _watch(self, message: dict[str, Any]) -> Told:
        state = message["state"]
        return Told(self.send, message["checkpoint_s"], None if state is None else state.tobytes())

    def _rule(self, name: str, fitted: str | None, A: Any = None) -> Callable[[Any], Any]:
        if name == fitted and hasattr(self.adapter, "scores_t"):
            return lambda X: self.adapter.scores_t()
        if A is not None:
            return lambda X: self.adapter.predict(X, A)
        return self.adapter.predict_source if name == "validation" else self.adapter.predict

    def _graphs(self, tensors: dict[str, Any]) -> Any:
        """The graphs that a network's nodes are in; the source's nodes are then numbered from -1 down."""
        self.graphs = None
        if self.nodes == "net":
            from zoo.nets._graphs import Graphs

            self.graphs = Graphs(tensors.get("As"), tensors.get("At"))
            if "Xs" in tensors:
                tensors["Xs"] = ~tensors["Xs"]
        return self.graphs

    def _bound(self, graphs: dict[str, Any]) -> dict[str, Any]:
        """Whole graphs as tensors; the network at hand is asked for their nodes from now on.

        None stands for that of the fit. Others are not kept: they hold the test nodes, and the next fit sees none.
        """
        whole = {}
        for name, graph in graphs.items():
            held = None if self.graphs is None else getattr(self.graphs, name[1])
            fitted = graph is None and held is not None
            whole[name] = held if fitted else self._tensor(self.arrays[name][0] if graph is None else graph)
        if self.graphs is not None:
            self.graphs.bind(**{k[1]: g for k, g in whole.items()})
        return whole

    def _name(self, field: str) -> str:
        """Digest of samples; node numbers mean something with their graph only."""
        place = {"Xs": "As", "Xt": "At", "Xl": "At"}[field]
        return self.arrays[field][1] + (self.arrays[place][1] if self.nodes and place in self.arrays else "")

    def _scores(self, rule: Callable[[Any], Any], X: Any) -> np.ndarray:
        import torch

        with torch.no_grad():
            scores = rule(X) if len(X) else X.new_zeros(0, self.n_classes)
        scores = scores.detach().double().cpu().numpy()
        if scores.shape != (len(X), self.n_classes):
            raise ValueError(f"predict gave scores of shape {scores.shape}, expected {(len(X), self.n_classes)}")
        if not np.isfinite(scores).all():
            raise FloatingPointError("predict gave scores that are NaN or infinite")
        if (scores < 0).any() or np.abs(scores.sum(1) - 1).max(initial=0.0) > 1e-3:
            raise ValueError("predict gave rows that are not class scores (non-negative, summing to 1)")
        return scores

    def _tensors(self, message: dict[str, Any]) -> dict[str, Any]:
        """Arrays of a message as tensors of this cell's own; None stands for the array sent last under that name."""
        self.device = message["device"]
        arrays = {name: array for name, array in message["arrays"].items() if name not in FACTS}
        for name, array in arrays.items():
            if array is not None:
                self.arrays[name] = array, _digest(array)
        # Copies, for an adapter may write into them.
        return {
            name: self._tensor(array if isinstance(array := self.arrays[name][0], Graph) else array.copy())
            for name in arrays
        }

    def _tensor(self, array: Any) -> Any:
        import torch

        if isinstance(array, Graph):
            from zoo.ops.convolution import tensors

            return tensors(array, self.device)
        tensor = torch.from_numpy(array.toarray() if is_sparse(array) else array)
        if torch.device(self.device).type == "cuda" and tensor.dtype == torch.uint8:
            free, _ = torch.cuda.mem_get_info(self.device)
            if tensor.nbytes > free // 4:  # photographs that would crowd out the training: it fetches them by batches
                return tensor
        return tensor.to(self.device)

    def _seen(self, X: Any, name: str) -> Any:
        """Samples as the learner sees them; `name` is their digest."""
        import torch

        if (embed := self.embed) is not None:
            features = self.shared.keep(("features", self.model, name), lambda: embed(X))
            return self.shared.know(features.clone(), f"features {self.model} {name}")
        if not self.shaped and not self.nodes:
            X = X.flatten(1).float() / 255 if X.dtype == torch.uint8 else X.flatten(1)
        return self.shared.know(X, name)

    def _source_model(self, message: dict[str, Any], tensors: dict[str, Any]) -> Any:
        if message["model"] is None:
            return None
        import torch

        from zoo import nets

        shape = next(tuple(tensors[k].shape[1:]) for k in ("Xs", "Xt", "Xl") if k in tensors)
        options = message["learner"]["backbone"] | ({} if self.graphs is None else {"graphs": self.graphs})
        net = nets.build(message["learner"]["net"], shape, message["n_classes"], **options)
        net.load_state_dict({k: torch.tensor(v) for k, v in message["model"].items()})
        return net.to(message["device"]).eval()

    def _peak_cuda(self) -> float | None:
        import torch

        if torch.device(self.device).type != "cuda":
            return None
        return torch.cuda.max_memory_allocated(self.device) / 2**20


def _digest(array: Any) -> str:
    """A digest of an array, of sparse features or of a graph."""
    if isinstance(array, Graph):
        return array.digest
    return digest(array.indptr, array.indices, array.data) if is_sparse(array) else digest(array)


def _network(spec: dict[str, Any], X: Any, n_classes: int) -> Any:
    """The network before any training, as the learner of that seed starts it."""
    from zoo import nets, train

    with train.seeded("init", spec["seed"]):
        return nets.build(spec["net"], tuple(X.shape[1:]), n_classes, **spec["backbone"])


def _learner(
    message: dict[str, Any], source: Any, watch: Told, shared: Shared | None = None, graphs: Any = None
) -> Any:
    from zoo.learners import Learner
    from zoo.learners.base import fit_base
    from zoo.train import Budget

    class Sharing(Learner):
        """A learner whose base classifier is fitted once to what is shared, above all to the source as it is."""

        def fit(self, X: Any, y: Any, n_classes: int, weight: Any = None) -> Any:
            if shared and self.use == "base" and weight is None:
                return shared(fit_base, self.base, X, y, n_classes)
            return super().fit(X, y, n_classes, weight)

    spec = dict(message["learner"])
    spec |= {"budget": Budget(**spec["budget"]), "graphs": graphs}
    return Sharing(**spec, device=message["device"], source=source, watch=watch)


def _seed_everything(seed: int) -> None:
    """Global generators too: an adapter that uses them must not depend on what this worker ran before."""
    import torch

    torch.manual_seed(derive("global", seed))
    np.random.seed(derive("global", seed) % 2**32)
    random.seed(derive("global", seed))


def _status(error: Exception) -> str:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate" in str(error):
        return "oom"
    return "diverged" if isinstance(error, Diverged) else "unsupported" if isinstance(error, Unsupported) else "failed"


def _reason(error: Exception) -> str:
    """One line: what, and in which line of which file for errors that nobody raised on purpose."""
    first = (str(error).splitlines() or [""])[0][:300]
    if isinstance(error, ZooError) and not isinstance(error, LeakError):
        return first
    frames = traceback.extract_tb(error.__traceback__)
    where = next(
        (f for f in reversed(frames) if "site-packages" not in f.filename and "worker.py" not in f.filename), None
    )
    place = f" ({Path(where.filename).name}:{where.lineno})" if where else ""
    return f"{type(error).__name__}: {first}{place}"


class _Clock:
    """Wall and CPU seconds of a block, without those spent on what is shared."""

    def __init__(self, shared: Shared | None = None) -> None:
        self.shared = shared

    def _now(self) -> tuple[float, float]:
        spent = (self.shared.spent, self.shared.spent_cpu) if self.shared else (0.0, 0.0)
        return time.perf_counter() - spent[0], time.process_time() - spent[1]

    def __enter__(self) -> _Clock:
        self.start = self._now()
        return self

    def __exit__(self, *exc: object) -> None:
        self.wall, self.cpu = (b - a for a, b in zip(self.start, self._now(), strict=True))


def _reset_peak(device: str) -> bool:
    """Restart the peaks of this process's memory and of its device's; False where the system does not let one."""
    import torch

    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _peak() -> float | None:
    try:
        line = next(r for r in Path("/proc/self/status").read_text().splitlines() if r.startswith("VmHWM"))
    except (OSError, StopIteration):
        return None
    return int(line.split()[1]) / 1024
