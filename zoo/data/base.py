"""What a data set has to say. Class attributes are literals: listing data sets imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from zoo import plain
from zoo.errors import BadInput


class Dataset:
    """A named set of domains that share their classes.

    Attributes
    ----------
    domains : names of the domains, in the order in which tables show them
    kind : what domains are made of, a file of ``zoo/kinds/``; `load` gives what that asks for: vectors [n, d],
        images [n, channels, height, width] in [0, 1], a `zoo.graph.Graph` in their place, or a `zoo.facts.Database`
    photographs : whether images are colour ones from files, uint8 [n, 3, side, side], as torchvision's models want them
    cite : key in ``zoo/refs.bib``, or several with commas between
    origin : where it comes from; licence: under which terms
    folder : its folder under the data root, or "" where it is embedded
    """

    domains: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[str] = "samples"
    photographs: ClassVar[bool] = False
    cite: ClassVar[str] = ""
    origin: ClassVar[str] = ""
    licence: ClassVar[str] = ""
    folder: ClassVar[str] = ""

    def load(self, domain: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        """Samples as float32 [n, ...] (photographs: uint8) and class names [n], as they stand in the file.

        Raises
        ------
        BadInput
            The files are not there or cannot be read.
        """
        raise NotImplementedError

    def notes(self, domain: str) -> tuple[str, ...]:
        """What was left out or assumed of a domain at loading, a line each."""
        return ()

    def place(self, domain: str) -> str:
        """Where a domain lies, for messages; '' where its name says it."""
        return ""

    def levels(self) -> tuple[int, ...]:
        """Columns that stand for a word of a category each, once a domain is loaded."""
        return ()

    def parts(self, domain: str) -> np.ndarray | None:
        """Which of several things that a domain is made of each of its samples is, in their order; see `zoo.streams`.

        In the order in which `load` gives the samples; None: it is one thing.
        """
        return None

    def places(self, domain: str, n: int) -> tuple[list[str], np.ndarray]:
        """The file of each of a domain's `n` samples, none where that goes without saying, and its number there."""
        return [], np.arange(n)

    def like(self, other: Dataset) -> None:
        """Read samples that are laid out as those that `other` has loaded.

        Raises
        ------
        BadInput
            Its files hold nothing that stands for itself.
        """
        raise BadInput("new samples can be read of tables, arrays, texts, series and folders of files alone")

    def together(self, raw: dict[str, Any], normalise: Sequence[str], classes: bool = True) -> dict[str, Any]:
        """Loaded domains as they are to be used beside each other; '' is the class of samples without a label.

        Parameters
        ----------
        raw : samples and class names of each, as `load` gives them
        normalise : as the suite does
        classes : whether labels are classes, and no values

        Raises
        ------
        BadInput
            They do not fit together.
        """
        return raw

    def file(self, root: Path | None, name: str) -> Path:
        """A file of this data set under the data root, or one clear line about how to get it."""
        path = self._path(root, name)
        if why := plain.trouble(path, "file"):
            raise BadInput(f"{path} {why}; {self._how()}")
        return path

    def under(self, root: Path | None, name: str) -> Path:
        """A folder of this data set under the data root, or one clear line about how to get it."""
        path = self._path(root, name)
        if why := plain.trouble(path, "folder"):
            raise BadInput(f"{path} {why}; {self._how()}")
        return path

    def _path(self, root: Path | None, name: str) -> Path:
        if root is None:
            raise BadInput(
                f"the data of {self.folder} are not in the package: give --data-root DIR (or set ZOO_DATA) with "
                f"{self.folder}/{name} in it; {self._how()}"
            )
        return root / self.folder / name

    def _how(self) -> str:
        return f"`zoo data fetch {self.folder}` gets it, or says how; origin: {self.origin}"
