"""Files of ``--out`` whose ending says what is written: refused before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import BadInput


def check(files: Iterable[Path], tables: Sequence[str], pictures: Sequence[str] = ()) -> None:
    """Refuse what could not be written afterwards; the endings are given without their dot."""
    picture = f"a heat map (.{', .'.join(pictures)}) or " if pictures else ""
    for file in files:
        if file.suffix[1:] not in (*pictures, *tables):
            raise BadInput(f"--out {file}: its ending says what is written: {picture}a table (.{', .'.join(tables)})")
        place(file)


def place(file: Path) -> None:
    """Refuse where no file could be written."""
    if not file.absolute().parent.is_dir():
        raise BadInput(f"--out {file}: there is no folder {file.parent}")
    if file.is_dir():
        raise BadInput(f"--out {file}: is a folder")


def page(out: Path, several: bool) -> None:
    """Refuse where no page, or no folder of several, could be written."""
    if not out.absolute().parent.is_dir():
        raise BadInput(f"--out {out}: there is no folder {out.parent}")
    if several and out.exists() and not out.is_dir():
        raise BadInput(f"--out {out}: is a file; the pages of several runs need a folder")
    if not several and out.is_dir():
        raise BadInput(f"--out {out}: is a folder; the page of one run is a file")


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """What the system says against writing a file, as bad input."""
    try:
        yield
    except OSError as error:
        raise BadInput(f"--out {file}: {error.strerror}") from None
