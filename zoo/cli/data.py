"""`zoo data`: what data sets there are, fetching them, and one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from zoo.cli.options import AsJson, DataRoot
from zoo.cli.shown import print_json, say, text
from zoo.errors import BadInput

app = typer.Typer(help="Data sets: what there is, where it comes from, and fetching it.", no_args_is_help=True)


@app.command("list")
def list_(
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
        print_json(rows)
        return
    for row in rows:
        print(f"{row['name']}: {row['summary']}")
        for key in ("there", "folder", "domains", "size", "licence", "cite", "origin", "page"):
            if row[key]:
                print(f"  {key.ljust(8)} {text(row[key])}")
    if data_root is None:
        print("\nwhat is there is not known without --data-root DIR or ZOO_DATA")


@app.command()
def inspect(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="A file or folder of each domain.")],
    as_json: AsJson = False,
) -> None:
    """What files or folders of yours hold, printed as a suite to start from: a YAML with the findings as comments."""
    from zoo.data import _inspect

    found = _inspect.inspect(files)
    if not found["problem"]:
        found["problem"] = _refusal(found["suite"])
    print_json(found) if as_json else print(_inspect.text(found))


def _refusal(suite: dict[str, Any]) -> str:
    """Why `zoo run` would refuse a suite; '' where it would not."""
    import json
    import tempfile

    from zoo.bench import plan
    from zoo.bench.suite import load

    def lies(at: Any) -> Any:
        return [lies(one) for one in at] if isinstance(at, list) else str(Path(at).absolute())

    data = suite["data"] | {"domains": {k: lies(v) for k, v in suite["data"].get("domains", {}).items()}}
    data |= {"file": lies(data["file"])} if "file" in data else {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mine.yaml"
        path.write_text(json.dumps(suite | {"data": data}))
        try:
            asked = load(str(path), {})
            asked.kind.load(asked, plan.parse_pairs(asked), None)
        except BadInput as error:
            return str(error).removeprefix(f"{path}:1: ")
    return ""


@app.command()
def fetch(
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
        say("interrupted; the same command goes on from there")
        raise typer.Exit(130) from None
