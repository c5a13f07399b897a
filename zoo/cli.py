"""The command. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from zoo import __version__
from zoo.errors import BadInput

app = typer.Typer(
    help="A domain-adaptation algorithm zoo: many methods, one harness, honest tables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Plugins = Annotated[list[Path] | None, typer.Option("--plugin", help="A file with an adapter of yours; repeatable.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout, and nothing else there.")]


def main() -> None:
    """Entry point: bad input is one line and exit code 2."""
    try:
        app()
    except BadInput as error:
        print(f"zoo: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


def _version(value: bool) -> None:
    if value:
        print(f"zoo {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(help="methods, datasets, suites or nets.")] = "methods",
    family: Annotated[str, typer.Option(help="Only methods of this family.")] = "",
    plugin: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """What there is: methods, datasets, suites, nets."""
    from zoo import discover

    if what == "methods":
        known = discover.methods(plugin or ())
        families = sorted({m.family for m in known.values()})
        if family and family not in families:
            raise discover.unknown("family", family, families)
        rows = [m.to_json() for m in known.values() if family in ("", m.family)]
        columns = ["family", "name", "setting", "learner", "summary"]
    elif what == "datasets":
        rows = [
            {"name": d.name, "domains": list(d.domains), "images": d.images, "summary": d.summary, "cite": d.cite}
            for d in discover.datasets().values()
        ]
        columns = ["name", "domains", "summary"]
    elif what == "suites":
        rows = [{"name": name, "summary": s.summary} for name, s in discover.suites().items()]
        columns = ["name", "summary"]
    elif what == "nets":
        rows = [{"name": n.name, "summary": n.summary} for n in discover.nets().values()]
        columns = ["name", "summary"]
    else:
        raise discover.unknown("list", what, ("methods", "datasets", "suites", "nets"))
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    _columns([[_text(row[c]) for c in columns] for row in rows], columns)


@app.command()
def info(method: str, plugin: Plugins = None) -> None:
    """All about one method: what it needs, its parameters, its source."""
    from zoo import discover

    known = discover.methods(plugin or ())
    if method not in known:
        raise discover.unknown("method", method, known)
    m = known[method]
    print(f"{m.name} ({m.family}, {m.setting})\n\n{m.doc}\n")
    print(f"needs       {', '.join(sorted(m.needs))}")
    print(f"learner     {_LEARNERS[m.learner]}")
    print(f"contract    {m.kind}{'' if m.deterministic else ', draws random numbers'}")
    if m.kind == "reweighting":
        print(
            "note        with a 1-NN base it resamples by the weights (duplicates change nothing there), which depends"
        )
        print("            on the seed and usually loses points")
    for name, default in m.parameters.items():
        search = f"   search {m.space[name]}" if name in m.space else ""
        print(f"parameter   {name} = {default!r}{search}")
    print(f"file        {m.path}")
    if m.cite:
        print(f"\n{discover.references()[m.cite]}")


_LEARNERS = {
    "base": "the suite's base classifier",
    "net": "the suite's network",
    "both": "the base classifier and the network, a row each",
    "own": "a classifier of its own, compared under the base",
}


@app.command()
def run(
    suite: Annotated[str, typer.Argument(help="A suite's name, or a YAML file.")],
    methods: Annotated[str | None, typer.Option(help="a,b,...; source_only is added.")] = None,
    pairs: Annotated[str | None, typer.Option(help="SOURCE:TARGET,...")] = None,
    seeds: Annotated[int | None, typer.Option(help="How many seeds.")] = None,
    data_root: Annotated[Path | None, typer.Option(help="Folder of the data sets; default: $ZOO_DATA.")] = None,
    protocol: Annotated[str | None, typer.Option(help="holdout or transductive.")] = None,
    labels: Annotated[str | None, typer.Option(help="Labelled target samples per class, or all.")] = None,
    net: Annotated[str | None, typer.Option(help="The network; see zoo list nets.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="METHOD.PARAM=VALUE; repeatable.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    precision: Annotated[str | None, typer.Option(help="auto, fp32 or bf16.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps of every network.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Samples per domain and step.")] = None,
    plugin: Plugins = None,
    executor: Annotated[str, typer.Option(help="processes (with the label vault) or local.")] = "processes",
    workers: Annotated[int | None, typer.Option(help="Default: one per core, one on a GPU.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds that one cell may take.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default: runs/NAME.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what the run folder holds.")] = False,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Only part I of N of the cells, split by their ids; one --out for all."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and its estimated cost; run nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run methods over source→target pairs and print the comparison table."""
    from zoo.bench.run import Benchmark

    if executor == "local" and timeout:
        raise BadInput("--timeout needs --executor processes: one process cannot stop itself")
    benchmark = Benchmark(
        suite,
        methods=_split(methods),
        pairs=_split(pairs),
        seeds=seeds,
        data_root=data_root,
        plugins=plugin or (),
        settings=set_ or (),
        device=device,
        executor=executor,
        workers=workers,
        timeout=timeout,
        out=out,
        fresh=fresh,
        shard=shard,
        protocol=protocol,
        labels=int(labels) if labels and labels.lstrip("-").isdigit() else labels,
        net=net,
        precision=precision,
        steps=steps,
        batch_size=batch_size,
    )
    if dry_run:
        from zoo.bench.estimate import estimate

        try:
            plan = estimate(benchmark)
        finally:
            benchmark.close()
        print(json.dumps(plan.to_json(), indent=1) if as_json else plan)
        return
    _run(benchmark, as_json)


def _run(benchmark: Any, as_json: bool) -> None:
    from zoo.bench.progress import progress
    from zoo.report.records import FINAL

    failed: list[dict[str, Any]] = []

    try:
        with progress(benchmark) as report:

            def watch(record: dict[str, Any]) -> None:
                if record["status"] not in FINAL:
                    failed.append(record)
                report(record)

            results = benchmark.run(watch)
    except KeyboardInterrupt:
        folder = benchmark.store.folder
        print(f"zoo: interrupted; what is done is in {folder}, the same command goes on from there", file=sys.stderr)
        raise typer.Exit(130) from None
    folder = results.folder
    if as_json:
        table = json.loads(results.table("json"))
        ran = {"run": str(folder), "shard": benchmark.shard, "ran": len(benchmark.todo)}
        print(json.dumps({**ran, "failed": failed, "table": table}, indent=1))
    else:
        _show(folder, "accuracy", True)
        print(f"\nrun folder   {folder}")
        if benchmark.shard:
            print(f"shard        {benchmark.shard}: the table shows what all shards have done so far")
            print(f"             zoo status {folder}     what is left")
        print(f"next         zoo table {folder} --format latex     the table for a paper")
        print(f"             zoo run {benchmark.suite.name} --plugin FILE.py     your own method in this table")
        print("             zoo list methods; zoo info METHOD")
    if failed:
        print(f"zoo: {len(failed)} cells did not finish; the same command tries them again", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def table(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Run folders.")],
    format: Annotated[str | None, typer.Option(help="md, latex, csv, html or json.")] = None,
    metric: Annotated[str, typer.Option(help="accuracy, balanced_accuracy, f1_macro, auroc, nll or ece.")] = "accuracy",
    no_cost: Annotated[bool, typer.Option("--no-cost", help="Leave time and memory out.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write to this file.")] = None,
) -> None:
    """The comparison table of one or more run folders."""
    from zoo.report import records
    from zoo.report import table as tables

    if format is None and out is None:
        for folder in folders:
            _show(folder, metric, not no_cost)
        return
    built = [tables.build(records.read(folder), metric=metric, cost=not no_cost) for folder in folders]
    text = "\n".join(tables.render(t, format or "md") for t in built)
    if format == "json" and len(built) > 1:
        text = json.dumps([json.loads(tables.render(t, "json")) for t in built], indent=1)
    _output(text, out)


@app.command()
def status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run folder.")], as_json: AsJson = False
) -> None:
    """How far a run is: cells planned, done and failed, time spent, and what running it again would do."""
    from zoo.report import records
    from zoo.report import status as states

    state = states.build(records.read(folder))
    if as_json:
        print(json.dumps({"run": str(folder), **state.to_json()}, indent=1))
        return
    print(f"{folder}: {state.head}\n")
    _columns([[str(v) for v in row.texts()] for row in state.rows], list(states.COLUMNS))
    print("\n".join(["", *state.notes]))


@app.command()
def cite(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run folder.")],
    plugin: Plugins = None,
    out: Annotated[Path | None, typer.Option(help="Write to this file.")] = None,
) -> None:
    """BibTeX of exactly what the table contains, and a methods paragraph with the run's figures."""
    from zoo import discover
    from zoo.report import cite as citations
    from zoo.report import records

    known = citations.Known(discover.methods(plugin or ()), discover.datasets(), discover.references())
    _output(citations.bibtex(records.read(folder), known), out)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The method's name: lower-case letters, digits and _.")],
    kind: Annotated[str, typer.Option(help="reweighting, mapping, deep, parameter or relational.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the file.")] = Path(),
) -> None:
    """Write NAME.py: a small whole method to start from, which passes the contract tests as it is."""
    from zoo import templates

    path = templates.write(name, kind, out)
    print(f"written   {path}")
    print(f"next      zoo check {path}")
    print(f"          zoo run quickstart --plugin {path} --methods {name}     its row beside source_only")


@app.command()
def check(
    what: Annotated[str, typer.Argument(metavar="FILE.py|METHOD", help="An adapter of yours, or one of the zoo's.")],
    as_json: AsJson = False,
) -> None:
    """The contract tests on an adapter."""
    from zoo import check as contract

    outcomes = contract.run(what)
    if as_json:
        print(json.dumps([vars(o) for o in outcomes], indent=1))
    else:
        for o in outcomes:
            mark = "skip" if o.skipped else "ok  " if o.ok else "FAIL"
            print(f"{mark}  {o.name}{': ' + o.detail if o.detail else ''}")
    if not all(o.ok or o.skipped for o in outcomes):
        raise typer.Exit(1)


def _show(folder: Path, metric: str, cost: bool) -> None:
    """The table: with colour on a terminal, markdown when piped."""
    from zoo.report import records
    from zoo.report import table as tables

    built = tables.build(records.read(folder), metric=metric, cost=cost)
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(tables.rich(built))
    else:
        print(tables.render(built, "md"))


def _output(text: str, out: Path | None) -> None:
    """Print, or write to the file of ``--out``."""
    if out is None:
        print(text)
        return
    try:
        out.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"--out {out}: {error.strerror}") from None


def _split(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _text(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _columns(rows: list[list[str]], head: list[str]) -> None:
    """Aligned columns; the last is cut to the terminal's width."""
    import shutil

    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]
    limit = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for row in [head, *rows]:
        line = "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        print(line if limit is None or len(line) <= limit else line[: limit - 1] + "…")


if __name__ == "__main__":
    main()
