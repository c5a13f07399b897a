from __future__ import annotations

from zoo.data._images import Photographs


class Visda2017(Photographs):
    """VisDA-2017: 12 classes, rendered from 3D models (152,397 images) and photographed (55,388)."""

    domains = ("synthetic", "real")
    cite = "peng2017visda"
    origin = "the challenge's page, ai.bu.edu/visda-2017"
    licence = "none stated, for research"
    folder = "visda2017"
    folders = {"synthetic": "train", "real": "validation"}
