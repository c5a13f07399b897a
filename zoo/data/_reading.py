"""Reading a file of anyone's: whatever goes wrong in it becomes one line, and its labels become names."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.data import _labels
from zoo.errors import BadInput

if TYPE_CHECKING:
    from zoo.data.formats.base import Format


def names(y: Any, form: Format) -> np.ndarray:
    """Class names of labels, '' where there is none; see `zoo.data._labels.names`."""
    return _labels.names(y, form.bad, form.line, form.missing)


@contextmanager
def reading(file: Format, domain: str = "") -> Iterator[None]:
    """Whatever goes wrong in a file becomes one line with its key and its path."""
    where = f"data: domains: {domain}: " if domain else ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries about damage that they read past, or then raise for
            yield
    except BadInput as error:
        raise BadInput(f"{where}{error}", error.fix) from None
    except MemoryError:
        raise BadInput(f"{where}{file.path} needs more memory than there is") from None
    except Exception as error:  # a damaged file raises nearly anything: zlib's errors, ValueError, OSError
        strerror = getattr(error, "strerror", None)
        reason = strerror or (str(error) or type(error).__name__).splitlines()[0]
        raise BadInput(f"{where}{file.path} cannot be read as {type(file).__name__.lower()}: {reason}") from None
