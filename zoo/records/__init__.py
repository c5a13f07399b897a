"""Records: what a run leaves behind, one JSON line a cell, and the folder that it lies in."""

from zoo.records.reading import FINAL, Record, Run, main_metric, read, read_meta, resolve

__all__ = ["FINAL", "Record", "Run", "main_metric", "read", "read_meta", "resolve"]
