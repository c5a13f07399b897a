"""Plugins: tried before anything is written, known by all files they load, and kept with the run."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import BadInput, one_line
from zoo.vault import answers
from zoo.vault.wire import Malformed

if TYPE_CHECKING:
    from zoo.bench.executors import Executor
    from zoo.infos import FileInfo, MethodInfo
    from zoo.select import ValidatorInfo

    Info = MethodInfo | ValidatorInfo | FileInfo

IMPORT_LIMIT = 60.0  # seconds that a plugin may take to be imported
LARGEST = 1 << 31  # bytes of a file that is hashed
MISSING = "missing"  # the stamp of a file that is not there any more


def loaded(
    executor: Executor, info: Info, parameters: dict[str, Any] | None, hidden: Iterable[Path]
) -> tuple[Path, ...]:
    """Import and construct a plugin in a process of its own; the files beside its own that this loaded.

    Without parameters it is imported only.

    By its own word: what is `hidden` from it, or is no file that could be code, is not among them.

    Raises
    ------
    BadInput
        It cannot be imported or constructed, or takes too long.
    """
    message = {"op": "check", "info": info, "parameters": parameters}
    return beside(info, asked(executor, message, IMPORT_LIMIT, "import")[1], hidden)


def asked(
    executor: Executor, message: dict[str, Any], limit: float, doing: str, arrays: int = 0
) -> tuple[dict[str, Any], list[str]]:
    """What a stranger's process answers to one message about a plugin, and the files that it opened by its own word.

    Parameters
    ----------
    limit, doing : seconds that it may take, and for what
    arrays : bytes of arrays that the answer may hold

    Raises
    ------
    BadInput
        It fails, ends, takes too long, or says what is no answer.
    """
    channel, info = executor.open(stranger=True), message["info"]
    channel.expect(arrays)
    channel.send(message)
    answer: dict[str, Any] = {}
    found: list[str] = []
    try:
        if not executor.wait([channel], limit):
            wrong: tuple[str, str] | None = ("timeout", f"its {doing} takes more than {limit:g} s")
        else:
            answer = channel.receive()
            wrong, found = answers.failure(answer), answers.opened(answer)
    except EOFError:
        wrong = ("failed", channel.obituary())
    except Malformed as error:
        wrong = ("failed", one_line(str(error)))
    finally:
        channel.close()
    if wrong:
        place = "" if str(info.path) in wrong[1] else f" {info.path}"
        raise BadInput(f"plugin{place} cannot be used: {wrong[1]}")
    return answer, found


def beside(info: Info, opened: Iterable[str], hidden: Iterable[Path]) -> tuple[Path, ...]:
    """The files beside a plugin's own that are its code or its data: of what it opened those not `hidden` from it."""
    away = [Path(os.path.realpath(p)) for p in hidden]
    others = (p for p in map(Path, opened) if p != info.path.resolve() and _kept(p))
    return tuple(p for p in others if not any(Path(os.path.realpath(p)).is_relative_to(a) for a in away))


def judged(code: str, info: Info, files: Sequence[Path]) -> str:
    """The hash of the code of a validator or a data set with what it loads."""
    return hashlib.sha256(repr((code, sorted(stamps(info, files).items()))).encode()).hexdigest() if files else code


def stamps(info: Info, files: Iterable[Path | str]) -> dict[str, str]:
    """sha256 of files by name, as the plugin's folder knows them where they lie below it."""
    return {name(info, Path(f)): _stamp(Path(f)) for f in sorted(map(str, files)) if Path(f) != info.path.resolve()}


def name(info: Info, file: Path) -> str:
    """How a record names a file: by the plugin, and its place from the plugin's folder."""
    here = info.path.resolve().parent
    return f"{info.name}: {file.relative_to(here) if file.is_relative_to(here) else file}"


def now(infos: Iterable[Info], names: Iterable[str]) -> dict[str, str]:
    """The stamps, as they are now, of files that records name."""
    known = {info.name: info for info in infos}
    found = {}
    for said in names:
        method, _, place = said.partition(": ")
        if method in known:
            found[said] = _stamp(known[method].path.resolve().parent / place)
    return found


def sources(info: Info, files: Sequence[Path]) -> dict[str, bytes]:
    """A plugin's file and those it loads, by the names under which a run keeps them."""
    here = info.path.resolve().parent
    kept = {info.path.name: info.path.read_bytes()}
    for file in filter(_kept, files):
        place = file.relative_to(here) if file.is_relative_to(here) else Path("elsewhere") / file.name
        kept[str(place)] = file.read_bytes() if file.stat().st_size else b""
    return kept


def keep(folder: Path, code: str, info: Info, files: Sequence[Path]) -> str:
    """Put a plugin's sources into a run folder, by their hash; returns where, from the run folder."""
    place = Path("plugins") / code[:16]
    for name_, content in sources(info, files).items():
        path = folder / place / name_
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != content:
            temporary = path.with_name(f".{path.name}.{os.getpid()}")
            temporary.write_bytes(content)
            temporary.replace(path)
    return str(place / info.path.name)


def _kept(file: Path) -> bool:
    """Whether a file is there and is one that can be read."""
    try:
        return _readable(os.stat(file))
    except OSError:
        return False


def _readable(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST


def _stamp(file: Path) -> str:
    try:
        found = os.stat(file)
        return _digest(str(file), found.st_size, found.st_mtime_ns) if _readable(found) else f"{found.st_size} bytes"
    except OSError:
        return MISSING


@lru_cache(maxsize=4096)
def _digest(file: str, size: int, changed: int) -> str:
    if not size:  # as those of /proc say, some of which never end
        return hashlib.sha256().hexdigest()
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
