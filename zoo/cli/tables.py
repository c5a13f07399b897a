"""What is made of a run's records: `zoo table`, `zoo plot`, `zoo compare` and `zoo report`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from zoo import discover
from zoo.cli.options import AsJson, DataRoot, Folders, Out, Pairs, Plugins, Weights, either, split
from zoo.cli.shown import output, run_table, say, show, things
from zoo.errors import BadInput, printable

Methods = Annotated[str | None, typer.Option(help="Only these rows, and the reference: NAME,...")]
Top = Annotated[int, typer.Option(min=0, help="Only so many rows of the best mean, and the baselines; 0: all.")]
Sort = Annotated[str, typer.Option(help="Order of rows within a setting and learner: family, name or accuracy.")]
FORMATS = either(discover.names("report/formats", discover.FORMATS))
PLOTS = either(discover.names("report/plots", discover.PLOTS))


def table(
    folders: Folders,
    format: Annotated[str | None, typer.Option(help=FORMATS)] = None,
    metric: Annotated[
        str,
        typer.Option(help="accuracy, balanced_accuracy, f1_macro, auroc, nll, ece; of facts also auprc, cll."),
    ] = "",
    published: Annotated[bool, typer.Option("--published", help="Published figures, and ours minus them.")] = False,
    no_cost: Annotated[bool, typer.Option("--no-cost", help="Leave time and memory out.")] = False,
    select: Annotated[
        str | None,
        typer.Option(metavar="RULE,...", help="Choose each row's trial by default, a validator or oracle; or all."),
    ] = None,
    methods: Methods = None,
    top: Top = 0,
    sort: Sort = "",
    cite: Annotated[
        bool, typer.Option("--cite", help="In latex: \\cite beside each method; zoo cite has them.")
    ] = False,
    plugin: Plugins = None,
    out: Out = None,
) -> None:
    """The comparison table of one or more run folders."""
    from zoo import records
    from zoo.bench import drawn

    chosen = split(select) or ()
    if select is not None and not chosen:
        raise BadInput("--select: names no rule")
    if published and chosen:
        raise BadInput("--published with --select: published rows know no rule of ours; ask for one of them")
    if cite and format != "latex":
        raise BadInput("--cite: references stand in a paper's table alone: --format latex --cite")
    choice = wanted(methods, top, sort)
    if format == "csv":  # which has no place for notes
        for folder in folders:
            told(records.read(folder), folder)
    if format is None and out is None:
        for folder in folders:
            show(folder, metric, not no_cost, published, chosen, choice)
        return
    paper = cite if format == "latex" else None
    built = [run_table(folder, metric, not no_cost, published, chosen, choice, paper) for folder in folders]
    parts = drawn.tables(built, format or "md", plugin or (), folders)
    several = format == "json" and len(built) > 1
    text = json.dumps([json.loads(part) for part in parts], indent=1) if several else "\n".join(parts)
    output(text, out)


def plot(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="A run folder; for labels several.")],
    kind: Annotated[str, typer.Option(help=PLOTS)],
    out: Annotated[Path, typer.Option(help="Write to this file: .png, .pdf or .svg.")],
    methods: Methods = None,
    top: Top = 0,
    sort: Sort = "",
    pairs: Pairs = None,
    data_root: DataRoot = None,
    weights: Weights = None,
    plugin: Plugins = None,
) -> None:
    """Draw a run: accuracies, gains, ranks, features, confusions, calibration, weights; see zoo list plots."""
    from zoo import records
    from zoo.bench import drawn, known

    choice = wanted(methods, top, sort, pairs)
    runs = [told(records.read(folder), folder) for folder in folders]
    beside = known.beside(folders[0], runs[0], data_root, weights or "")
    hidden = [*folders, *filter(None, [data_root])]
    made = drawn.picture(runs, kind, out.suffix, choice, beside, plugin or (), hidden)
    output(made.content, out)
    size = "{:.1f} × {:.1f} inches, ".format(*made.size) + f"{len(made.content) / 1000:.0f} kB"
    say(f"{printable(out)}: {size}: {printable(made.shows)}")


def compare(
    folders: Folders,
    metric: Annotated[str, typer.Option(help="As of zoo table; default: the suite's own.")] = "",
    reference: Annotated[str, typer.Option(help="The row to compare with; default: the suite's own.")] = "",
    validators: Annotated[
        bool, typer.Option("--validators", help="How well each validator chooses: rank correlation and regret.")
    ] = False,
    rope: Annotated[float, typer.Option(min=0, help="Points within which two methods count as equal.")] = 1.0,
    every_two: Annotated[bool, typer.Option("--every-two", help="Test each two methods, too.")] = False,
    format: Annotated[str, typer.Option(help=either(["md", "latex", "json"]))] = "md",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Gains over the reference, tests, ranks, and in words what can be concluded from them and what cannot."""
    from zoo import records
    from zoo.report import compared
    from zoo.report import validators as judged

    form = "json" if as_json else format
    if form not in compared.FORMATS:
        raise discover.unknown("format", form, compared.FORMATS)
    if validators and reference:
        raise BadInput("--reference with --validators: rules are compared with the default and the oracle")
    if validators:
        texts = [judged.render(records.read(f), metric, form) for f in folders]
        output(f"[{','.join(texts)}]" if form == "json" and len(texts) > 1 else "\n".join(texts).rstrip(), out)
        return
    runs = [compared.render(records.read(f), metric, form, reference, rope, every_two) for f in folders]
    output(f"[{','.join(runs)}]" if form == "json" and len(runs) > 1 else "\n".join(runs).rstrip(), out)


def report(
    folders: Folders,
    out: Annotated[
        Path | None, typer.Option(help="The page, report.html unless said; of several folders a folder, report.")
    ] = None,
    data_root: DataRoot = None,
    plugin: Plugins = None,
) -> None:
    """One self-contained HTML page of a run; of several a site with a leaderboard."""
    from zoo import records, wrappers
    from zoo.bench.confused import confusions
    from zoo.records import verdicts
    from zoo.report import files, page

    several = len(folders) > 1
    place = out or Path("report" if several else "report.html")
    files.page(place, several)
    runs = {name: (folder, told(records.read(folder), folder)) for name, folder in page.names(folders).items()}
    wrapped = wrappers.here(row["method"] for _, run in runs.values() for row in run.meta["rows"].values())
    known = things(plugin or (), wrapped)
    asked = {}
    for name, (folder, run) in runs.items():
        found, why = confusions(folder, run, data_root)
        asked[name] = page.Asked(run, verdicts.verified(folder, run.records), found, why)
    if not several:
        output(page.page(next(iter(asked.values())), known).encode(), place)
        say(f"{place}: a page that needs nothing else")
        return
    pages = page.site(asked, known)
    with files.writing(place):
        place.mkdir(exist_ok=True)
    for name, text in pages.items():
        output(text.encode(), place / name)
    say(f"{place / 'index.html'}: {len(pages) - 1} pages and their leaderboard")


def wanted(methods: str | None, top: int, sort: str, pairs: str | None = None) -> Any:
    """Which rows are asked for, and in which order."""
    from zoo.report.choice import Choice

    named, of = split(methods), split(pairs)
    for option, given in (("--methods", named), ("--pairs", of)):
        if given == []:
            raise BadInput(f"{option}: names none; leave it out for all")
    return Choice(tuple(named or ()), top, sort, tuple(of or ()))


def told(run: Any, folder: Path) -> Any:
    """A run as read; where the output has no place for it, stderr says what was refused."""
    for remark in run.remarks():
        say(f"{printable(folder)}: {remark}")
    return run
