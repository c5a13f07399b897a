"""What a GPU shows and a CPU cannot: steps against bare PyTorch, bfloat16, determinism, memory, synchronisations.

    bash benchmarks/gpu.sh                         the tests marked gpu, then all of this; within ten minutes
    python benchmarks/gpu.py --out results/gpu     this alone
    python benchmarks/gpu.py --device cpu --tiny --out FOLDER      seconds; its figures mean nothing

One table, written anew after every row: what is measured with zoo, what with the other, and their ratio. The bare loops
are what one would write by hand for the same arithmetic: no harness, no curves, fused Adam, the same autocast, the same
batches ahead on the device. They call the same functions for Ω, so that the ratio is the engine's alone. A row that
fails says why. Exit code 2 where the device is not there.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.bare import Shape, bare_loop, samples  # noqa: E402
from zoo import __version__, nets, train  # noqa: E402
from zoo.adapters.feature.cdan import Cdan  # noqa: E402
from zoo.adapters.feature.dan import Dan  # noqa: E402
from zoo.adapters.feature.dann import Dann  # noqa: E402
from zoo.adapters.feature.tca import Tca  # noqa: E402
from zoo.adapters.instance.kmm import Kmm  # noqa: E402
from zoo.learners import Learner  # noqa: E402
from zoo.task import Task  # noqa: E402

METHODS = {"source_only": None, "dan": Dan, "dann": Dann, "cdan": Cdan}
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "aten::_local_scalar_dense")
HEAD = "| what | unit | zoo | the other | zoo / the other | |\n|---|---|---:|---:|---:|---|\n"


@dataclass(frozen=True)
class Setting:
    """The device and how much is measured on it."""

    device: torch.device
    shapes: tuple[Shape, ...]
    rounds: int  # of a measurement, after one that is not counted; 0: that one alone
    waits: tuple[int, int]  # steps of the two runs whose waits are compared
    root: Path  # of digits that are not embedded
    digits: int  # steps of a training
    seeds: int
    kmm: int  # source samples, and as many of the target
    tca: int  # samples of both


@dataclass(frozen=True)
class Row:
    """A line of the table: a figure of zoo, and one to compare it with."""

    what: str
    unit: str = ""
    zoo: float | None = None
    other: float | None = None
    note: str = ""

    def __str__(self) -> str:
        ratio = f"{self.zoo / self.other:.3f}" if self.zoo is not None and self.other else ""
        shown = ("" if x is None else f"{x:.4g}" for x in (self.zoo, self.other))
        return f"| {self.what} | {self.unit} | {' | '.join(shown)} | {ratio} | {self.note} |"


FULL = (
    Shape("lenet", (1, 28, 28), 10, 64, 300),
    Shape("resnet18", (3, 224, 224), 31, 32, 40),
    Shape("resnet50", (3, 224, 224), 31, 32, 20),
)
TINY = tuple(replace(shape, batch=2, steps=1, size=(3, 32, 32) if shape.size[0] == 3 else shape.size) for shape in FULL)
# Steps ----------------------------------------------------------------------------------------------------------------


def zoo_loop(shape: Shape, method: str, device: torch.device, **options: Any) -> Callable[[], None]:
    """Some steps of zoo's training loop, on a network that is there already."""
    Xs, ys, Xt = samples(shape, device)
    budget = train.Budget(**{"steps": shape.steps, "batch_size": shape.batch, "deterministic": False, **options})
    net = nets.build(shape.net, shape.size, shape.classes).to(device)
    if METHODS[method] is None:
        return lambda: train.run(net, train.Streams(s=(Xs, ys)), budget)
    adapter = METHODS[method]()
    task = Task({"Xs": Xs, "ys": ys, "Xt": Xt}, needs=adapter.needs, learner=None, n_classes=shape.classes)
    extra = adapter.setup(net, task)
    modules = [] if extra is None else [extra.to(device)]
    return lambda: train.run(net, train.Streams(s=(Xs, ys), t=Xt), budget, method=adapter, modules=modules)


@contextlib.contextmanager
def fast() -> Iterator[None]:
    """The modes that zoo's loop takes by default, for all that is measured: TF32, and cuDNN's fastest kernels."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.benchmark = before[1]


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(device: torch.device, rounds: int, *functions: Callable[[], Any]) -> list[float]:
    """Median seconds of each after one call that is not counted; in turn, so that a busy machine slows all."""
    took: list[list[float]] = [[] for _ in functions]
    for turn in range(rounds + 1):
        for f, found in zip(functions, took, strict=True):
            wait(device)
            start = time.perf_counter()
            f()
            wait(device)
            if turn or not rounds:
                found.append(time.perf_counter() - start)
    return [statistics.median(t) for t in took]


def peak_mb(device: torch.device, make: Callable[[], Callable[[], None]]) -> float:
    """Most memory that the device held for the network, its data and its steps."""
    if device.type != "cuda":
        raise RuntimeError("no CUDA, and the CPU's allocator tells no peak")
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    make()()
    wait(device)
    return (torch.cuda.max_memory_allocated(device) - before) / 2**20


def step_row(at: Setting, shape: Shape, method: str) -> Row:
    loops = zoo_loop(shape, method, at.device), bare_loop(shape, method, at.device)
    with fast():
        ours, bare = seconds(at.device, at.rounds, *loops)
    per_step = (1e3 * s / shape.steps for s in (ours, bare))
    return Row(
        f"a step of {method}, {shape.net}", "ms", *per_step, f"bare loop; {shape.size[-1]} px, {shape.batch} each"
    )


def memory_row(at: Setting, shape: Shape, method: str) -> Row:
    with fast():
        ours, bare = (peak_mb(at.device, lambda f=f: f(shape, method, at.device)) for f in (zoo_loop, bare_loop))
    return Row(f"peak memory of {method}, {shape.net}", "MB", ours, bare, "bare")


def determinism_row(at: Setting, shape: Shape, method: str) -> Row:
    loops = (zoo_loop(shape, method, at.device, deterministic=d) for d in (True, False))
    with_, without = (1e3 * s / shape.steps for s in seconds(at.device, at.rounds, *loops))
    return Row(f"a deterministic step of {method}, {shape.net}", "ms", with_, without, "not deterministic")


def waits_row(at: Setting, shape: Shape, method: str) -> Row:
    """Waits of more steps that hold no look at the loss: runs of 40 and of 60 steps look 20 times each."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if at.device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    zoo_loop(replace(shape, steps=2), method, at.device)()
    counts = []
    for steps in at.waits:
        loop = zoo_loop(replace(shape, steps=steps), method, at.device)
        with torch.profiler.profile(activities=activities) as profile:
            loop()
            wait(at.device)
        events = profile.key_averages()
        counts.append(sum(e.count for e in events if e.key in WAITS or e.key.startswith("Memcpy DtoH")))
    found = (counts[1] - counts[0]) / (at.waits[1] - at.waits[0])
    return Row(f"waits in a step of {method}, {shape.net}", "a step", found, None, "none expected; looks left out")


# Accuracy and closed forms --------------------------------------------------------------------------------------------


def digits(root: Path) -> tuple[str, list[Tensor]]:
    """Source samples and labels, target samples and labels: MNIST and USPS where they are, else what is embedded."""
    from zoo.data.digits import Digits
    from zoo.data.digits8 import Digits8

    data, pair = (Digits(), ("mnist", "usps")) if (root / "digits").is_dir() else (Digits8(), ("typeface", "optdigits"))
    found = [data.load(domain, root) for domain in pair]
    name = f"{type(data).__name__.lower()} {pair[0]}:{pair[1]}"
    return name, [torch.from_numpy(a if a.dtype.kind == "f" else a.astype("int64")) for Xy in found for a in Xy]


def accuracy_row(at: Setting, method: str) -> Row:
    name, (Xs, ys, Xt, yt) = digits(at.root)
    Xs, ys, Xt = (x.to(at.device) for x in (Xs, ys, Xt))
    means = []
    for precision in ("bf16", "fp32"):
        accuracies = []
        for seed in range(at.seeds):
            budget = train.Budget(steps=at.digits, precision=precision)
            learner = Learner(net="cnn", use="net", budget=budget, seed=seed, device=at.device)
            if METHODS[method] is None:
                fitted: Any = learner.fit(Xs, ys, 10)
            else:
                fields = {"Xs": Xs, "ys": ys, "Xt": Xt}
                task = Task(fields, needs=Dann.needs, learner=learner, n_classes=10, device=at.device, seed=seed)
                fitted = METHODS[method]().fit(task)
            accuracies.append(100 * float((fitted.predict(Xt).argmax(1).cpu() == yt).float().mean()))
        means.append(statistics.mean(accuracies))
    return Row(f"accuracy in bf16, {method}, {name}", "%", *means, f"fp32; mean of {at.seeds} seeds")


def pair(n: int, m: int, device: torch.device) -> dict[str, Tensor]:
    """Two normal clouds in ten dimensions, in float64."""
    g = torch.Generator().manual_seed(0)
    X = torch.randn(n + m, 10, generator=g, dtype=torch.float64)
    return {"Xs": X[:n].to(device), "Xt": (0.5 + 0.8 * X[n:]).to(device), "ys": torch.zeros(n, device=device)}


def on_both(at: Setting, what: str, n: int, m: int, run: Callable[[Task], Any]) -> Row:
    found = []
    for device in (at.device, torch.device("cpu")):

        def once(device: torch.device = device, fields: dict[str, Tensor] | None = None) -> None:
            run(Task(fields or pair(n, m, device), needs={"Xs", "ys", "Xt"}, learner=None, n_classes=2, device=device))

        once(device, pair(n // 10, m // 10, device))  # handles and libraries are there afterwards
        found += seconds(device, 3 if device.type == "cuda" else 1, once)
    return Row(what, "s", *found, "the CPU" if at.device.type == "cuda" else "the same device again")


def kmm_row(at: Setting) -> Row:
    return on_both(at, f"kmm, n = {at.kmm:,}", at.kmm, at.kmm, lambda task: Kmm(gamma=0.1).weights(task))


def tca_row(at: Setting) -> Row:
    half, whole = at.tca // 2, at.tca
    run = lambda task: Tca(kernel="gaussian", landmarks=whole).fit_map(task)  # noqa: E731
    return on_both(at, f"tca, n = {whole:,}, float64", half, whole - half, run)


# Table ----------------------------------------------------------------------------------------------------------------


def rows(at: Setting) -> list[tuple[str, Callable[[], Row]]]:
    """What is measured, each under the name that it has where it fails."""
    small, *_, large = at.shapes
    found: list[tuple[str, Callable[[], Row]]] = []
    for shape in at.shapes:
        for method in METHODS:
            found.append((f"a step of {method}, {shape.net}", lambda s=shape, m=method: step_row(at, s, m)))
    for method in METHODS:
        found.append((f"waits in a step of {method}", lambda m=method: waits_row(at, small, m)))
    for method in ("source_only", "dann"):
        found.append((f"accuracy in bf16, {method}", lambda m=method: accuracy_row(at, m)))
    for shape in (small, large):
        found.append((f"a deterministic step of dann, {shape.net}", lambda s=shape: determinism_row(at, s, "dann")))
        found.append((f"peak memory of dann, {shape.net}", lambda s=shape: memory_row(at, s, "dann")))
    return [*found, (f"kmm, n = {at.kmm:,}", lambda: kmm_row(at)), (f"tca, n = {at.tca:,}", lambda: tca_row(at))]


def tried(name: str, measure: Callable[[], Row]) -> Row:
    """The row, or its failure."""
    try:
        return measure()
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0].replace("|", "/")
        return Row(name, note=f"failed: {type(error).__name__}: {reason}")


def write(out: Path, facts: dict[str, Any], found: list[Row]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    text = "".join(f"- {k}: {v}\n" for k, v in facts.items())
    table = HEAD + "".join(f"{row}\n" for row in found)
    (out / "README.md").write_text(f"# On a GPU\n\n{text}\n{table}", encoding="utf-8")
    figures = {"facts": facts, "rows": [asdict(row) for row in found]}
    (out / "gpu.json").write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measures zoo on a GPU.")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "gpu")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a few steps of everything: a test of this script")
    given = parser.parse_args(arguments)
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("gpu: no CUDA here", file=sys.stderr)
        return 2
    root = Path(os.environ.get("ZOO_DATA") or ROOT / "shared" / "data")
    at = Setting(device, FULL, 5, (40, 60), root, 1000, 3, 20_000, 5_000)
    if given.tiny:
        at = Setting(device, TINY, 0, (1, 2), Path(os.devnull), 2, 1, 200, 60)
    facts = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        "threads": torch.get_num_threads(),
        "versions": f"zoo {__version__}, torch {torch.__version__}, torchvision {torchvision.__version__}, "
        f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}, Python {platform.python_version()}",
        "command": shlex.join(["python", "benchmarks/gpu.py", *(sys.argv[1:] if arguments is None else arguments)]),
        "measured": f"median of {at.rounds} after one that is not counted, in turn in one process",
    }
    print(HEAD, end="")
    found: list[Row] = []
    for name, measure in rows(at):
        found.append(tried(name, measure))
        print(found[-1], flush=True)
        write(given.out, facts, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
