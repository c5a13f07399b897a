"""What runs on the other side of the vault: one adapter at a time, on arrays that hold no label it may not see.

A session receives no cell id, no data hash and no path of data; test rows arrive only after `fit` has returned.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from zoo import discover, select
from zoo.errors import Unsupported
from zoo.graph import is_sparse
from zoo.noun import Noun
from zoo.seeds import derive
from zoo.task import Task
from zoo.tasks import problem
from zoo.vault import account, kept, mapped, probe, stream
from zoo.vault.shared import Shared, digest
from zoo.vault.watch import Told

DENSE = 1 << 30  # bytes of a sparse matrix that is filled up


class Session:
    """Answers the driver's messages: ``check``, ``model``, ``extract``, ``fit``, ``restore``, ``probe``, ``predict``,
    ``observe``, ``validate``.

    Parameters
    ----------
    send : takes messages that are no answer, on how far a training is; see `zoo.vault.watch`
    fresh : whether the process has just been made for one fit, so that its peak of memory is that fit's
    """

    def __init__(self, send: Callable[[dict[str, Any]], None] = lambda note: None, fresh: bool = False) -> None:
        self.send, self.fresh = send, fresh
        self.arrays: dict[str, tuple[Any, str]] = {}
        self.adapter: Any = None
        self.graphs: Any = None
        self.embed: Callable[[Any], Any] | None = None
        self.shared = Shared()

    def handle(self, message: dict[str, Any]) -> dict[str, Any]:
        """Answer one message; what an adapter raises becomes a typed status, never an exception here."""
        try:
            return {"status": "ok", **getattr(self, f"on_{message['op']}")(message)}
        except Exception as error:
            return {"status": account.status(error), "reason": account.reason(error)}

    def on_check(self, message: dict[str, Any]) -> dict[str, Any]:
        """Import a plugin and construct it, so that a broken one is refused before anything is written."""
        load = select.load if isinstance(message["info"], select.ValidatorInfo) else discover.load
        made = load(message["info"])
        if message["parameters"] is not None:
            made(**message["parameters"])
        return {}

    def on_validate(self, message: dict[str, Any]) -> dict[str, Any]:
        """The value of a validator for one fitted method, of what it needs to see and of nothing else."""
        from zoo.select.base import Seen

        info = message["info"]
        judge = select.load(info)()
        with account.Clock() as clock:
            value = float(judge.value(Seen(message["arrays"], info.needs)))
        return {"value": value, "seconds": clock.wall}

    def on_model(self, message: dict[str, Any]) -> dict[str, Any]:
        """Train a source model; returns its state as arrays."""
        t = self._tensors(message)
        self.nodes = message.get("nodes", "")
        graphs = self._graphs(t)
        watch = self._watch(message)
        with account.Clock() as clock:
            if "Xs" in t:
                net = _learner(message, None, watch, graphs=graphs).fit(t["Xs"], t["ys"], message["n_classes"])
            else:  # no source but a pretrained network: its weights and a new head
                net = _network(message["learner"], t["Xl"], message["n_classes"])
        state = {k: v.cpu().numpy() for k, v in net.state_dict().items()}
        return {"state": state, "fit_s": clock.wall + watch.earlier[0], "curves": watch.curves}

    def on_extract(self, message: dict[str, Any]) -> dict[str, Any]:
        """Features of a fit's samples and of its sets by the source model: what is sent to strangers in their place."""
        self.shared.begin()
        tensors, _ = self._granted(message)
        with account.Clock() as clock:
            whole = self._bound(message.get("graphs", {}))
            sets = {name: self._set(name, X, whole) for name, X in message["sets"].items()}
        features = {k: v for k, v in tensors.items() if k in ("Xs", "Xt", "Xl")}
        numbers = {
            f"{kind} {k}": v.cpu().numpy() for kind, d in (("field", features), ("set", sets)) for k, v in d.items()
        }
        return {"features": numbers, "fit_s": self.shared.wall + clock.wall}

    def on_fit(self, message: dict[str, Any]) -> dict[str, Any]:
        """Fit an adapter on what it is granted."""
        self.peak_is_ours = self.fresh or account.reset_peak(message["device"])
        self.shared.begin(message.get("again", False))
        tensors, source = self._granted(message)
        seed = message["seed"]
        _seed_everything(seed)
        known = (tensors["Xs"], tensors["ys"], source) if source is not None and "ys" in tensors else None
        task = Task(
            {**tensors, "model": source},
            needs=set(message["needs"]),
            learner=(learner := _learner(message, known, watch := self._watch(message), self.shared, self.graphs)),
            n_classes=message["n_classes"],
            columns=(columns := message.get("columns", message["n_classes"])),
            device=message["device"],
            seed=seed,
            memo=self.shared,
        )
        self.n_classes, self.problem = columns, problem(message["learner"]["task"])
        adapter = discover.load(message["info"])(**message["parameters"])
        with account.Clock(self.shared) as clock:
            self.adapter = adapter.fit(task)
        if self.adapter is not adapter:
            raise TypeError(f"fit returned {type(self.adapter).__name__}, not self")
        wall, cpu = watch.earlier
        return {
            "fit_s": clock.wall + wall,
            "fit_cpu_s": clock.cpu + cpu,
            "shared_s": self.shared.wall,
            "certificate": _certificate(adapter) | ({"unconverged": n} if (n := float(learner.unconverged)) else {}),
            "curves": watch.curves,
            "explanation": _explanation(adapter),
            "kept": kept.packed(self, source) if message.get("keep") else None,
            **self._peaks(),
        }

    def on_restore(self, message: dict[str, Any]) -> dict[str, Any]:
        """Take up a fit that was kept, in place of `on_fit`; in no process that does anything else."""
        kept.take_up(self, message["kept"], message["device"])
        spent = dict.fromkeys(("fit_s", "fit_cpu_s", "shared_s"), 0.0)
        return {**spent, "certificate": {}, "curves": {}, "explanation": None, "kept": None, **self._peaks()}

    def on_probe(self, message: dict[str, Any]) -> dict[str, Any]:
        """For validators and pictures: scores of source-train and mixtures, features of ``arrays``, and weights."""
        found: dict[str, np.ndarray] = {}
        with account.Clock() as clock:
            whole = self._bound(message.get("graphs", {}))
            sets = {name: self._set(name, rows, whole) for name, rows in message["arrays"].items()}
            for name, X in sets.items():
                source = name in probe.SOURCE
                if (z := probe.features(self.adapter, X, source)) is not None:
                    found[f"{'train' if name == 'train' else 'validation' if source else 'adapt'}_features"] = z
            if (w := probe.weights(self.adapter, len(sets.get("train", ())))) is not None:
                found["train_weights"] = w
            if "train" in sets and self.nodes != "own":
                found["train_scores"] = self._scores(self._rule("validation", None), sets["train"])
            mixes = self.problem.classes and not self.nodes
            if mixes and (name := next((n for n in probe.ADAPT if n in sets), "")):
                said = self._scores(self._rule(name, message["fitted"]), sets[name])
                found["mixed_parents"] = pairs = probe.parents(said.argmax(1), message["seed"])
                if not self.adapter.transductive_only:
                    found["mixed_scores"] = self._scores(self._rule("mixed", None), probe.mixed(sets[name], pairs))
        return {"probed": found, "seconds": clock.wall}

    def on_predict(self, message: dict[str, Any]) -> dict[str, Any]:
        """Class scores of the sets in ``arrays``: test, adapt, validation."""
        scores, charged = {}, self.shared.wall
        with account.Clock(self.shared) as clock:
            whole = self._bound(message.get("graphs", {}))
            for name, rows in message["arrays"].items():
                X = self._set(name, rows, whole)
                place = "As" if name == "validation" else "At"
                A = whole.get(place) if self.nodes == "own" else self._beside(message["context"].get(name))
                scores[name] = self._scores(self._rule(name, message["fitted"], A), X)
        if message["last"]:
            self.adapter = self.graphs = None
        spent = {"predict_s": clock.wall, "shared_s": self.shared.wall - charged}
        return {"scores": scores, **spent, **self._peaks()}

    def on_observe(self, message: dict[str, Any]) -> dict[str, Any]:
        """Class scores of the next batch of a stream."""
        return stream.observed(self, message)

    def _granted(self, message: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        """Tensors of a fit as the learner sees them, and the source model where it was sent."""
        tensors = self._tensors(message)
        self.nodes = message.get("nodes", "")
        self._graphs(tensors)
        source = self._source_model(message, tensors)
        self.embed = source.embed if message["featurise"] else None
        self.model = digest(*message["model"].values()) if self.embed else ""
        self.shaped = message["shaped"] and not self.embed
        seen = {
            k: self._seen(v, self._name(k)) if k in ("Xs", "Xt", "Xl") else self.shared.know(v, self.arrays[k][1])
            for k, v in tensors.items()
            if not isinstance(v, Noun)
        }
        return tensors | seen, source

    def _set(self, name: str, X: Any, whole: dict[str, Any]) -> Any:
        """Rows of a set as the learner sees them."""
        source = name in probe.SOURCE
        place = "As" if source else "At"
        key = _digest(X) + (whole[place].key if whole else "") if self.embed else ""
        X = self._tensor(X)
        return self._seen(~X if source and self.nodes == "net" else X, key)

    def _peaks(self) -> dict[str, float | None]:
        import torch

        cuda = torch.device(self.device).type == "cuda"
        return {
            "peak_rss_mb": account.peak() if self.peak_is_ours else None,
            "peak_cuda_mb": torch.cuda.max_memory_allocated(self.device) / 2**20 if cuda else None,
        }

    def _watch(self, message: dict[str, Any]) -> Told:
        state = None if message["state"] is None else message["state"].tobytes()
        return Told(self.send, message["checkpoint_s"], state, message["device"])

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

    def _scores(self, rule: Callable[[Any], Any], X: Any, learns: bool = False) -> np.ndarray:
        import torch

        with torch.set_grad_enabled(learns):
            scores = rule(X) if len(X) else torch.zeros(0, self.n_classes)
        scores = scores.detach().double().cpu().numpy()
        if scores.shape != (len(X), self.n_classes):
            raise ValueError(f"predict gave scores of shape {scores.shape}, expected {(len(X), self.n_classes)}")
        if not np.isfinite(scores).all():
            raise FloatingPointError("predict gave scores that are NaN or infinite")
        if why := self.problem.fault(scores):
            raise ValueError(f"predict gave {why}")
        return scores

    def _tensors(self, message: dict[str, Any]) -> dict[str, Any]:
        """Arrays and nouns of a message as this cell's own; None stands for what was sent last under that name."""
        self.device = message["device"]
        self.takes_sparse = not message.get("shaped", True) and message["info"].sparse
        for name, array in message["arrays"].items():
            if array is not None:
                self.arrays[name] = array, _digest(array)
        # Copies, for an adapter may write into them.
        return {name: self._tensor(mapped.own(self.arrays[name][0])) for name in message["arrays"]}

    def _beside(self, context: Any) -> Any:
        """What `predict` gets beside rows, if anything."""
        return None if context is None else self._tensor(context)

    def _tensor(self, array: Any) -> Any:
        import torch

        if isinstance(array, Noun):
            return array.to(self.device)
        if is_sparse(array):
            return self._sparse(array).to(self.device)
        tensor = torch.from_numpy(array)
        if torch.device(self.device).type == "cuda" and tensor.dtype == torch.uint8:
            free, _ = torch.cuda.mem_get_info(self.device)
            if tensor.nbytes > free // 4:  # photographs that would crowd out the training: it fetches them by batches
                return tensor
        return tensor.to(self.device)

    def _sparse(self, array: Any) -> Any:
        """A sparse matrix as it is to what takes that, else filled up, if that is of a reasonable size."""
        import torch

        if self.takes_sparse:
            from zoo.ops.rows import of_scipy

            return of_scipy(array)
        if (size := array.shape[0] * array.shape[1] * array.dtype.itemsize) > DENSE:
            much = f"{array.shape[0]} × {array.shape[1]}, {size / 2**30:.1f} GiB"
            raise Unsupported(
                f"needs its samples dense, and they are sparse and large ({much}): fewer columns would do, say by "
                "scikit-learn's TruncatedSVD or SelectKBest"
            )
        return torch.from_numpy(array.toarray())

    def _seen(self, X: Any, name: str) -> Any:
        """Samples as the learner sees them; `name` is their digest."""
        import torch

        if (embed := self.embed) is not None:
            features = self.shared.keep(("features", self.model, name), lambda: embed(X))
            return self.shared.know(features.clone(), f"features {self.model} {name}")
        if not self.shaped and not self.nodes and X.layout == torch.strided:
            X = X.flatten(1).float() / 255 if X.dtype == torch.uint8 else X.flatten(1)
        return self.shared.know(X, name)

    def _source_model(self, message: dict[str, Any], tensors: dict[str, Any]) -> Any:
        if message["model"] is None:
            return None
        import torch

        from zoo import nets

        granted = [tuple(tensors[k].shape[1:]) for k in ("Xs", "Xt", "Xl") if k in tensors]
        shape = granted[0] if granted else tuple(message["shape"])  # of a stream there is no sample yet
        options = message["learner"]["backbone"] | ({} if self.graphs is None else {"graphs": self.graphs})
        spec = message["learner"]
        n_classes = message.get("of_model", message["n_classes"])
        net = nets.build(spec["net"], shape, n_classes, **options, task=spec["task"])
        net.load_state_dict({k: torch.tensor(v) for k, v in message["model"].items()})
        return net.to(message["device"]).eval()


def _digest(array: Any) -> str:
    """A digest of an array, of sparse features or of a noun."""
    if isinstance(array, Noun):
        return array.digest
    return digest(array.indptr, array.indices, array.data) if is_sparse(array) else digest(array)


def _network(spec: dict[str, Any], X: Any, n_classes: int) -> Any:
    """The network before any training, as the learner of that seed starts it."""
    from zoo import nets, train

    with train.seeded("init", spec["seed"]):
        return nets.build(spec["net"], tuple(X.shape[1:]), n_classes, **spec["backbone"], task=spec["task"])


def _learner(
    message: dict[str, Any], source: Any, watch: Told, shared: Shared | None = None, graphs: Any = None
) -> Any:
    from zoo.learners import Learner
    from zoo.train import Budget

    class Sharing(Learner):
        """A learner whose base classifier is fitted once to what is shared, above all to the source as it is."""

        def _base(self, X: Any, y: Any, n_classes: int, weight: Any) -> Any:
            if shared and weight is None:
                return shared(self.fitter, self.base, X, y, n_classes, task=self.problem.name)
            return self.fitter(self.base, X, y, n_classes, weight, self.problem.name)

    spec = dict(message["learner"])
    spec |= {"budget": Budget(**spec["budget"]), "graphs": graphs}
    return Sharing(**spec, device=message["device"], source=source, watch=watch)


def _seed_everything(seed: int) -> None:
    """Global generators too: an adapter that uses them must not depend on what this worker ran before."""
    import torch

    torch.manual_seed(derive("global", seed))
    np.random.seed(derive("global", seed) % 2**32)
    random.seed(derive("global", seed))


def _certificate(adapter: Any) -> dict[str, float]:
    said = getattr(adapter, "certificate_", {})
    if odd := [k for k in said if not isinstance(k, str)]:
        raise TypeError(f"certificate_ has texts for keys, not {odd[0]!r}")
    return {k: float(v) for k, v in said.items()}


def _explanation(adapter: Any) -> Any:
    try:
        return json.loads(json.dumps(getattr(adapter, "explanation_", None), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"explanation_ is no JSON: {error}") from None
