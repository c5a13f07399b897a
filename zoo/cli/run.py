"""`zoo run`."""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from zoo.cli.emitted import emitted, emitters
from zoo.cli.options import AsJson, Data, Pairs, Plugins, Suite, split
from zoo.cli.shown import print_json, say, show
from zoo.errors import BadInput, unknown


def run(
    ctx: typer.Context,
    suite: Suite,
    methods: Annotated[str | None, typer.Option(help="a,b,...; source_only is added.")] = None,
    pairs: Pairs = None,
    sources: Annotated[
        str | None, typer.Option(help="Of A+B:C: pooled, or each: the best and the mean single source, too.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="How many seeds.")] = None,
    trials: Annotated[
        int | None, typer.Option(help="Trials a method: its defaults, and N - 1 points of its space.")
    ] = None,
    data_root: Data = None,
    protocol: Annotated[str | None, typer.Option(help="holdout, transductive, folds or stream.")] = None,
    order: Annotated[str | None, typer.Option(help="Of a stream: shuffled, by_class or by_domain.")] = None,
    stream_batch: Annotated[int | None, typer.Option(help="Target samples that arrive at a time.")] = None,
    label_sets: Annotated[
        str | None, typer.Option(help="closed, partial, open or universal: whose classes differ.")
    ] = None,
    labels: Annotated[str | None, typer.Option(help="Labelled target samples per class, or all.")] = None,
    examples: Annotated[
        int | None, typer.Option(help="Of facts: positives of the fold that is trained on; default: all.")
    ] = None,
    net: Annotated[str | None, typer.Option(help="The network; see zoo list nets.")] = None,
    weights: Annotated[str | None, typer.Option(help="FILE of a state dict, or default: torchvision's.")] = None,
    trainable: Annotated[str | None, typer.Option(help="head, all or top:N of a pretrained network.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="METHOD.PARAM=VALUE; repeatable.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    precision: Annotated[str | None, typer.Option(help="auto, fp32 or bf16.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps of every network.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Samples per domain and step.")] = None,
    plugin: Plugins = None,
    validators: Annotated[
        str | None, typer.Option(help="a,b,... or all: judge each fit without target labels; see zoo list validators.")
    ] = None,
    keep: Annotated[
        str | None, typer.Option(help="features: what validators see; model: fits, for zoo predict of new files.")
    ] = None,
    executor: Annotated[str, typer.Option(help="processes (with the label vault), ray or local.")] = "processes",
    ray_address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Of a Ray cluster's head; by default one is started here.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Default: one per core, one on a GPU.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds that one cell may take.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default: runs/NAME.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what the run folder holds.")] = False,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Only part I of N of the cells, split by their ids; one --out for all."),
    ] = None,
    emit: Annotated[
        str | None,
        typer.Option(help="slurm: print an array script over --shard, in N parts if that says I/N; run nothing."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and its estimated cost; run nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run methods over source→target pairs and print the comparison table."""
    from zoo.bench.run import Benchmark

    if emit is not None and emit not in emitters():
        raise unknown("--emit", emit, emitters())
    if executor == "local" and timeout:
        raise BadInput("--timeout needs --executor processes: one process cannot stop itself")
    benchmark = Benchmark(
        suite,
        methods=split(methods),
        pairs=split(pairs),
        sources=sources,
        seeds=seeds,
        trials=trials,
        data_root=data_root,
        plugins=plugin or (),
        validators=split(validators) or (),
        keep=split(keep) or (),
        settings=set_ or (),
        device=device,
        executor=executor,
        workers=workers,
        timeout=timeout,
        ray_address=ray_address,
        out=out,
        fresh=fresh,
        shard=shard,
        protocol=protocol,
        order=order,
        stream_batch=stream_batch,
        label_sets=label_sets,
        labels=int(labels) if labels and re.fullmatch("-?[0-9]{1,18}", labels) else labels,
        examples=examples,
        net=net,
        weights=weights,
        trainable=trainable,
        precision=precision,
        steps=steps,
        batch_size=batch_size,
    )
    if dry_run or emit:
        from zoo.bench.view.estimate import estimate

        try:
            plan = estimate(benchmark)
        finally:
            benchmark.close()
        if emit:
            print(emitted(emit, ctx, benchmark, plan), end="")
            return
        print_json(plan.to_json()) if as_json else print(plan)
        return
    _run(suite, benchmark, as_json)


def _run(suite: str, benchmark: Any, as_json: bool) -> None:
    from zoo.bench.view.progress import progress

    if benchmark.unconfined:
        say("this kernel has no Landlock, so plugins are not kept from the data and the run folder")
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # what a cluster sends, ends a run as Ctrl-C does
        benchmark.start()
        with progress(benchmark) as view:
            results = benchmark.run(view)
    except KeyboardInterrupt:
        folder = benchmark.store.folder
        say(f"interrupted; what is done is in {folder}, the same command goes on from there")
        raise typer.Exit(130) from None
    folder, failed = results.folder, benchmark.failed
    if as_json:
        table = json.loads(results.table("json"))
        ran = {"run": str(folder), "shard": benchmark.shard, "ran": len(benchmark.todo)}
        print_json({**ran, "failed": failed, "table": table})
    else:
        show(folder)
        print(f"\nrun folder   {folder}")
        if benchmark.shard:
            print(f"shard        {benchmark.shard}: the table shows what all shards have done so far")
            print(f"             zoo status {folder}     what is left")
        print(f"next         zoo table {folder} --format latex     the table for a paper")
        print(f"             zoo run {suite} --plugin FILE.py     your own method in this table")
        print("             zoo list methods; zoo info METHOD")
    for line, n in Counter(benchmark.unjudged).items():
        say(f"no value of {line}" + (f" ({n} cells)" if n > 1 else ""))
    if n := benchmark.unkept():
        say(f"{n} cells have no model kept (done before, plugins, graphs, facts): zoo predict fits them again")
    if failed:
        say(f"{len(failed)} cells did not finish; the same command tries them again")
        raise typer.Exit(1)
