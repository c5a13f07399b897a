"""Listing the methods again costs no parsing: what a file held is kept in the user's cache folder.

An entry holds the stamps of all files that were read or looked for on the way (the method's own, its bases'), so it
falls with any of them. Only what is shown comes from here: a run reads the sources themselves, since whoever can write
into the cache folder could else change what other methods are granted.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from zoo import __version__, discover, source
from zoo.access import FIELDS
from zoo.discover import FAMILIES, LEARNERS, MethodInfo

TEXTS = ("name", "family", "kind", "learner", "cite", "forward", "predicts", "summary", "doc", "cls", "module", "title")
FLAGS = ("deterministic", "transductive_only", "stream", "sparse", "plugin")
SETS = {"needs": FIELDS, "tasks": discover.names("tasks"), "label_sets": discover.LABEL_SETS}
LITERALS = ("space", "source_model", "parameters")
LARGEST = 16 << 20  # bytes of a cache that is read
SETTLED_NS = 2_000_000_000  # a file changed later than this before it was read may change again within one tick


def methods(plugins: Sequence[Path] = ()) -> dict[str, MethodInfo]:
    """As `discover.methods`, from the cache where nothing has changed."""
    cache = Cache(folder())
    found = discover.methods(plugins, cache.recall)
    cache.save()
    return found


def folder() -> Path | None:
    """The user's cache folder for zoo; None where the user has no home."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(given):  # a relative one is to be ignored, says the XDG specification
        return Path(given) / "zoo"
    try:
        return Path.home() / ".cache" / "zoo"
    except RuntimeError:
        return None


class Cache:
    """Methods by file. What cannot be read, or is not what was written, is missing; what cannot be written is not."""

    def __init__(self, folder: Path | None) -> None:
        place = hashlib.sha256(str(source.ROOT).encode()).hexdigest()[:16]
        self.path = folder / f"methods-{place}.json" if folder else None
        self.entries: dict[str, dict[str, Any]] = {}  # as they are to be kept
        self.changed = False
        self.stamps: dict[str, list[int] | None] = {}

    def recall(self, path: Path, module: str, make: Callable[[Path, str], MethodInfo]) -> MethodInfo:
        """What a file holds; `make` reads it where that is not known."""
        entry = _well_formed(self.stored.get(str(path)))
        if entry and all(self._stamp(p) == s for p, s in entry["seen"].items()):
            info = _decoded(path, entry)
            if info and info.module == module:
                self.entries[str(path)] = entry
                return info
        with source.watching() as seen:
            read = make(path, module)
        latest = max((max(s[1], s[2]) for s in seen.values() if s), default=0)
        if (made := _encoded(read)) and latest < time.time_ns() - SETTLED_NS:
            self.entries[str(path)] = made | {"seen": {str(p): s and list(s) for p, s in seen.items()}}
            self.changed = True
        return read

    def save(self) -> None:
        """Write what has changed; without a word where that is not possible."""
        if not self.path or not (self.changed or self.stored.keys() != self.entries.keys()):
            return
        partial = self.path.with_suffix(f".{os.getpid()}")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial.write_bytes(_signed(json.dumps({"key": _key(), "entries": self.entries}).encode()))
            partial.replace(self.path)
        except OSError:  # no room, no right
            return

    @cached_property
    def stored(self) -> dict[str, Any]:
        """What an earlier listing kept, by this code and this Python."""
        try:
            if not self.path or self.path.stat().st_size > LARGEST:
                return {}
            content = self.path.read_bytes()
            found = json.loads(content.partition(b"\n")[2]) if content == _signed(content.partition(b"\n")[2]) else None
        except (OSError, ValueError, RecursionError):
            return {}
        entries = found.get("entries") if isinstance(found, dict) and found.get("key") == _key() else None
        return entries if isinstance(entries, dict) else {}

    def _stamp(self, path: str) -> list[int] | None:
        if path not in self.stamps:
            found = source.stamp(Path(path))
            self.stamps[path] = found and list(found)
        return self.stamps[path]


def _signed(content: bytes) -> bytes:
    """After its hash, which a file that was cut or spoilt does not have."""
    return hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def _key() -> list[Any]:
    """What an entry depends on beside the files: the versions, and the code that reads them."""
    readers = ("access", "classes", "discover", "infos", "listing", "source")
    here = Path(__file__).parent
    return [__version__, sys.version, [list(source.stamp(here / f"{name}.py") or ()) for name in readers]]


def _encoded(info: MethodInfo) -> dict[str, Any] | None:
    """JSON of a method; None where its literals cannot be read back."""
    made = {k: getattr(info, k) for k in (*TEXTS, *FLAGS)}
    made |= {k: sorted(getattr(info, k)) for k in SETS}
    made |= {k: repr(getattr(info, k)) for k in LITERALS}
    return made if _decoded(info.path, made) == info else None


def _well_formed(entry: Any) -> dict[str, Any] | None:
    good = isinstance(entry, dict) and isinstance(entry.get("seen"), dict) and entry["seen"]
    return entry if good else None


def _decoded(path: Path, entry: dict[str, Any]) -> MethodInfo | None:
    """The method that an entry tells of; None where it is none of ours."""
    try:
        texts = {k: _a(str, entry[k]) for k in TEXTS}
        flags = {k: _a(bool, entry[k]) for k in FLAGS}
        sets: Any = {k: frozenset(_among(known, _a(list, entry[k]))) for k, known in SETS.items()}
        values = {k: _a(dict, ast.literal_eval(_a(str, entry[k]))) for k in LITERALS}
        _among(FAMILIES, [texts["family"]])
        _among(LEARNERS, [texts["learner"]])
        _among([path.stem], [texts["name"]])
        "".join(texts.values()).encode()  # a lone surrogate could not be printed
    except (KeyError, TypeError, ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return MethodInfo(**texts, **flags, **values, **sets, path=path)


def _a(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"expected {kind.__name__}")
    return value


def _among(known: Iterable[str], values: list[Any]) -> list[Any]:
    if not set(values) <= set(known):
        raise ValueError(f"{values} are not among {known}")
    return values
