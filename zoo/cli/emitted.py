"""`zoo run --emit`: the command as it was given, as a script for a cluster."""

from __future__ import annotations

import importlib
import math
from typing import TYPE_CHECKING, Any

import typer

from zoo import discover

if TYPE_CHECKING:
    from zoo.bench.run import Benchmark
    from zoo.bench.view.estimate import Estimate

OWN = {"emit", "shard", "workers", "dry_run", "as_json", "fresh", "out"}  # what the script says itself, or must not
HOUR = 3600.0  # about which a part is to take


def emitters() -> list[str]:
    """The clusters that there are scripts for."""
    return discover.names("bench/emit")


def emitted(name: str, ctx: typer.Context, benchmark: Benchmark, plan: Estimate) -> str:
    """The script; as many parts as ``--shard`` says, or as take about an hour each."""
    from zoo.bench.emit import Batch

    folder = benchmark.store.folder
    parts = int(benchmark.shard.partition("/")[2]) if benchmark.shard else _parts(plan)
    whole = plan.seconds * (parts if benchmark.shard else 1)  # of a shard the plan is that of its own cells
    words = ("zoo", "run", *given(ctx), "--out", str(folder))
    cells = len(benchmark.plan.cells)
    gpu = benchmark.device.startswith("cuda")
    batch = Batch(words, benchmark.suite.name, folder, parts, cells, whole / parts, plan.workers, gpu)
    text: str = importlib.import_module(f"zoo.bench.emit.{name}").script(batch)
    return text


def given(ctx: typer.Context) -> list[str]:
    """The arguments and options of a command line as they were given, less those of the script's own."""
    words: list[str] = []
    for parameter in ctx.command.params:
        source = ctx.get_parameter_source(str(parameter.name))
        if parameter.name in OWN or source is None or source.name != "COMMANDLINE":
            continue
        value: Any = ctx.params[str(parameter.name)]
        values = value if isinstance(value, list | tuple) else [value]
        if parameter.param_type_name == "argument":
            words[:0] = map(str, values)
        else:
            flag = max(parameter.opts, key=len)
            words += [flag] if value is True else [w for v in values for w in (flag, str(v))]
    return words


def _parts(plan: Estimate) -> int:
    return max(1, min(plan.cells, math.ceil(plan.seconds / HOUR)))
