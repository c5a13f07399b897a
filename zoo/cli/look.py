"""What there is: `zoo list` and `zoo info`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli.options import AsJson, Plugins
from zoo.cli.shown import columns, print_json, text

if TYPE_CHECKING:
    from zoo.discover import MethodInfo

KINDS = ("methods", "datasets", "suites", "nets", "validators", "plots", "formats")
PLUGGED = ("datasets", "nets", "plots", "formats")  # of which there are plugins, beside methods and validators
COLUMNS = ("family", "name", "setting", "learner", "needs", "domains", "summary")  # those that a kind has are shown
LEARNERS = {
    "base": "the suite's base classifier",
    "net": "the suite's network",
    "both": "the base classifier and the network, a row each",
    "own": "a classifier of its own, compared under the base",
}


def list_(
    what: Annotated[
        str, typer.Argument(help="methods, datasets, suites, nets, validators, plots or formats.")
    ] = "methods",
    family: Annotated[str, typer.Option(help="Only methods of this family.")] = "",
    plugin: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """What there is: methods, datasets, suites, nets, validators, plots, formats."""
    from zoo import discover, listing, plugged, select

    if what not in KINDS:
        raise discover.unknown("list", what, KINDS)
    found: Mapping[str, Any]
    if what == "methods":
        found = _of(family, listing.methods(plugged.parted(plugin or ())["method"]))
    elif what == "validators":
        found = select.validators(plugged.parted(plugin or ())["validator"])
    elif what in PLUGGED:
        found = plugged.found(what.removesuffix("s"), plugin or ())
    else:
        found = getattr(discover, what)()
    rows = [info.to_json() for info in found.values()]
    if what == "nets":
        rows += [{"name": name, "summary": "torchvision's, for images"} for name in discover.torchvision_nets()]
    shown = [column for column in COLUMNS if column in rows[0] and (column != "needs" or what == "validators")]
    print_json(rows) if as_json else columns([[text(row[c]) for c in shown] for row in rows], shown)


def _of(family: str, methods: dict[str, MethodInfo]) -> dict[str, MethodInfo]:
    from zoo import discover

    families = sorted({m.family for m in methods.values()})
    if family and family not in families:
        raise discover.unknown("family", family, families)
    return {name: m for name, m in methods.items() if family in ("", m.family)}


def info(method: str, plugin: Plugins = None) -> None:
    """All about one method: what it needs, its parameters, where it stands in our tables, its source."""
    from zoo import discover, wrappers
    from zoo.report import standing

    known = discover.methods(plugin or ()) | wrappers.named([method])
    if method not in known:
        raise discover.unknown("method", method, known)
    m = known[method]
    print(f"{m.name} ({m.family}, {m.setting})\n\n{m.doc}\n")
    print(f"needs       {', '.join(sorted(m.needs))}")
    print(f"learner     {LEARNERS[m.learner]}")
    says = [m.kind, *(["draws random numbers"] if not m.deterministic else []), *(["sparse rows"] if m.sparse else [])]
    print(f"contract    {', '.join(says)}")
    if m.kind == "reweighting":
        print(
            "note        with a 1-NN base, where duplicates change nothing, it resamples systematically by the weights:"
        )
        print("            uniform ones keep every row once, others depend on the seed")
    if m.source_model:
        print(f"its source  model is trained with {', '.join(f'{k} = {v!r}' for k, v in m.source_model.items())}")
    for name, default in m.parameters.items():
        search = f"   search {m.space[name]}" if name in m.space else ""
        print(f"parameter   {name} = {default!r}{search}")
    print(f"file        {m.path}")
    if words := standing.paragraph(m.name):
        print(f"\n{words}")
    if m.cite:
        print(f"\n{discover.references()[m.cite]}")
