"""Which methods are classifiers of arrays that are all there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo import streams

if TYPE_CHECKING:
    from zoo.discover import MethodInfo

NOUNS = ("As", "At", "Fs", "Ft")


def refusal(info: MethodInfo) -> str:
    """Why `zoo.estimator` has no method of it; empty if it has one."""
    if "yt" in info.needs:
        return "reads the target's labels (oracle): zoo run grants them, an estimator does not"
    if "closed" not in info.label_sets:
        return "is for open label sets, and arrays have no unknown class: it runs in zoo run"
    if "classification" not in info.tasks:
        return "predicts values: it runs in zoo run with task: regression; estimators are classifiers"
    if beside := info.needs & set(NOUNS):
        return f"needs {', '.join(sorted(beside))}: graphs and facts are no arrays; it runs in zoo run"
    return "adapts to batches as they arrive: it runs in zoo run with protocol: stream" if streams.only(info) else ""
