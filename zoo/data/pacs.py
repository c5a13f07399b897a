from __future__ import annotations

from zoo.data._images import Photographs


class Pacs(Photographs):
    """PACS: 7 classes as photographs, art paintings, cartoons and sketches."""

    domains = ("photo", "art_painting", "cartoon", "sketch")
    cite = "li2017deeper"
    origin = "the authors' page, dali-dl.github.io/project_iccv2017.html"
    licence = "none stated, for research"
    folder = "pacs"
