"""Text files of rows and fields: compression, encoding and separator are found by looking at what is there."""

from __future__ import annotations

import bz2
import csv
import gzip
import lzma
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from zoo.data import _room
from zoo.errors import BadInput

PACKED: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ": lzma.decompress,
}
MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
SEPARATORS = ("\t", ";", "|", ",", " ")  # earlier ones first, where several would do: prose holds fewer of them
LOOKED = 50  # lines


def read(path: Path) -> str:
    """The text of a file, unpacked and decoded: UTF-8, or UTF-16 by its mark or its zeros.

    Raises
    ------
    BadInput
        It would become larger than this machine's memory.
    UnicodeDecodeError
        It is neither.
    """
    content = path.read_bytes()
    for head, unpack in PACKED.items():
        if content.startswith(head):
            if _room.DEFLATE * len(content) > _room.memory():
                raise BadInput(f"{path}: is packed, and may be larger than memory: unpack it first")
            content = unpack(content)
    encoding = next((e for mark, e in MARKS.items() if content.startswith(mark)), "utf-8")
    if encoding == "utf-8" and content[1:2] == b"\0" and content[3:4] == b"\0":
        encoding = "utf-16-le"
    elif encoding == "utf-8" and content[:1] == b"\0" and content[2:3] == b"\0":
        encoding = "utf-16-be"
    return content.decode(encoding)


def head(text: str) -> list[str]:
    """The first lines that hold anything."""
    return [line for line in text[:200_000].splitlines()[: 4 * LOOKED] if line.strip()][:LOOKED]


def fields(line: str, separator: str) -> list[str]:
    """The fields of a line, quotes undone."""
    if separator == " ":
        return next(csv.reader([re.sub(r"\s+", " ", line.strip())], delimiter=" ", skipinitialspace=True), [])
    return [f.strip() for f in next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])]


def separator(lines: list[str]) -> str:
    """What stands between the fields: what gives most lines as many fields as the first.

    >>> separator(["f0;f1;y", "1,5;2,5;a"]), separator(["f0, f1", "1, 2"]), separator(["a  b", " 1 2"])
    (';', ',', ' ')
    """
    best, most = ",", 0.0
    for one in SEPARATORS:
        counts = Counter(len(fields(line, one)) for line in lines)
        first = len(fields(lines[0], one)) if lines else 1
        if first < 2:
            continue
        share = (counts[first] + counts[first + 1] + counts[first - 1]) / len(lines)  # one at the end may be empty
        if round(share, 2) > most:
            best, most = one, round(share, 2)
    return best
