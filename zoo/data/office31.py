from __future__ import annotations

from zoo.data._images import Photographs


class Office31(Photographs):
    """Office-31: 31 classes of office objects, photographed for amazon.com, by a SLR camera and by a webcam."""

    domains = ("amazon", "dslr", "webcam")
    cite = "saenko2010adapting"
    origin = "the authors' page, faculty.cc.gatech.edu/~judy/domainadapt, as domain_adaptation_images.tar.gz"
    licence = "none stated, for research"
    folder = "office31"
    folders = {"amazon": "amazon/images", "dslr": "dslr/images", "webcam": "webcam/images"}
