"""The command. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from zoo import __version__, plain
from zoo.errors import BadInput, printable

app = typer.Typer(
    help="A domain-adaptation algorithm zoo: many methods, one harness, honest tables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

data_app = typer.Typer(help="Data sets: what there is, where it comes from, and fetching it.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Plugins = Annotated[list[Path] | None, typer.Option("--plugin", help="A file with an adapter of yours; repeatable.")]
DataRoot = Annotated[Path | None, typer.Option(envvar="ZOO_DATA", help="Folder of the data sets.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout, and nothing else there.")]


def main() -> None:
    """Entry point: bad input is one line and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the terminal cannot show is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except BadInput as error:
        _refuse(str(error))
    except BrokenPipeError:  # whoever read has read enough, as `zoo list | head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.filename is None and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise  # no file that the user named: a fault of ours
        _refuse(": ".join(filter(None, [str(error.filename or ""), error.strerror or str(error)])))


def _refuse(why: str) -> NoReturn:
    print(f"zoo: {plain.shown(why)}", file=sys.stderr)
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
        from zoo import listing

        known = listing.methods(plugin or ())
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
        rows += [{"name": name, "summary": "torchvision's, for images"} for name in discover.torchvision_nets()]
        columns = ["name", "summary"]
    else:
        raise discover.unknown("list", what, ("methods", "datasets", "suites", "nets"))
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    _columns([[_text(row[c]) for c in columns] for row in rows], columns)


@app.command()
def info(method: str, plugin: Plugins = None) -> None:
    """All about one method: what it needs, its parameters, where it stands in our tables, its source."""
    from zoo import discover
    from zoo.report import standing

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
            "note        with a 1-NN base, where duplicates change nothing, it resamples systematically by the weights:"
        )
        print("            uniform ones keep every row once, others depend on the seed")
    for name, default in m.parameters.items():
        search = f"   search {m.space[name]}" if name in m.space else ""
        print(f"parameter   {name} = {default!r}{search}")
    print(f"file        {m.path}")
    if text := standing.paragraph(m.name):
        print(f"\n{text}")
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
    protocol: Annotated[str | None, typer.Option(help="holdout, transductive or folds.")] = None,
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
        labels=int(labels) if labels and re.fullmatch("-?[0-9]{1,18}", labels) else labels,
        examples=examples,
        net=net,
        weights=weights,
        trainable=trainable,
        precision=precision,
        steps=steps,
        batch_size=batch_size,
    )
    if dry_run:
        from zoo.bench.view.estimate import estimate

        try:
            plan = estimate(benchmark)
        finally:
            benchmark.close()
        print(json.dumps(plan.to_json(), indent=1) if as_json else plan)
        return
    _run(suite, benchmark, as_json)


def _run(suite: str, benchmark: Any, as_json: bool) -> None:
    from zoo.bench.view.progress import progress
    from zoo.vault import confine

    if any(row.info.plugin for row in benchmark.plan.rows) and benchmark.executor and not confine.abi():
        print(
            "zoo: this kernel has no Landlock, so plugins are not kept from the data and the run folder",
            file=sys.stderr,
        )
    try:
        with progress(benchmark) as view:
            results = benchmark.run(view)
    except KeyboardInterrupt:
        folder = benchmark.store.folder
        print(f"zoo: interrupted; what is done is in {folder}, the same command goes on from there", file=sys.stderr)
        raise typer.Exit(130) from None
    folder, failed = results.folder, benchmark.failed
    if as_json:
        table = json.loads(results.table("json"))
        ran = {"run": str(folder), "shard": benchmark.shard, "ran": len(benchmark.todo)}
        print(json.dumps({**ran, "failed": failed, "table": table}, indent=1))
    else:
        _show(folder, "", True)
        print(f"\nrun folder   {folder}")
        if benchmark.shard:
            print(f"shard        {benchmark.shard}: the table shows what all shards have done so far")
            print(f"             zoo status {folder}     what is left")
        print(f"next         zoo table {folder} --format latex     the table for a paper")
        print(f"             zoo run {suite} --plugin FILE.py     your own method in this table")
        print("             zoo list methods; zoo info METHOD")
    if failed:
        print(f"zoo: {len(failed)} cells did not finish; the same command tries them again", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def table(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Run folders.")],
    format: Annotated[str | None, typer.Option(help="md, latex, csv, html or json.")] = None,
    metric: Annotated[
        str,
        typer.Option(help="accuracy, balanced_accuracy, f1_macro, auroc, nll, ece; of facts also auprc, cll."),
    ] = "",
    published: Annotated[bool, typer.Option("--published", help="Published figures, and ours minus them.")] = False,
    no_cost: Annotated[bool, typer.Option("--no-cost", help="Leave time and memory out.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write to this file.")] = None,
) -> None:
    """The comparison table of one or more run folders."""
    from zoo import records
    from zoo.report import table as tables

    if format == "csv":  # which has no place for notes
        for folder in folders:
            _told(records.read(folder), folder)
    if format is None and out is None:
        for folder in folders:
            _show(folder, metric, not no_cost, published)
        return
    built = [_table(folder, metric, not no_cost, published) for folder in folders]
    text = "\n".join(tables.render(t, format or "md") for t in built)
    if format == "json" and len(built) > 1:
        text = json.dumps([json.loads(tables.render(t, "json")) for t in built], indent=1)
    _output(text, out)


@app.command()
def plot(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="A run folder; for labels several.")],
    kind: Annotated[str, typer.Option(help="bars, gains, time, curves or labels.")],
    out: Annotated[Path, typer.Option(help="Write to this file: .png, .pdf or .svg.")],
) -> None:
    """Draw a run: mean accuracies with intervals, gains over the reference, accuracy against time or labels."""
    from zoo import records
    from zoo.report import plot as plots

    _output(plots.render([_told(records.read(folder), folder) for folder in folders], kind, out.suffix), out)


@app.command()
def status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run folder.")], as_json: AsJson = False
) -> None:
    """How far a run is: cells planned, done and failed, time spent, and what running it again would do."""
    from zoo import records
    from zoo.report import status as states

    state = states.build(records.read(folder))
    if as_json:
        print(json.dumps({"run": str(folder), **state.to_json()}, indent=1))
        return
    print(f"{printable(folder)}: {printable(state.head)}\n")
    _columns([[str(v) for v in row.texts()] for row in state.rows], list(states.COLUMNS))
    print("\n".join(["", *map(printable, state.notes)]))


@app.command()
def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Run folders.")],
    metric: Annotated[str, typer.Option(help="As of zoo table; default: the suite's own.")] = "",
    reference: Annotated[str, typer.Option(help="The row to compare with; default: the suite's own.")] = "",
    out: Annotated[Path | None, typer.Option(help="Write to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Gains over the reference of each pair and over all, with 95 % intervals and paired tests."""
    from zoo import records
    from zoo.report import compare as comparisons

    runs = [comparisons.render(records.read(f), metric, "json" if as_json else "md", reference) for f in folders]
    _output(f"[{','.join(runs)}]" if as_json and len(runs) > 1 else "\n".join(runs).rstrip(), out)


@app.command()
def explain(
    cell: Annotated[str, typer.Argument(help="A cell's id or its beginning; '' or a method lists what there is.")] = "",
    run: Annotated[Path | None, typer.Option(metavar="DIR", help="Its run folder; default: those in runs/.")] = None,
    fold: Annotated[int, typer.Option(help="Which of the folds it was trained on, from 1.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Text, or the trees as a picture (.png, .pdf, .svg).")] = None,
    as_json: AsJson = False,
) -> None:
    """What a relational method learned: the mapping of predicates with the sign of their effect, and its trees."""
    from zoo.report import explain as explanations

    folders = [run] if run else sorted(p.parent for p in Path("runs").glob("*/run.json"))
    listed = [r for f in folders for r in explanations.explaining(f, cell)]
    if listed or not cell:
        keys = ("cell", "method", "source", "target", "seed")
        rows = [
            {k: r[k] for k in keys}
            for r in sorted(listed, key=lambda r: (r["method"], str(r["source"]), r["target"], r["seed"] or 0))
        ]
        if not rows:
            raise BadInput("no cell explains anything here: run a suite of facts, or give --run DIR")
        print(json.dumps(rows, indent=1)) if as_json else _columns(
            [[str(v or "") for v in r.values()] for r in rows], list(keys)
        )
        return
    record, found = explanations.find(cell, folders)
    if as_json:
        print(json.dumps({"cell": record["cell"], "explanations": found}, indent=1))
    elif out is not None and out.suffix in (".png", ".pdf", ".svg"):
        _output(explanations.picture(record, found, fold, out.suffix), out)
    else:
        _output(explanations.text(record, found, fold), out)


@app.command()
def cite(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run folder.")],
    plugin: Plugins = None,
    out: Annotated[Path | None, typer.Option(help="Write to this file.")] = None,
) -> None:
    """BibTeX of exactly what the table contains, and a methods paragraph with the run's figures."""
    from zoo import discover, records
    from zoo.report import cite as citations

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


@app.command()
def distance(
    suite: Annotated[str, typer.Argument(help="A suite's name, or a YAML file.")],
    pairs: Annotated[str | None, typer.Option(help="SOURCE:TARGET,...")] = None,
    data_root: Annotated[Path | None, typer.Option(help="Folder of the data sets; default: $ZOO_DATA.")] = None,
    net: Annotated[str | None, typer.Option(help="Of photographs: the network whose frozen features count.")] = None,
    weights: Annotated[str | None, typer.Option(help="Its weights: FILE, or default.")] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(help="A heat map (.png, .pdf, .svg) or the table (.md, .json, .csv, .tex); repeatable."),
    ] = None,
    metric: Annotated[
        str, typer.Option(help="Of the heat map: proxy_a, mmd2, coral or sliced_wasserstein.")
    ] = "proxy_a",
    seed: Annotated[int, typer.Option(help="Of samples, splits, permutations and directions.")] = 0,
    raw: Annotated[bool, typer.Option("--raw", help="Leave out the suite's normalisation.")] = False,
    as_json: AsJson = False,
) -> None:
    """How far apart the domains of each pair are: proxy A-distance, MMD², CORAL, sliced Wasserstein."""
    from zoo.report import distance as report

    report.check(metric, out or [])
    from rich.console import Console
    from rich.progress import track

    from zoo.measure.distance import measure

    console = Console(stderr=True)

    def shown(pairs: Any) -> Any:
        return track(pairs, "pairs", console=console, transient=True, disable=not console.is_terminal)

    found = measure(
        suite, pairs=_split(pairs), data_root=data_root, net=net, weights=weights, seed=seed, raw=raw, track=shown
    )
    for file in out or []:
        report.write(found, file, metric)
    print(report.render(found, "json" if as_json else "md"), end="")


@app.command()
def rank(
    suite: Annotated[str, typer.Argument(help="A suite's name, or a YAML file.")],
    pairs: Annotated[str | None, typer.Option(help="SOURCE:TARGET,...")] = None,
    data_root: Annotated[Path | None, typer.Option(help="Folder of the data sets; default: $ZOO_DATA.")] = None,
    run: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Run folder to correlate with; default: runs/NAME if there.")
    ] = None,
    net: Annotated[str | None, typer.Option(help="Of photographs: the network whose frozen features count.")] = None,
    weights: Annotated[str | None, typer.Option(help="Its weights: FILE, or default.")] = None,
    out: Annotated[list[Path] | None, typer.Option(help="The table (.md, .json, .csv); repeatable.")] = None,
    seed: Annotated[int, typer.Option(help="Of splits and of the A-distance.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Transferability scores of each source before any adaptation: LEEP, NCE, LogME, H-score, proxy A-distance."""
    from zoo import records
    from zoo.report import rank as report

    report.check(out or [])
    known = None if run is None else records.read(run)  # a folder without a run is refused before anything is computed
    from rich.console import Console
    from rich.progress import track

    from zoo.measure.rank import measure

    console = Console(stderr=True)

    def shown(pairs: Any) -> Any:
        return track(pairs, "pairs", console=console, transient=True, disable=not console.is_terminal)

    found = measure(suite, pairs=_split(pairs), data_root=data_root, net=net, weights=weights, seed=seed, track=shown)
    folder = run or Path("runs") / found["suite"]["name"]
    if run is None and (folder / "run.json").exists():
        known = records.read(folder)
    joined = report.join(found, known, folder)
    for file in out or []:
        report.write(joined, file)
    print(report.render(joined, "json" if as_json else "md"), end="")


@data_app.command("list")
def data_list(
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Every data set: its domains, size, licence, citation, origin, and whether it is there."""
    from zoo import discover
    from zoo.data import _fetch, _origins

    rows = []
    for d in discover.datasets().values():
        origin = _origins.ORIGINS.get(d.folder)
        rows.append(
            {
                "name": d.name,
                "summary": d.summary,
                "domains": list(d.domains),
                "there": _fetch.state(d, data_root),
                "folder": str(data_root / d.folder) if data_root and d.folder else None,
                "size": origin.size if origin else None,
                "licence": d.licence,
                "cite": [key.strip() for key in d.cite.split(",")],
                "origin": d.origin,
                "page": origin.page if origin else None,
                "urls": [url for file in origin.files for url in file.urls] if origin else [],
            }
        )
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        print(f"{row['name']}: {row['summary']}")
        for key in ("there", "folder", "domains", "size", "licence", "cite", "origin", "page"):
            if row[key]:
                print(f"  {key.ljust(8)} {_text(row[key])}")
    if data_root is None:
        print("\nwhat is there is not known without --data-root DIR or ZOO_DATA")


@data_app.command("inspect")
def data_inspect(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="A file or folder of each domain.")],
    as_json: AsJson = False,
) -> None:
    """What files or folders of yours hold, printed as a suite to start from: a YAML with the findings as comments."""
    from zoo.data import _own

    found = _own.inspect(files)
    print(json.dumps(found, indent=1) if as_json else _own.text(found))


@data_app.command("fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(help="A data set; see zoo data list.")],
    data_root: DataRoot = None,
) -> None:
    """Download a data set from its public origin into the data root, and check it; resumes where it was cut."""
    from zoo import discover
    from zoo.data import _fetch

    known = discover.datasets()
    if name not in known:
        raise discover.unknown("data set", name, known)
    if data_root is None and known[name].folder:
        raise BadInput(f"zoo data fetch {name}: say where to with --data-root DIR, or set ZOO_DATA")
    try:
        _fetch.fetch(known[name], data_root or Path(), print)
    except KeyboardInterrupt:
        print("zoo: interrupted; the same command goes on from there", file=sys.stderr)
        raise typer.Exit(130) from None


def _table(folder: Path, metric: str, cost: bool, published: bool) -> Any:
    from zoo import records
    from zoo.report import table as tables

    run = records.read(folder)
    built = tables.build(run, metric=metric, cost=cost)
    if published:
        from zoo.published import figures
        from zoo.report.published import beside

        built = beside(built, run, figures())
    return built


def _told(run: Any, folder: Path) -> Any:
    """A run as read; where the output has no place for it, stderr says what was refused."""
    for remark in run.remarks():
        print(f"zoo: {printable(folder)}: {remark}", file=sys.stderr)
    return run


def _show(folder: Path, metric: str, cost: bool, published: bool = False) -> None:
    """The table: with colour on a terminal, markdown when piped."""
    from zoo.report import table as tables

    built = _table(folder, metric, cost, published)
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(tables.rich(built))
    else:
        print(tables.render(built, "md"))


def _output(content: str | bytes, out: Path | None) -> None:
    """Print, or write to the file of ``--out``."""
    if out is None:
        print(content)
        return
    if isinstance(content, str):
        content = (content if content.endswith("\n") else content + "\n").encode()
    try:
        out.write_bytes(content)
    except (OSError, ValueError) as error:  # the latter of a null character
        raise BadInput(f"--out {out}: {getattr(error, 'strerror', None) or error}") from None


def _split(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _text(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _columns(rows: list[list[str]], head: list[str]) -> None:
    """Aligned columns; the last is cut to the terminal's width."""
    import shutil

    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]
    limit = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for row in [head, *rows]:
        line = "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        print(line if limit is None or len(line) <= limit else line[: limit - 1] + "…")


if __name__ == "__main__":
    main()
