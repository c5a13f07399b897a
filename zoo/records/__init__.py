"""Records: what a run leaves behind, one JSON line a cell, and the folder that it lies in."""

from zoo.records.meta import read_meta
from zoo.records.reading import Run, main_metric, read, resolve
from zoo.records.schema import FINAL, Record

__all__ = ["FINAL", "Record", "Run", "main_metric", "read", "read_meta", "resolve"]
