from __future__ import annotations

from zoo.data._images import Photographs


class OfficeHome(Photographs):
    """Office-Home: 65 classes of everyday objects as art, clip art, product pictures and photographs."""

    domains = ("art", "clipart", "product", "real_world")
    cite = "venkateswara2017deep"
    origin = "the authors' page, hemanthdv.org/officeHomeDataset.html"
    licence = "for research only, fair use"
    folder = "office_home"
    folders = {"art": "Art", "clipart": "Clipart", "product": "Product", "real_world": "Real World"}
