"""What a task may hold beside arrays says itself how it goes to a worker, and what a method is given of it."""

from __future__ import annotations

from typing import Any, ClassVar, Self


class Noun:
    """A graph, facts, or what another kind of data has in their place; its fields of a task are the kind's `nouns`.

    Attributes
    ----------
    sent : names of the attributes that go to a worker, as the constructor calls them; of JSON, arrays and nouns
    """

    sent: ClassVar[tuple[str, ...]] = ()

    @property
    def digest(self) -> str:
        """A digest of the content: what two cells see of it is the same where this is."""
        raise NotImplementedError

    def pack(self) -> dict[str, Any]:
        """What is sent of it; no label ever stands in a noun."""
        return {name: getattr(self, name) for name in self.sent}

    @classmethod
    def unpack(cls, parts: dict[str, Any]) -> Self:
        """From what was sent."""
        return cls(**parts)

    def to(self, device: Any) -> Self:
        """What a method is given: a copy of tensors on a device, or itself where nobody can write into it."""
        raise NotImplementedError
