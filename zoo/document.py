"""YAML as suites use it: its events are checked before anything is built from them, so no document can do harm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from zoo import plain
from zoo.errors import BadInput

BYTES = 1_000_000  # of a suite file; ours have a few hundred
NODES = 100_000  # values in it, those that aliases repeat included
DIGITS = 100  # of a number
NUMBER = re.compile(r"[-+]?(0x[\da-fA-F_]+|0o[0-7_]+|[\d_.]+([eE][-+]?\d+)?)")


def read(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """The keys of a suite file, and the lines they stand in.

    Raises
    ------
    BadInput
        It cannot be read, is no YAML, or says what no suite can: the line is named.
    """
    if why := plain.trouble(path, "file"):
        raise BadInput(f"suite file {path} {why}")
    if (size := path.stat().st_size) > BYTES:
        raise BadInput(f"{path} has {size} bytes; a suite has at most {BYTES}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: cannot be read as YAML: it is no UTF-8 text ({error.reason})") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read as YAML: {error.strerror}") from None
    keys, lines = parse(text, str(path))
    if not isinstance(keys, dict):
        raise BadInput(f"{path}:1: a suite is a mapping of keys to values, such as 'dataset: office_caltech'")
    return keys, lines


def scalar(text: str, where: str = "--set") -> Any:
    """A YAML 1.2 value, where 1e-3 is a number and no is text; what is no YAML is the text itself.

    Raises
    ------
    BadInput
        It is YAML, and nested too deep, or says what no value can be.

    >>> scalar("1e-3"), scalar("no"), scalar("true"), scalar("2020-01-01"), scalar("[1, a")
    (0.001, 'no', True, '2020-01-01', '[1, a')
    """
    try:
        _checked(text, where)
    except YAMLError:
        return text
    return parse(text, where)[0]


def parse(text: str, where: str) -> tuple[Any, dict[str, int]]:
    """The value that a text of YAML stands for, and the lines of its keys; `where` names the text in errors.

    Raises
    ------
    BadInput
        As for `read`.
    """
    try:
        lines = _checked(text, where)
        value = _yaml().load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = (error.problem or error.context or "malformed").split("\n")[0]
        place, word = (f"{where}:{mark.line + 1}", _word(text, mark.line)) if mark else (where, "")
        raise BadInput(f"{place}: malformed YAML{word}: {problem}") from None
    except YAMLError as error:
        raise BadInput(f"{where}: cannot be read as YAML: {str(error).splitlines()[0]}") from None
    return _with_words(value, where), lines


def plainly(value: Any, where: str, depth: int = 0) -> Any:
    """A value of Python as YAML would have given it: keys are words, paths text, numbers of numpy Python's.

    Raises
    ------
    BadInput
        What no YAML can say, or nested too deep.

    >>> plainly({"data": {"domains": {"a": Path("a.csv")}}, "pairs": ("a:b",)}, "a dict")
    {'data': {'domains': {'a': 'a.csv'}}, 'pairs': ['a:b']}
    """
    if depth > plain.DEEP:
        raise BadInput(f"{where}: nested deeper than {plain.DEEP} levels")
    if isinstance(value, Mapping):
        return _with_words({k: plainly(v, where, depth + 1) for k, v in value.items()}, where)
    if isinstance(value, list | tuple):
        return [plainly(v, where, depth + 1) for v in value]
    if isinstance(value, Path):
        return str(value)
    value = value.item() if hasattr(value, "item") and not getattr(value, "shape", ()) else value
    if value is not None and not isinstance(value, bool | int | float | str):
        raise BadInput(f"{where}: expected text, numbers, lists and mappings, got {type(value).__name__}")
    if isinstance(value, str) and (why := plain.unfit_value(value)):
        raise BadInput(f"{where}: {why}")
    return value


class _Dateless(SafeConstructor):
    """Builds values; a date is text, as in YAML's core schema."""


_Dateless.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)  # type: ignore[attr-defined]


def _yaml() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Dateless
    return yaml


def _checked(text: str, where: str) -> dict[str, int]:
    """The lines of the top level's keys, of a text whose events say nothing that would harm its reader."""
    if odd := re.search("[\0\ud800-\udfff]", text):
        line = text.count("\n", 0, odd.start()) + 1
        raise BadInput(f"{where}:{line}: holds a null or half a character; it has to be text")
    walk = _Walk(where)
    for event in _yaml().parse(text):
        walk.see(event)
    return walk.lines


@dataclass
class _Level:
    """A list or mapping that is being read."""

    mapping: bool
    anchor: str | None
    children: int = 0
    nodes: int = 1  # in it, aliases resolved

    @property
    def at_key(self) -> bool:
        return self.mapping and self.children % 2 == 0


@dataclass
class _Walk:
    """What has been seen of a document."""

    where: str
    levels: list[_Level] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)  # nodes below each anchor
    lines: dict[str, int] = field(default_factory=dict)

    def see(self, event: Any) -> None:
        """The next event; what may not stand there is refused."""
        if getattr(event, "tag", None) is not None:
            raise self.refusal(event, f"malformed YAML: tags mean nothing in a suite, got {event.tag}")
        match event:
            case MappingStartEvent() | SequenceStartEvent():
                self.enter(event)
            case MappingEndEvent() | SequenceEndEvent():
                level = self.levels.pop()
                self.add(event, level.nodes, level.anchor)
            case ScalarEvent():
                self.scalar(event)
            case AliasEvent():
                if any(level.anchor == event.anchor for level in self.levels):
                    raise self.refusal(event, f"malformed YAML: *{event.anchor} stands in what it is an alias of")
                self.add(event, self.sizes.get(event.anchor, 1))  # of an anchor that is not there the reader speaks

    def enter(self, event: Any) -> None:
        if self.levels and self.levels[-1].at_key:
            raise self.refusal(event, "malformed YAML: a key is a word, not a list or a mapping")
        if len(self.levels) > plain.DEEP:
            raise self.refusal(event, f"nested deeper than {plain.DEEP} levels")
        self.levels.append(_Level(isinstance(event, MappingStartEvent), event.anchor))

    def scalar(self, event: Any) -> None:
        if event.style is None and len(event.value) > DIGITS and NUMBER.fullmatch(event.value):
            raise self.refusal(event, f"a number has at most {DIGITS} digits")
        if why := plain.unfit_value(event.value):  # "\\ud800" in quotes
            raise self.refusal(event, why)
        if len(self.levels) == 1 and self.levels[0].at_key:
            self.lines[event.value] = event.start_mark.line + 1
        self.add(event, 1, event.anchor)

    def add(self, event: Any, nodes: int, anchor: str | None = None) -> None:
        """Count a finished node with what is below it."""
        if anchor:
            self.sizes[anchor] = nodes
        if self.levels:
            self.levels[-1].children += 1
            self.levels[-1].nodes += nodes
        if nodes > NODES:
            raise self.refusal(event, f"over {NODES} values, with those that aliases repeat")

    def refusal(self, event: Any, why: str) -> BadInput:
        return BadInput(f"{self.where}:{event.start_mark.line + 1}: {why}")


def _with_words(value: Any, where: str) -> Any:
    """The value with all its keys as text."""
    if isinstance(value, dict):
        found = {_as_word(k): _with_words(v, where) for k, v in value.items()}
        if len(found) < len(value):
            raise BadInput(f"{where}: malformed YAML: the same key stands twice, among {', '.join(map(repr, value))}")
        return found
    return [_with_words(v, where) for v in value] if isinstance(value, list) else value


def _as_word(key: Any) -> str:
    return {True: "true", False: "false", None: "null"}[key] if key is None or isinstance(key, bool) else str(key)


def _word(text: str, line: int) -> str:
    """The key at or above a line, for an error that only knows the line."""
    for row in reversed(text.splitlines()[: line + 1]):
        key = row.split(":")[0].strip(" -")
        if key and not key.startswith("#"):
            return f" at key '{key}'"
    return ""
