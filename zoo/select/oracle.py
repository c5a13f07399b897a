from __future__ import annotations

from zoo.select.base import Validator


class Oracle(Validator):
    """The metric on the target's test labels: no rule, but the most that any could gain. Never computed in a worker."""

    needs = set()
    outside = "oracle"
