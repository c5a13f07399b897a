"""Networks of plugins, ``file:CLASS:MODULE:PATH``; no process that is trusted is asked for one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo import discover
from zoo.errors import BadInput
from zoo.infos import FileInfo
from zoo.nets import Net


def build(name: str, shape: tuple[int, ...], n_classes: int, weights: str, trainable: str, bottleneck: int) -> Net:
    """A network of a plugin for samples of `shape`.

    Raises
    ------
    BadInput
        It makes something else.
    """
    _, cls, module, path = name.split(":", 3)
    info = FileInfo(Path(path).stem, "", Path(path), cls, module, plugin=True)
    net: Any = discover.load(info)(shape, n_classes)
    if not isinstance(net, Net) or not isinstance(getattr(net, "width", None), int) or not hasattr(net, "head"):
        raise BadInput(f"{path}:1: {cls} has to be a Net that sets width, a number, and head, a module")
    return net
