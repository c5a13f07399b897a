from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import PurePosixPath

from zoo import discover, plain
from zoo.classes import attributes, public, summary, where
from zoo.infos import DatasetInfo, FileInfo
from zoo.plugged.base import Plugged, named, only
from zoo.source import File, refuse

BASE = "zoo.data.base"
HOLDS = ("samples", "images")  # what comes through a pipe as arrays alone
NOT_ASKED = ("together", "places", "like", "place", "levels")  # of the zoo's own, which run beside the labels


class Dataset(Plugged):
    """A data set: its class says the domains, ``load(domain, root)`` gives samples and class names."""

    group = "zoo.datasets"

    def known(self) -> Mapping[str, FileInfo]:
        return discover.datasets()

    def holds(self, file: File) -> bool:
        return bool(public(file, BASE, "Dataset"))

    def read(self, file: File) -> DatasetInfo:
        lineage = only(file, BASE, "Dataset", "data set")
        node, said = lineage[0][1], attributes(lineage, BASE)
        at = where(lineage, "domains")
        names = said["domains"]
        if not names or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            refuse(*at, "domains has to name the domains, each once")
        for name in names:
            if not name or set(name) & set(":+, ") or name == "weights":
                refuse(*at, f"{name!r} cannot be a domain's name: no ':', '+', ',' or blank, and not 'weights'")
            if why := plain.unfit_label(name):
                refuse(*at, f"a domain's name {name!r} {why}")
        if said["kind"] not in HOLDS:
            why = f"a plugin's data set is of kind {' or '.join(HOLDS)}; data: of a suite reads others"
            refuse(*where(lineage, "kind"), f"kind: {said['kind']}: {why}")
        folder = PurePosixPath(said["folder"])
        if folder.is_absolute() or ".." in folder.parts or "\\" in said["folder"]:
            refuse(*where(lineage, "folder"), f"folder: {said['folder']!r} is not below the data root")
        for part in node.body:
            if isinstance(part, ast.FunctionDef) and part.name in NOT_ASKED:
                refuse(file, part.lineno, f"{part.name}: a plugin's data set is asked for load, notes and parts alone")
        return DatasetInfo(**named(file, "data set"), summary=summary(node), cls=node.name, **said)
