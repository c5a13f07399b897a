"""Values of methods' parameters, as the zoo takes them: of their defaults' types, and such as JSON can hold."""

from __future__ import annotations

import reprlib
from typing import Any

from zoo import plain
from zoo.errors import BadInput


def cast(name: str, value: Any, default: Any) -> Any:
    """`value` as the type of `default`, so that 1 and 1.0 name the same cell; always what JSON can hold."""
    if why := plain.unfit_value(value):
        expected = "a value" if default is None else f"{type(default).__name__} such as {default!r}"
        raise BadInput(f"{name}: expected {expected}, got {shortly(value)}: {why}")
    if default is None or (isinstance(value, bool) and isinstance(default, bool)):
        return value
    if isinstance(default, bool) or isinstance(value, bool):
        pass
    elif isinstance(default, float) and isinstance(value, int | float):
        return float(value)
    elif isinstance(default, int) and isinstance(value, int | float) and value == int(value):
        return int(value)
    elif isinstance(default, str | dict) and isinstance(value, type(default)):
        return value
    elif isinstance(default, list | tuple) and isinstance(value, list | tuple):
        return type(default)(value)
    raise BadInput(f"{name}: expected {type(default).__name__} such as {default!r}, got {shortly(value)}")


def shortly(value: Any) -> str:
    """A value for a message: the beginning of a long one, and not all of one that holds itself."""
    try:
        text = repr(value) if isinstance(value, str | float) else reprlib.repr(value)
    except ValueError:  # a whole number of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= 200 else f"{text[:199]}…"
