"""What only a GPU can show: ``pytest -m gpu``. Without one, test_pretended_cuda.py goes as far as one can."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from zoo import checkpoint, discover, nets, train
from zoo.adapters.feature.dann import Dann

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")]
CUDA = torch.device("cuda")
DATA = os.environ.get("ZOO_DATA") or str(Path(__file__).parents[2] / "shared" / "data")
METHODS = discover.methods()
ON_SAMPLES = [n for n, m in METHODS.items() if not m.needs & {"As", "At", "Fs", "Ft"}]
ON_GRAPHS = [n for n, m in METHODS.items() if m.needs & {"As", "At"} and not m.needs & {"Fs", "Ft"}]
NETWORKS = [n for n in ON_SAMPLES if METHODS[n].kind in ("deep", "parameter")]


def accuracy(found):
    scores, y = found
    return float((scores.cpu().argmax(1) == y).double().mean())


@pytest.mark.parametrize("name", ON_SAMPLES)
def test_every_method_about_as_on_the_cpu(fit_toy, name):
    """Other random numbers and other rounding: about the same accuracy, of three classes."""
    steps = 60 if name in NETWORKS else 6
    there, here = (accuracy(fit_toy(name, device, steps=steps)) for device in (CUDA, "cpu"))
    assert there == pytest.approx(here, abs=0.15)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_in_bfloat16(fit_toy, name):
    mixed, whole = (accuracy(fit_toy(name, CUDA, steps=60, precision=p)) for p in ("auto", "fp32"))
    assert mixed == pytest.approx(whole, abs=0.15)


@pytest.mark.parametrize("name", ["dann", "cdan", "dan", "wdgrl", "atdoc"])
def test_deterministic_runs_are_the_same(fit_toy, name):
    one, other = (fit_toy(name, CUDA, steps=30, precision="auto")[0] for _ in range(2))
    assert torch.equal(one, other)


@pytest.mark.skipif(not Path(DATA, "airports").is_dir(), reason="no airports: set ZOO_DATA")
def test_graphs(zoo, tmp_path):
    options = ("--data-root", DATA, "--pairs", "brazil:europe", "--seeds", 1, "--steps", 20, "--out", tmp_path / "run")
    run = zoo("run", "airports", "--device", "cuda", "--methods", ",".join(ON_GRAPHS), *options)
    assert run.code == 0, run.err
    assert {r["method"] for r in records(tmp_path / "run")} >= set(ON_GRAPHS)
    assert {r["status"] for r in records(tmp_path / "run")} == {"ok"}


def records(folder: Path):
    return [json.loads(line) for f in sorted(folder.glob("records/*.jsonl")) for line in f.read_text().splitlines()]


def devices_of(pid):
    """The GPU's files that a process has open."""
    links = [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()]
    return [link for link in links if link.startswith("/dev/nvidia")]


def test_quickstart(zoo, tmp_path):
    """Fork, then CUDA: the server that forks the workers never touches it, and a plugin's process has it as well."""
    from zoo.bench.executors import processes

    methods = "source_only,kmm,coral,dann,mcc,shot,fine_tune,centre"
    plugin = Path(__file__).parent / "plugins" / "centre.py"
    options = ("--plugin", plugin, "--methods", methods, "--seeds", 1, "--steps", 20, "--out", tmp_path / "run")
    run = zoo("run", "quickstart", "--device", "cuda", *options)
    assert run.code == 0, run.err
    found = records(tmp_path / "run")
    assert {r["method"] for r in found} == set(methods.split(","))
    assert {r["status"] for r in found} == {"ok"}
    assert {r["device"] for r in found} == {"cuda"}
    assert all(r["peak_cuda_mb"] > 0 for r in found)
    server = processes.Main()  # the one that has just served, see the fixture
    torch.zeros(1, device=CUDA)
    assert devices_of(os.getpid()), "a process that uses CUDA has the GPU's files open"
    assert devices_of(server.process.pid) == []


def test_steps_do_not_wait(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    from benchmarks import gpu

    at = gpu.Setting(CUDA, gpu.FULL, 1, (40, 60), Path(os.devnull), 2, 1, 200, 60)
    for method in gpu.METHODS:
        assert gpu.waits_row(at, gpu.FULL[0], method).zoo == 0, method


def data(device):
    g = torch.Generator().manual_seed(0)
    X = torch.randint(256, (64, 1, 16, 16), generator=g, dtype=torch.uint8)
    return X.to(device), (torch.arange(64) % 3).to(CUDA)


def test_photographs_that_stay_on_the_host():
    """The same batches, whether a thread gathers them on the host or the GPU does."""
    (X, y), budget = data("cpu"), train.Budget(steps=9, batch_size=8)
    w = torch.rand(64, device=CUDA)
    feeds = [train.Feed(train.Streams(s=(x, y), ws=w, t=x), budget, 0, CUDA) for x in (X, X.to(CUDA))]
    assert [feed.thread is None for feed in feeds] == [False, True]
    for i in range(budget.steps):
        a, b = (vars(feed(i)) for feed in feeds)
        for k in ("xs", "ys", "ws", "xt", "ids", "idt"):
            assert a[k].device.type == "cuda"
            assert torch.equal(a[k], b[k])


class Kept(train.Watch):
    def __init__(self, state=None):
        self.given, self.state, self.steps = state, state, 0

    def begin(self):
        return self.given

    def tell(self, step, steps, terms):
        self.steps = step

    def due(self):
        return self.given is None and self.steps == 6

    def keep(self, state):
        self.state = state


def test_a_state_is_gone_on_from():
    """Dropout draws from CUDA's generator, which goes on where it was."""

    def trained(watch):
        torch.manual_seed(0)
        net, adapter = nets.build("lenet", (1, 16, 16), 3).to(CUDA), Dann()
        critic = adapter.setup(net, None).to(CUDA)
        X, y = data(CUDA)
        streams = train.Streams(s=(X.float() / 255, y), t=X.float() / 255)
        budget = train.Budget(steps=12, batch_size=8)
        train.run(net, streams, budget, method=adapter, modules=[critic], watch=watch)
        return torch.cat([p.detach().flatten() for p in net.parameters()])

    whole = trained(first := Kept())
    assert checkpoint.notes(first.state)["device"] == "cuda"
    assert torch.equal(trained(Kept(first.state)), whole)


def test_the_modes_and_generators_are_left_as_they_were():
    before = torch.cuda.get_rng_state(CUDA), torch.get_deterministic_debug_mode()
    net = nets.build("lenet", (1, 16, 16), 3).to(CUDA)
    X, y = data(CUDA)
    train.run(net, train.Streams(s=(X.float(), y)), train.Budget(steps=3, batch_size=8))
    assert torch.equal(torch.cuda.get_rng_state(CUDA), before[0])
    assert torch.get_deterministic_debug_mode() == before[1]
