"""CUDA without a GPU: tensors that say they are on ``cuda:0`` and hold their values; what CUDA would refuse raises.

The meta device lets mistakes pass that need values or CUDA's own rules: linear algebra of what autocast makes bfloat16
(a CPU's autocast takes it back to float32, CUDA's does not), a generator of another device, a host's tensor in a mixed
gather, pinned memory, states that are put back. C++ takes these tensors for a CPU's, Python for a GPU's.
"""

from __future__ import annotations

import contextlib
from unittest import mock

import pytest
import torch
import torch._dynamo  # before anything is patched: it looks at signatures
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

from zoo import checkpoint, discover, nets, train
from zoo.adapters.feature.dann import Dann
from zoo.adapters.feature.wdgrl import Wdgrl
from zoo.adapters.parameter.surgical import relative_gradients
from zoo.check.toys import CLASSES
from zoo.vault.watch import Told

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
aten = torch.ops.aten
FREE = {aten.copy_.default, aten._to_copy.default}  # ops between devices
LINALG = ("cholesky", "eigh", "eigvalsh", "inv", "qr", "solve", "solve_triangular", "svd", "svdvals")
RESHAPES = {"aten::squeeze_", "aten::unsqueeze_", "aten::t_", "aten::transpose_"}
WAITS = {aten._local_scalar_dense.default, aten.nonzero.default, aten.is_nonzero.default}


class Remote(Tensor):
    """A tensor that says it is on the GPU; `inner` shares its memory, and computes."""

    device = property(lambda self: CUDA)
    is_cuda = property(lambda self: True)
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner):
        self = Tensor._make_subclass(cls, inner.detach(), False)
        self.inner = inner
        return self

    def __repr__(self):
        return f"Remote({self.inner})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise AssertionError("a remote tensor outlived the pretence")

    def to(self, *args, **kwargs):
        where = [a for a in (*args, kwargs.get("device")) if isinstance(a, str | torch.device)]
        where += [a.device for a in args if isinstance(a, Tensor)]
        if where and torch.device(where[0]).type == "cpu":
            return self.cpu().to(*args, **kwargs)
        kept = [a for a in args if isinstance(a, torch.dtype)] + [a.dtype for a in args if isinstance(a, Tensor)]
        dtype = kwargs.get("dtype") or (kept[0] if kept else self.dtype)
        return self if dtype == self.dtype and "memory_format" not in kwargs else Tensor.to(self, dtype)

    def cpu(self):
        if not self.requires_grad:
            Pretence.waits.append("cpu")
            return self.inner.clone()
        raise NotImplementedError("the pretence copies no graph to the host")

    def numpy(self, **kwargs):
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")

    def tolist(self):
        return self.detach().cpu().tolist()

    def pin_memory(self):
        raise RuntimeError(f"cannot pin 'torch.cuda.{self.dtype}' only dense CPU tensors can be pinned")

    def __deepcopy__(self, memo):
        made = Remote(self.inner.clone()).requires_grad_(self.requires_grad)
        if getattr(self, "_is_param", False):
            made._is_param = True
        return memo.setdefault(id(self), made)


class Generator(torch.Generator):
    def __new__(cls, device="cpu"):
        self = super().__new__(cls, "cpu")
        self.where = torch.device(device)
        return self

    def __init__(self, device="cpu"):
        pass

    device = property(lambda self: self.where)


class Calls(TorchFunctionMode):
    """Knows whether a call from Python works on remote tensors: what C++ makes anew within it is remote as well."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        before, kwargs = Pretence.remote, kwargs or {}
        Pretence.remote = any(isinstance(t, Remote) for t in tree_iter((args, kwargs)))
        device = torch.device(kwargs.get("device") or (CUDA if Pretence.remote else CPU))
        g = kwargs.get("generator")
        if isinstance(g, Generator) and g.device.type != device.type:
            raise RuntimeError(f"Expected a '{device}' device type for generator but found '{g.device}'")
        try:
            if func is torch.tensor and device.type == "cuda":  # goes past the dispatcher
                return func(*args, **{**kwargs, "device": CPU}).to(CUDA)
            return func(*args, **kwargs)
        finally:
            Pretence.remote = before


class Pretence(TorchDispatchMode):
    """Computes on the CPU what is asked of the GPU, and refuses what a GPU refuses."""

    waits: list[str] = []
    remote = False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        tensors = [t for t in tree_iter((args, kwargs)) if isinstance(t, Tensor)]
        remote = [t for t in tensors if isinstance(t, Remote)]
        there, name = bool(remote), func._schema.name
        asked = kwargs.pop("device", None)
        if asked is not None:
            kwargs["device"] = CPU
            # With a tensor to start from, C++ names the device that it believes in where Python names none.
            like = there and any(word in name for word in ("new_", "_like", "_to_copy", "sparse_"))
            there = like or torch.device(asked).type == "cuda" or (self.remote and not tensors)
        if remote and func not in FREE:
            self._together(func, tensors, there)
        if remote and func in WAITS:
            self.waits.append(name)
        out = func(*tree_map(_inner, args), **tree_map(_inner, kwargs))
        if remote and name in RESHAPES:
            with torch._C._DisableTorchDispatch():
                func(*args, **kwargs)  # the shell's own sizes
        known = {id(t.inner): t for t in remote} | {id(t): t for t in tensors}  # what an op in place gives back

        def outer(t):
            return t if not isinstance(t, Tensor) or not there else known[id(t)] if id(t) in known else Remote(t)

        return tree_map(outer, out)

    def _together(self, func, tensors, there):
        index = func in (aten.index.Tensor, aten.index_put_.default, aten.index_put.default)
        astray = [t for t in tensors if not isinstance(t, Remote) and t.dim()]
        if index and isinstance(tensors[0], Remote) and all(not t.is_floating_point() for t in astray):
            if astray:
                self.waits.append("index from the host")
            return
        if astray:
            raise RuntimeError(f"Expected all tensors to be on the same device, but {func} got cuda:0 and cpu")


def _inner(t):
    return t.inner if isinstance(t, Remote) else t


def _refusing(f, name):
    def wrapped(A, *args, **kwargs):
        if isinstance(A, Remote) and A.dtype in (torch.bfloat16, torch.float16):
            raise NotImplementedError(f'"{name}_cuda" not implemented for {A.dtype}')
        return f(A, *args, **kwargs)

    return wrapped


def _pin(t):
    if isinstance(t, Remote):
        return t.pin_memory()
    return t


@contextlib.contextmanager
def pretended():
    """Within, ``cuda:0`` is there."""
    states = {"cuda": torch.zeros(16, dtype=torch.uint8)}
    fakes = {
        "_lazy_init": lambda: None, "is_available": lambda: True, "is_initialized": lambda: True,
        "device_count": lambda: 1, "is_bf16_supported": lambda *a, **k: True, "current_device": lambda: 0,
        "get_rng_state": lambda device="cuda": states["cuda"].clone(), "manual_seed_all": lambda seed: None,
        "set_rng_state": lambda state, device="cuda": states.update(cuda=state.clone()),
        "mem_get_info": lambda device=None: (2**33, 2**34), "reset_peak_memory_stats": lambda device=None: None,
        "max_memory_allocated": lambda device=None: 2**20, "synchronize": lambda device=None: None,
    }  # fmt: skip
    with contextlib.ExitStack() as stack:
        for name, fake in fakes.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, fake))
        same = lambda a, b: isinstance(a, Remote) == isinstance(b, Remote)  # noqa: E731
        stack.enter_context(mock.patch.object(torch, "_has_compatible_shallow_copy_type", same))
        stack.enter_context(mock.patch.object(torch, "Generator", Generator))
        for name in vars(torch.optim.Optimizer):
            if name.endswith("_graph_capture_health_check"):
                stack.enter_context(mock.patch.object(torch.optim.Optimizer, name, return_value=None))
        real = torch.autocast
        autocast = lambda device, *a, **k: real("cpu" if device == "cuda" else device, *a, **k)  # noqa: E731
        stack.enter_context(mock.patch.object(torch, "autocast", autocast))
        for name in LINALG:
            stack.enter_context(mock.patch.object(torch.linalg, name, _refusing(getattr(torch.linalg, name), name)))
        stack.enter_context(mock.patch.object(Tensor, "pin_memory", _pin))
        stack.enter_context(torch.autograd.set_multithreading_enabled(False))
        Pretence.waits = []
        stack.enter_context(Pretence())
        stack.enter_context(Calls())
        yield


def test_the_pretence():
    with pretended():
        x, layer = torch.randn(4, 5).to(CUDA), nn.Linear(5, 3).to(CUDA)
        assert layer.weight.device == CUDA
        with torch.autocast("cuda", torch.bfloat16):
            y = layer(x)
        assert y.dtype == torch.bfloat16
        y.float().square().mean().backward()
        before = layer.weight.detach().cpu()
        torch.optim.Adam(layer.parameters(), fused=True).step()
        assert not torch.equal(before, layer.weight.detach().cpu())
        assert x.new_zeros(2).device == torch.zeros_like(x).device == torch.zeros(2, device=CUDA).device == CUDA


MISTAKES = {
    "a tensor of the host": lambda x: x + torch.ones(5),
    "numpy": lambda x: x.numpy(),
    "an index from the GPU": lambda x: torch.ones(4)[x[0].long()],
    "pinned": lambda x: x.pin_memory(),
    "a generator of the GPU": lambda x: torch.randperm(4, generator=torch.Generator(CUDA)),
    "a generator of the host": lambda x: torch.rand(4, generator=torch.Generator(), device=CUDA),
    "linear algebra in bfloat16": lambda x: torch.linalg.eigvalsh(x.bfloat16() @ x.bfloat16().T),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_cuda_refuses(mistake):
    with pretended():
        x = torch.ones(4, 5).to(CUDA)
        with pytest.raises((RuntimeError, TypeError)):
            MISTAKES[mistake](x)


METHODS = discover.methods()
ON_SAMPLES = [n for n, m in METHODS.items() if not m.needs & {"As", "At", "Fs", "Ft"} and "classification" in m.tasks]


@pytest.mark.faults  # every method, twice
@pytest.mark.parametrize("name", ON_SAMPLES)
def test_every_method_as_on_the_cpu(fit_toy, name):
    with pretended():
        there = fit_toy(name, CUDA)[0].cpu()
    torch.testing.assert_close(there, fit_toy(name, CPU)[0], rtol=1e-4, atol=1e-4)


@pytest.mark.faults  # every network
@pytest.mark.parametrize("name", [n for n in ON_SAMPLES if METHODS[n].kind in ("deep", "parameter")])
def test_every_network_in_bfloat16(fit_toy, name):
    with pretended():
        scores = fit_toy(name, CUDA, precision="auto", steps=3)[0].cpu()
    assert bool(torch.isfinite(scores).all())


def network(device):
    with train.seeded("test"):
        return nets.build("cnn", (1, 8, 8), CLASSES).to(device)


def images(n, seed):
    g = torch.Generator().manual_seed(seed)
    return torch.randint(256, (n, 1, 8, 8), generator=g, dtype=torch.uint8), torch.arange(n) % CLASSES


@pytest.mark.parametrize("there", ["neither", "target"])
def test_photographs_that_stay_on_the_host(there):
    """Samples on the host, labels and weights on the GPU, and perhaps the smaller domain's samples as well."""
    (Xs, ys), (Xt, _) = images(24, 0), images(24, 1)
    weights = torch.linspace(0.5, 1.5, 24)
    budget = train.Budget(steps=4, batch_size=8)
    at_home = train.Feed(train.Streams(s=(Xs, ys), ws=weights, t=Xt), budget, 0, CPU)
    with pretended():
        streams = train.Streams(s=(Xs, ys.to(CUDA)), ws=weights.to(CUDA), t=Xt.to(CUDA) if there == "target" else Xt)
        feed = train.Feed(streams, budget, 0, CUDA)
        for i in range(budget.steps):
            b, expected = feed(i), at_home(i)
            for k in ("xs", "ys", "ws", "xt", "ids", "idt"):
                assert getattr(b, k).device == CUDA
                assert torch.equal(getattr(b, k).cpu(), getattr(expected, k))


def test_surgical_of_photographs_on_the_host():
    X, y = images(12, 0)
    with pretended():
        net = network(CUDA)
        found = relative_gradients(net, X.float(), y.to(CUDA), blocks_of(net)).cpu()
    net = network(CPU)
    torch.testing.assert_close(found, relative_gradients(net, X.float(), y, blocks_of(net)), rtol=1e-4, atol=1e-6)


def blocks_of(net):
    return [*nets.blocks(net), list(net.head.parameters())]


class Kept(train.Watch):
    """Keeps the state after the third step, or goes on from it."""

    def __init__(self, state=None):
        self.state, self.steps = state, 0

    def begin(self):
        return self.state

    def tell(self, step, steps, terms):
        self.steps = step

    def due(self):
        return self.state is None and self.steps == 3

    def keep(self, state):
        self.state = state


@pytest.mark.parametrize("method", [Dann, Wdgrl])
def test_a_state_is_gone_on_from(method):
    def trained(watch):
        net, adapter = network(CUDA), method()
        (Xs, ys), (Xt, _) = images(24, 0), images(24, 1)
        critic = adapter.setup(net, None)
        with train.seeded("critic"):
            for p in critic.parameters():
                nn.init.normal_(p, std=0.1)
        streams = train.Streams(s=(Xs.float().to(CUDA), ys.to(CUDA)), t=Xt.float().to(CUDA))
        budget = train.Budget(steps=6, batch_size=8)
        train.run(net, streams, budget, method=adapter, modules=[critic.to(CUDA)], watch=watch)
        return torch.cat([p.detach().cpu().flatten() for p in net.parameters()])

    with pretended():
        whole = trained(first := Kept())
        assert checkpoint.notes(first.state)["device"] == "cuda"
        assert torch.equal(trained(Kept(first.state)), whole)
        assert Told(print, 1, first.state, "cpu").state is None
        assert Told(print, 1, first.state, "cuda:0").state is not None


SYNCHRONISE = {"deep_jdot", "glc", "unida_ot"}  # plans, and the clusters of every pass, are made on the host


@pytest.mark.faults  # every deep method, twice
@pytest.mark.parametrize("name", [n for n in ON_SAMPLES if METHODS[n].kind == "deep" and n not in SYNCHRONISE])
def test_steps_do_not_wait(fit_toy, name, monkeypatch):
    """More steps between two looks ask the device for no more numbers; what linear algebra does inside is not seen."""
    counts = []
    monkeypatch.setattr(train, "POINTS", 10)
    for steps in (10, 20):  # looks: at every step and at every 2nd, 10 each; 7 passes are more
        with pretended():
            fit_toy(name, CUDA, steps=steps)
            counts.append(len(Pretence.waits))
    assert counts[0] == counts[1]
