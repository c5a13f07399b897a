from __future__ import annotations

from pathlib import Path

from zoo import select
from zoo.classes import public
from zoo.plugged.base import Plugged
from zoo.source import File


class Validator(Plugged):
    """A validator, which `zoo.select` reads."""

    group = select.GROUP

    def known(self) -> dict[str, select.ValidatorInfo]:  # type: ignore[override]
        return select.validators()

    def holds(self, file: File) -> bool:
        return bool(public(file, select.BASE, "Validator"))

    def read(self, file: File) -> select.ValidatorInfo:  # type: ignore[override]
        return next(i for i in select.validators([Path(file.shown)]).values() if i.path == file.path)
