"""Folders of images: decoded and resized once into a memory-mapped cache that is keyed by the files' content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from zoo import plain
from zoo.data import _cache
from zoo.data.base import Dataset
from zoo.errors import BadInput

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".tif", ".tiff", ".webp", ".pgm", ".gif")
SIZE = 256  # pixels a side, of which networks see the centre 224
FORMAT = 1  # to be raised when the same files shall give other pixels


class Photographs(Dataset):
    """A data set of photographs in a folder per domain, with a folder per class in it.

    Attributes
    ----------
    folders : the domains' folders, where they are not called as the domains
    """

    kind = "images"
    photographs = True
    folders: ClassVar[Mapping[str, str]] = {}

    def load(self, domain: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        files, labels = self.files(self.under(root, self.folders.get(domain, domain)))
        return load(files), labels

    def files(self, folder: Path) -> tuple[list[Path], np.ndarray]:
        """The images of a domain and their classes."""
        return tree(folder)


def tree(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> tuple[list[Path], np.ndarray]:
    """Files of a folder with a folder per class, and their classes.

    Raises
    ------
    BadInput
        No such folder, no class folders, a class folder without a file of these kinds.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder: expected one folder per class in it")
    classes = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not classes:
        raise BadInput(f"{folder} holds no class folders: expected {folder}/CLASS/FILE{suffixes[0]}")
    files: list[Path] = []
    labels: list[str] = []
    for c in classes:
        found = sorted(p for p in c.rglob("*") if p.suffix.lower() in suffixes and not p.name.startswith("."))
        if not found:
            raise BadInput(f"class folder {c} is empty: expected {', '.join(suffixes[:3])} … files in it, or remove it")
        files += found
        labels += [c.name] * len(found)
    return files, np.array(labels)


def listed(root: Path, listing: Path) -> tuple[list[Path], np.ndarray]:
    """Files and classes of a list of ``PATH LABEL`` lines, paths relative to `root`, as VisDA and DomainNet have them.

    Raises
    ------
    BadInput
        A line that does not end in a number.
    """
    files, labels = [], []
    for number, line in enumerate(listing.read_text().splitlines(), 1):
        name, _, label = line.strip().rpartition(" ")
        if not (name and label.isdigit()):
            raise BadInput(f"{listing}:{number}: expected 'PATH LABEL', got {line!r}")
        files.append(root / name)
        labels.append(Path(name).parent.name)  # the class's name rather than its number
    return files, np.array(labels)


def load(files: Sequence[Path], size: int = SIZE) -> np.ndarray:
    """Images [n, 3, size, size] uint8, memory-mapped: short side to `size`, centre square, RGB.

    Transparency is laid on white, 16 bits become 8, EXIF rotation is applied.

    Raises
    ------
    BadInput
        A file that cannot be decoded, named.
    """
    workers = min(32, (os.cpu_count() or 1) + 4)
    with ThreadPoolExecutor(workers) as pool:  # reading, decoding and resizing leave the interpreter free
        digest = hashlib.sha256(repr((FORMAT, size)).encode())
        for one in pool.map(_digest, files):
            digest.update(one)

        def fill(whole: np.ndarray) -> None:
            for i, pixels in enumerate(pool.map(lambda path: decoded(path, size), files)):
                whole[i] = pixels

        return _cache.array("images", digest.hexdigest(), (len(files), 3, size, size), np.uint8, fill)


def decoded(path: Path, size: int) -> np.ndarray:
    """One image as uint8 [3, size, size]."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            image = _rgb(ImageOps.exif_transpose(opened))
            square = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    except Exception as error:  # a damaged file raises nearly anything: OSError, SyntaxError, struct.error
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise BadInput(f"{path} cannot be read as an image: {reason}") from None
    return np.asarray(square).transpose(2, 0, 1)


def _rgb(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":  # 16 bits, or floats in [0, 1]
        values = np.asarray(image, dtype=np.float64)
        top = 65535.0 if image.mode.startswith("I") else 1.0
        image = Image.fromarray((np.clip(values / top, 0, 1) * 255).round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _digest(path: Path) -> bytes:
    if why := plain.trouble(path, "file"):  # a pipe would be waited for
        raise BadInput(f"{path} {why}")
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
