"""The script for a GPU, run on a CPU: a few steps of everything, whose figures mean nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
HERE = torch.cuda.is_available()


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("gpu")
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--device", "cpu", "--tiny", "--out", str(out)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    return run.stdout, (out / "README.md").read_text("utf-8"), json.loads((out / "gpu.json").read_text("utf-8"))


@pytest.mark.faults
def test_rows(done):
    rows = {r["what"]: r for r in done[2]["rows"]}
    for method in ("source_only", "dan", "dann", "cdan"):
        for net in ("lenet", "resnet18", "resnet50"):
            row = rows.pop(f"a step of {method}, {net}")
            assert row["zoo"] > 0 < row["other"]
        waits = rows.pop(f"waits in a step of {method}, lenet")
        assert waits["zoo"] == int(waits["zoo"])
    for method in ("source_only", "dann"):
        row = rows.pop(f"accuracy in bf16, {method}, digits8 typeface:optdigits")
        assert 0 <= row["zoo"] <= 100 >= row["other"] >= 0
    for net in ("lenet", "resnet50"):
        assert rows.pop(f"a deterministic step of dann, {net}")["zoo"] > 0
        # A row that fails gives its reason, and the script goes on.
        assert rows.pop(f"peak memory of dann, {net}")["note"].startswith("failed: RuntimeError: no CUDA")
    assert rows.pop("kmm, n = 200")["other"] > 0
    assert rows.pop("tca, n = 60, float64")["other"] > 0
    assert not rows


@pytest.mark.faults
def test_table(done):
    said, written, kept = done
    lines = [line for line in written.splitlines() if line.startswith("|")]
    assert lines == said.splitlines()
    assert len(lines) == 2 + len(kept["rows"])
    assert all(line.count("|") == 7 for line in lines)
    for word in (f"torch {torch.__version__}", "device: CPU", "command: python benchmarks/gpu.py --device cpu --tiny"):
        assert word in written


@pytest.mark.skipif(HERE, reason="CUDA is here")
@pytest.mark.parametrize("of", ["gpu.sh", pytest.param("gpu.py", marks=pytest.mark.faults)])
def test_one_line_without_cuda(tmp_path, of):
    command = ["bash", str(ROOT / "benchmarks" / "gpu.sh")]
    if of == "gpu.py":
        command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--out", str(tmp_path / "out")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 2
    assert run.stdout == ""
    assert len(run.stderr.splitlines()) == 1
    assert "no CUDA" in run.stderr
    assert not (tmp_path / "out").exists()
