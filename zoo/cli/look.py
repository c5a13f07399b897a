"""What there is: `zoo list` and `zoo info`."""

from __future__ import annotations

from typing import Annotated

import typer

from zoo.cli.options import AsJson, Plugins
from zoo.cli.shown import columns, print_json, text

LEARNERS = {
    "base": "the suite's base classifier",
    "net": "the suite's network",
    "both": "the base classifier and the network, a row each",
    "own": "a classifier of its own, compared under the base",
}


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
        shown = ["family", "name", "setting", "learner", "summary"]
    elif what == "datasets":
        rows = [
            {"name": d.name, "domains": list(d.domains), "images": d.images, "summary": d.summary, "cite": d.cite}
            for d in discover.datasets().values()
        ]
        shown = ["name", "domains", "summary"]
    elif what == "suites":
        rows = [{"name": name, "summary": s.summary} for name, s in discover.suites().items()]
        shown = ["name", "summary"]
    elif what == "nets":
        rows = [{"name": n.name, "summary": n.summary} for n in discover.nets().values()]
        rows += [{"name": name, "summary": "torchvision's, for images"} for name in discover.torchvision_nets()]
        shown = ["name", "summary"]
    else:
        raise discover.unknown("list", what, ("methods", "datasets", "suites", "nets"))
    print_json(rows) if as_json else columns([[text(row[c]) for c in shown] for row in rows], shown)


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
    print(f"learner     {LEARNERS[m.learner]}")
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
    if words := standing.paragraph(m.name):
        print(f"\n{words}")
    if m.cite:
        print(f"\n{discover.references()[m.cite]}")
