"""Fetching a data set: downloads that resume, several origins in turn, checks before anything gets its final name."""

from __future__ import annotations

import bz2
import contextlib
import glob
import gzip
import hashlib
import json
import os
import re
import shutil
import socket
import ssl
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from zoo import __version__
from zoo.data._origins import ORIGINS, Check, File, digest
from zoo.discover import DatasetInfo
from zoo.errors import BadInput

PAUSES = (1.0, 2.0, 4.0, 8.0)  # seconds before each further try; one that got further than all before starts anew
TIMEOUT = 30.0  # seconds without a byte
BLOCK = 1 << 18
Report = Callable[[int, int | None], None]  # bytes so far, bytes in all if the server says so


class _Refused(Exception):
    """Why one origin did not give the file."""


class _Cut(Exception):
    """Why one try ended early; another may help."""


def state(info: DatasetInfo, root: Path | None) -> str:
    """Whether the files of a data set are there, by their names alone: "yes", "no", "in part" or "in the package"."""
    if not info.folder:
        return "in the package"
    if root is None or info.folder not in ORIGINS:
        return "unknown"
    checks = [check for file in ORIGINS[info.folder].files for check in file.checks]
    there = [any(check.found(root / info.folder)) for check in checks]
    return "yes" if all(there) else "in part" if any(there) else "no"


def fetch(info: DatasetInfo, root: Path, say: Callable[[str], None]) -> None:
    """Bring every file of a data set under the data root, and check it; what is there already is only checked.

    Raises
    ------
    BadInput
        No origin gave a file, one has to be got by hand, or what is there is not what was published. What was there
        before is as it was.
    """
    if not info.folder:
        return say(f"{info.name} comes with the package: nothing to fetch")
    if info.folder not in ORIGINS:
        raise BadInput(f"zoo cannot fetch {info.name}; origin: {info.origin}")
    folder = root / info.folder
    try:
        missing = [file for file in ORIGINS[info.folder].files if not _there(file, folder, say)]
        # Nobody shall wait for gigabytes to read that the rest has to be got by hand.
        if by_hand := [file.name for file in missing if not file.urls and not (folder / file.name).is_file()]:
            raise _Refused("its origins want a login or a click", ", ".join(by_hand))
        for file in missing:
            _bring(file, folder, say)
    except _Refused as error:
        reason, name = error.args
        page = ORIGINS[info.folder].page
        raise BadInput(
            f"{info.name}: {reason}; by hand: get {name} from {page}, put it into {folder}, and run this again"
        ) from None
    except OSError as error:
        raise BadInput(f"{error.filename or folder}: {error.strerror or error}") from None


def _there(file: File, folder: Path, say: Callable[[str], None]) -> bool:
    """Whether all that a file shall give is there and right."""
    there = [check for check in file.checks if any(check.found(folder))]
    if wrong := _problem(there, folder):
        raise BadInput(f"{folder / wrong}: it stays as it is; move it away to fetch what was published")
    if len(there) < len(file.checks):
        return False
    say(f"{', '.join(check.pattern for check in there)}: there{_how(there)}")
    return True


def _bring(file: File, folder: Path, say: Callable[[str], None]) -> None:
    """One file, from where it was put by hand, or from the first origin that gives it whole and right."""
    path = folder / file.name
    reasons = []
    for url in () if path.is_file() else file.urls:
        try:
            _get(url, file, path, say)
            if file.take:
                _unpack(file, folder, say)
                path.unlink()
            return
        except _Refused as error:
            path.unlink(missing_ok=True)
            reasons.append(f"{urlsplit(url).netloc}: {error}")
    if reasons:
        raise _Refused("; ".join(reasons), file.name)
    try:
        say(f"{file.name}: there{_match(file, path)}")
        _unpack(file, folder, say)
    except _Refused as error:
        raise _Refused(f"{path}: {error}", file.name) from None


def _get(url: str, file: File, path: Path, say: Callable[[str], None]) -> None:
    """The file in its place, whole and with the published digest, where there is one."""
    part = path.with_name(f"{path.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    with _meter(path.name) as report:
        _download(url, part, report)
    try:
        say(f"{file.name}: fetched{_match(file, part)}")
    except _Refused:
        part.unlink()
        raise
    os.replace(part, path)


def _match(file: File, path: Path) -> str:
    """How sure we are of the file; one with another digest than the published is refused."""
    known = digest(file.digest)
    if not known:
        return f"; its sha256 is not known beforehand, compare it: {_digest(path, 'sha256')}"
    algorithm, _, value = known.partition(":")
    got = _digest(path, algorithm)
    if got != value:
        raise _Refused(f"{algorithm} {got} is not the published {value}")
    return f", {algorithm} as published"


# Downloading ----------------------------------------------------------------------------------------------------------


def _download(url: str, part: Path, report: Report) -> None:
    """The whole of `url` in `part`; what `part` holds of it already is not asked for again."""
    tries, furthest = 0, _size(part)
    while True:
        try:
            return _try(url, part, report)
        except _Cut as error:
            if _size(part) > furthest:
                tries, furthest = 0, _size(part)
            if tries == len(PAUSES):
                raise _Refused(f"{error}, after {tries + 1} tries") from None
            time.sleep(PAUSES[tries])
            tries += 1


def _try(url: str, part: Path, report: Report) -> None:
    note = part.with_name(f"{part.name}.json")  # which version of what the part is of
    version = _noted(note, url) if part.is_file() else None
    start = _size(part) if version else 0
    headers = {"User-Agent": f"zoo/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": str(version)}
    try:
        with urlopen(Request(url, headers=headers), timeout=TIMEOUT) as answer:
            span = _span(answer, start, version)
            if span is None:
                _forget(part)
                raise _Cut("what the server went on with is not what it began with")
            start, total = span
            with part.open("ab" if start else "wb") as out:
                if start == 0:  # after the old part is gone, which this is not about
                    note.write_text(json.dumps({"url": url, "version": _version(answer)}), encoding="utf-8")
                report(start, total)
                while block := answer.read(BLOCK):
                    out.write(block)
                    start += len(block)
                    report(start, total)
    except HTTPError as error:
        if error.code == 416:  # the part is longer than the file
            _forget(part)
        if error.code in (408, 416, 425, 429) or error.code >= 500:
            raise _Cut(f"HTTP {error.code} {error.reason}") from None
        raise _Refused(f"HTTP {error.code} {error.reason}") from None
    except URLError as error:
        if isinstance(error.reason, socket.gaierror | ssl.SSLCertVerificationError):
            raise _Refused(str(error.reason)) from None
        raise _Cut(str(error.reason)) from None
    except (HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
        raise _Cut(str(error) or type(error).__name__) from None
    if total is not None and start != total:
        raise _Cut(f"the connection was cut at {start} of {total} bytes")
    note.unlink(missing_ok=True)


def _span(answer: Any, start: int, version: str | None) -> tuple[int, int | None] | None:
    """The first byte that the answer holds, and how many the file has; None where it does not continue our part."""
    if answer.headers.get_content_type() == "text/html":
        raise _Refused("a web page instead of the file")
    length = answer.headers["Content-Length"]
    if answer.status != 206:
        return 0, int(length) if length else None
    span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers["Content-Range"] or "")
    if span and int(span[1]) == start and _version(answer) in (version, None):
        return start, int(span[2])
    return None


def _version(answer: Any) -> str | None:
    """What If-Range may name; a weak tag it may not."""
    tag = answer.headers["ETag"]
    return tag if tag and not tag.startswith("W/") else answer.headers["Last-Modified"]


def _noted(note: Path, url: str) -> str | None:
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        said = json.loads(note.read_text(encoding="utf-8"))
        return said["version"] if said["url"] == url else None
    return None


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    part.with_name(f"{part.name}.json").unlink(missing_ok=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


# Unpacking and checking -----------------------------------------------------------------------------------------------


def _unpack(file: File, folder: Path, say: Callable[[str], None]) -> None:
    """What is wanted of an archive, checked beside its place and then moved there."""
    archive = folder / file.name
    print(f"unpacking {archive}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".unpacking-") as temporary:
        everything, wanted = Path(temporary, "everything"), Path(temporary, "wanted")
        place = wanted / Path(file.name).parent
        for new in (everything, place):
            new.mkdir(parents=True)
        try:
            _extract(archive, everything)
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            if getattr(error, "errno", None):  # the disk's; of damaged gz and bz2 it is None
                raise
            raise _Refused(f"it cannot be unpacked: {error}") from None
        for name in file.take:
            found = min(everything.rglob(glob.escape(name)), key=lambda path: len(path.parts), default=None)
            if found is None:
                raise _Refused(f"there is no {name} in it")
            found.rename(place / name)
        if wrong := _problem(file.checks, wanted):
            raise _Refused(f"it holds {wrong}")
        for name in file.take:
            if not (archive.parent / name).exists():  # else it was found right
                os.rename(place / name, archive.parent / name)
    if wrong := _problem(file.checks, folder):
        raise BadInput(f"{folder / wrong}: something else is in its place; move it away")
    say(f"{', '.join(file.take)}: unpacked{_how(file.checks)}")


def _extract(archive: Path, into: Path) -> None:
    if tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tar:
            tar.extractall(into, filter="data")  # refuses what would land elsewhere
    elif zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as z:
            for name in z.namelist():
                path = PurePosixPath(name.replace("\\", "/"))
                if path.is_absolute() or ".." in path.parts:
                    raise zipfile.BadZipFile(f"{name!r} would land outside the folder")
            z.extractall(into)
    elif archive.suffix in (".gz", ".bz2"):
        opened: Any = gzip.open if archive.suffix == ".gz" else bz2.open
        with opened(archive) as packed, (into / archive.stem).open("wb") as out:
            shutil.copyfileobj(packed, out)
    else:
        raise _Refused("it is no zip, tar, gz or bz2 file")


def _problem(checks: Sequence[Check], folder: Path) -> str:
    """What is wrong with the files that `checks` are about, "" if nothing."""
    for check in checks:
        found = list(check.found(folder))
        if not found or check.count not in (0, len(found)):
            return f"{check.pattern}: {len(found)} files, not {check.count or 'one or more'}"
        if check.size and (size := found[0].stat().st_size) != check.size:
            return f"{check.pattern}: {size} bytes, not {check.size}"
        if check.digest:
            algorithm, _, value = digest(check.digest).partition(":")
            if (got := _digest(found[0], algorithm)) != value:
                return f"{check.pattern}: {algorithm} {got}, not {value}"
    return ""


def _how(checks: Sequence[Check]) -> str:
    """By what the files were found to be right."""
    if all(check.digest for check in checks):
        return ", checksum right"
    if all(check.size for check in checks):
        return ", size right"
    if all(check.count > 1 for check in checks):
        return ", number of files right"
    return "; nothing is known to check it by"


# Progress -------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _meter(name: str) -> Iterator[Report]:
    """Live on a terminal, a line every tenth (or 100 MB, where the length is unknown) when piped; always on stderr."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain(name)
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _plain(name: str) -> Report:
    seen = -1

    def report(done: int, total: int | None) -> None:
        nonlocal seen
        step = 10 * done // total if total else done // 10**8
        if step > seen:
            seen = step
            of = f" of {total / 1e6:.1f}" if total else ""
            print(f"{name}: {done / 1e6:.1f}{of} MB", file=sys.stderr, flush=True)

    return report
