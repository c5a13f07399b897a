"""Digits rendered from the typefaces that matplotlib ships.

Outlines are read from the font files in font units and rasterised here, geometrically, so that neither FreeType nor
its hinting has a say in the pixels: the same font files give the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import BadInput

TYPEFACES = (
    *(f"DejaVuSans{s}" for s in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{s}" for s in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{s}" for s in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{s}" for s in ("", "Bol", "Italic", "BolIta")),
    *("cmr10", "cmb10", "cmss10", "cmti10", "cmtt10"),
)

# Ranges of the draws, chosen so that digits fill the 32×32 box about as optdigits does.
HEIGHT = (26.0, 32.0)  # pixels
WIDTH = (0.75, 1.1)  # times the typeface's own
SLANT = (-0.2, 0.4)  # columns per row; printed italics lean to the right, as handwriting does
STROKE = (-0.25, 1.5)  # pixels added on each side of a stroke
SHIFT = (-1.5, 1.5)  # pixels, across and down

FIELD, CELLS = 1.6, 128  # the distance fields: side in digit heights, and in cells


def render(per_class: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images float32 [10 * per_class, 1, 8, 8] with values k/16, and digits [10 * per_class].

    Drawn at 32×32, thresholded and averaged over 4×4 blocks, which is how optdigits was made. Every digit is drawn
    from every typeface equally often, give or take one.

    >>> X, y = render(21, seed=0)
    >>> X.shape, bool(((X * 16) % 1 == 0).all()), y[:3]
    ((210, 1, 8, 8), True, array([0, 0, 0]))
    """
    ink, digit = _drawn(per_class, seed, 32, 1.0)
    return ink.reshape(-1, 1, 8, 4, 8, 4).mean((3, 5), dtype=np.float32), digit


def framed(per_class: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The same digits at 28×28, within about 20 pixels in the middle, as MNIST has them; values k/16.

    >>> X, y = framed(2, seed=0)
    >>> X.shape, bool((X[:, :, :2] == 0).all())
    ((20, 1, 28, 28), True)
    """
    ink, digit = _drawn(per_class, seed, 112, 112 / 32 * 20 / 28)
    return ink.reshape(-1, 1, 28, 4, 28, 4).mean((3, 5), dtype=np.float32), digit


def _drawn(per_class: int, seed: int, side: int, zoom: float) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels [10 * per_class, side, side] have ink, in digits `zoom` times as large as in a box of 32, and these.

    Every digit is drawn from every typeface equally often, give or take one.
    """
    from scipy.ndimage import map_coordinates

    digit, face = np.divmod(np.arange(10 * per_class), per_class)
    rng, n = np.random.default_rng(seed), len(digit)

    def draw(low: float, high: float) -> np.ndarray:
        return rng.uniform(low, high, (n, 1, 1))

    height, width, slant, stroke = draw(*HEIGHT), draw(*WIDTH), draw(*SLANT), draw(*STROKE)
    across, down = draw(*SHIFT), draw(*SHIFT)
    # Each pixel's centre, taken back to the upright digit of height 1 about its middle, and so to cells of its field.
    centre = (np.arange(side) - (side - 1) / 2) / zoom
    v = (centre[:, None] - down) / height
    u = ((centre[None, :] - across) / height + slant * v) / width
    which = np.broadcast_to((face % len(TYPEFACES) * 10 + digit)[:, None, None], (n, side, side))
    cells = [which, *np.broadcast_arrays(_cell(v), _cell(u))]
    distance = map_coordinates(fields(), cells, order=1, mode="nearest")
    return distance < stroke / height, digit


def fields() -> np.ndarray:
    """Signed distance to the outline of each digit [typeface * 10 + digit, cells, cells], in heights; inside < 0."""
    from scipy.ndimage import distance_transform_edt as distance

    inside = [_inside(outline) for name in TYPEFACES for outline in outlines(name)]
    return np.array([np.where(g, 0.5 - distance(g), distance(~g) - 0.5) for g in inside]) * (FIELD / CELLS)


def outlines(typeface: str) -> list[list[np.ndarray]]:
    """The contours of the ten digits of a typeface, as closed polygons [n, 2], x to the right and y up.

    Raises
    ------
    BadInput
        matplotlib is there without its typefaces, as some distributions package it.
    """
    import logging

    import matplotlib
    from fontTools.ttLib import TTFont

    path = Path(matplotlib.get_data_path(), "fonts", "ttf", f"{typeface}.ttf")
    if not path.is_file():
        raise BadInput(f"{path} is not there: digits8 draws from the typefaces that matplotlib's own package ships")
    logging.getLogger("fontTools").setLevel(logging.ERROR)  # it warns of dates in the Computer Modern files
    with TTFont(path, lazy=True) as font:
        return [_contours(font["glyf"], font.getBestCmap()[ord(c)]) for c in "0123456789"]


def _contours(glyf: Any, name: str) -> list[np.ndarray]:
    points, ends, flags = glyf[name].getCoordinates(glyf)
    cuts = np.array(ends[:-1]) + 1
    on = np.array(flags) & 1 == 1
    return [_polygon(p, o) for p, o in zip(np.split(np.array(points, float), cuts), np.split(on, cuts), strict=True)]


def _polygon(p: np.ndarray, on: np.ndarray) -> np.ndarray:
    """Flatten a closed TrueType contour: quadratic splines, a knot half-way between two control points in a row."""
    before, after = (
        np.where(on[:, None], p, np.where(np.roll(on, k)[:, None], q, (p + q) / 2))
        for k, q in ((1, np.roll(p, 1, 0)), (-1, np.roll(p, -1, 0)))
    )
    t = np.arange(1, 9)[:, None] / 8
    curve = [(1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c for a, b, c in zip(before, p, after, strict=True)]
    return np.concatenate(curve)


def _inside(contours: list[np.ndarray]) -> np.ndarray:
    """Which cells [cells, cells] of a digit's field lie inside its outline, by winding number; rows run down."""
    points = np.concatenate(contours)
    low, high = points.min(0), points.max(0)
    scaled = [_cell((p - (low + high) / 2) / (high - low)[1] * (1, -1)) for p in contours]
    x0, y0 = np.concatenate(scaled).T
    x1, y1 = np.concatenate([np.roll(p, -1, 0) for p in scaled]).T
    row = np.arange(CELLS)[:, None]
    turn = ((y0 <= row) & (row < y1)).astype(int) - ((y1 <= row) & (row < y0))
    r, s = np.nonzero(turn)
    crossing = x0[s] + (r - y0[s]) / (y1[s] - y0[s]) * (x1[s] - x0[s])
    winding = np.zeros((CELLS, CELLS), int)
    np.add.at(winding, (r, np.ceil(crossing).astype(int)), turn[r, s])
    return winding.cumsum(1) != 0


def _cell(x: np.ndarray) -> np.ndarray:
    """Where a coordinate in digit heights about the middle lies in a field; cells have whole-numbered centres."""
    return (x / FIELD + 0.5) * CELLS - 0.5
