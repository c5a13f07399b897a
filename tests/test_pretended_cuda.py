"""A CUDA device that is not there: tensors that say they are on it hold their values on the CPU.

Within `pretend` a tensor moved to ``cuda`` is a `Cuda`, and what would fail on a GPU fails: an operation of tensors on
two devices, a generator of the other device, ``numpy()`` without ``cpu()``. Whatever makes the host wait is counted by
its operator's name. Kernels are the CPU's, so this tells nothing of what CUDA's compute or cost. Unlike on the meta
device there are values, so that methods that look at them run whole.
"""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from dataclasses import replace
from unittest import mock

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_iter, tree_map

from zoo import check, discover
from zoo.adapters.feature.deep_coral import coral_loss
from zoo.adapters.feature.homm import moment_gap

CPU, CUDA, META = torch.device("cpu"), torch.device("cuda", 0), torch.device("meta")
WAITS = {  # operators whose result's size or value the host asks for
    "_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "bincount", "_unique2", "unique_dim",
    "unique_consecutive", "_linalg_check_errors", "histc", "_linalg_svd", "_linalg_eigh", "linalg_lstsq",
}  # fmt: skip
MIXES = {"_to_copy", "copy_", "index", "index_put_", "index_put", "_index_put_impl_"}  # take both devices' tensors
INDEXES = {"index", "index_put", "index_put_", "_index_put_impl_"}
# What autocast on CUDA computes in bfloat16, and what in float32; the rest stays.
LOWER = {
    "conv1d", "conv2d", "conv3d", "conv_transpose2d", "linear", "matmul", "__matmul__", "__rmatmul__", "mm", "mv",
    "bmm", "addmm", "addbmm", "addmv", "baddbmm", "einsum", "multi_dot", "prelu", "scaled_dot_product_attention",
}  # fmt: skip
FLOAT = {
    "__pow__", "__rpow__", "__rdiv__", "__rtruediv__", "acos", "asin", "cosh", "erfinv", "exp", "expm1", "log", "log10",
    "log1p", "log2", "reciprocal", "rsqrt", "sinh", "tan", "pow", "softplus", "layer_norm", "group_norm", "norm",
    "vector_norm", "matrix_norm", "cosine_similarity", "nll_loss", "kl_div", "l1_loss", "smooth_l1_loss", "mse_loss",
    "cross_entropy", "binary_cross_entropy_with_logits", "dist", "pdist", "cdist", "renorm", "logsumexp", "softmax",
    "log_softmax", "cumprod", "cumsum", "prod", "sum",
}  # fmt: skip
PATCHED = {
    "get_rng_state": torch.zeros(1, dtype=torch.uint8), "set_rng_state": None, "mem_get_info": (1 << 40, 1 << 40),
    "reset_peak_memory_stats": None, "max_memory_allocated": 1 << 20,
}  # fmt: skip
GENERATOR = torch.Generator


class Generator(GENERATOR):
    """The CPU's, under another device's name."""

    def __new__(cls, device="cpu"):
        return super().__new__(cls, "cpu")

    def __init__(self, device="cpu"):
        self.named = CUDA if torch.device(device).type == "cuda" else torch.device(device)

    @property
    def device(self):
        return self.named


class Cuda(torch.Tensor):
    """A tensor that says it is on ``cuda:0``. To autograd it is one of the meta device."""

    @staticmethod
    def __new__(cls, held):
        with no_dispatch():
            if held.layout == torch.strided:
                shape = torch.empty_strided(held.shape, held.stride(), dtype=held.dtype, device=META)
            else:
                shape = torch.empty(held.shape, dtype=held.dtype, layout=held.layout, device=META)
            made = torch.Tensor._make_subclass(cls, shape, device_for_backend_keys=CUDA)
        made.held = held
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl
    device = property(lambda self: CUDA)
    is_cuda = property(lambda self: True)
    is_meta = property(lambda self: False)
    is_cpu = property(lambda self: False)

    def __repr__(self):
        return f"Cuda({self.held!r})"

    def numpy(self, *, force=False):
        if not force:
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor")
        return self.detach().cpu().numpy()

    def __array__(self, *args, **options):
        return self.numpy()

    def tolist(self):
        return self.detach().cpu().tolist()

    def pin_memory(self):
        raise RuntimeError("cannot pin 'torch.cuda.FloatTensor' only dense CPU tensors can be pinned")

    def __deepcopy__(self, memo):
        made = Cuda(self.held.clone())
        made = torch.nn.Parameter(made, self.requires_grad) if getattr(self, "_is_param", False) else made
        memo[id(self)] = made.requires_grad_(self.requires_grad)
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise RuntimeError("a pretended tensor outlived `pretend`")


class _Names(TorchFunctionMode):
    """Before PyTorch looks for a GPU: its name becomes the meta device's."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.device:
            return func(*args, **kwargs)
        if getattr(func, "__name__", "") in ("tensor", "as_tensor", "new_tensor", "asarray"):
            device = kwargs.get(
                "device", CUDA if isinstance(args[0], Cuda) and func is torch.Tensor.new_tensor else CPU
            )
            made = func(*args, **kwargs | {"device": CPU})  # from numbers of the host
            return made.to(META) if torch.device(device or CPU).type == "cuda" else made
        if (generator := kwargs.get("generator")) is not None:
            asked, given = kwargs.get("device"), tree_iter((args, kwargs))
            there = any(isinstance(x, Cuda) for x in given) if asked is None else torch.device(asked).type == "cuda"
            if there != (generator.device.type == "cuda"):
                raise RuntimeError(f"Expected a generator of the tensors' device, not of {generator.device}")
        if func is torch.Tensor.to and isinstance(args[0], Cuda) and self._stays(args, kwargs):
            return args[0]
        if func is torch.Tensor.cuda:
            func, args, kwargs = torch.Tensor.to, (args[0], META), {}
        args, kwargs = tree_map(_unnamed, (args, kwargs))
        name = getattr(func, "__name__", "")
        if torch.is_autocast_enabled("cuda") and name in LOWER | FLOAT:
            args, kwargs = tree_map(
                lambda x: _cast(x, torch.bfloat16 if name in LOWER else torch.float32), (args, kwargs)
            )
        return func(*args, **kwargs)

    def _stays(self, args, kwargs):
        given = [*args[1:], *kwargs.values()]
        device = [g for g in given if isinstance(g, torch.device | str)]
        dtype = [g for g in given if isinstance(g, torch.dtype)]
        other = [g.device for g in given if isinstance(g, torch.Tensor)]
        same = all(torch.device(d).type == "cuda" for d in [*device, *other])
        return (
            same and all(d == args[0].dtype for d in dtype) and not kwargs.get("copy") and "memory_format" not in kwargs
        )


def _cast(value, dtype):
    floats = torch.bfloat16, torch.float16, torch.float32
    return value.to(dtype) if isinstance(value, Cuda) and value.dtype in floats else value


def _unnamed(value):
    if isinstance(value, torch.device) or (isinstance(value, str) and value.startswith("cuda")):
        return META if torch.device(value).type == "cuda" else value
    return value


class _Kernels(TorchDispatchMode):
    """Runs everything on the CPU, and says what a GPU would not have run."""

    def __init__(self):
        super().__init__()
        self.waits = Counter()
        self.places = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        name = func.overloadpacket.__name__
        leaves = [x for x in tree_iter((args, kwargs)) if isinstance(x, torch.Tensor)]
        ours = any(isinstance(x, Cuda) for x in leaves)
        asked = kwargs.get("device")
        there = torch.device(asked).type == "meta" if asked is not None else ours
        if ours and name not in MIXES and any(type(x) is not Cuda and x.dim() for x in leaves):
            raise RuntimeError(f"Expected all tensors to be on the same device, cuda:0 and cpu ({name})")
        if name in INDEXES and not isinstance(args[0], Cuda) and ours:
            raise RuntimeError(f"indices should be on the same device as the indexed tensor (cpu) ({name})")
        if ours or (name == "_to_copy" and there):
            self._count(name, args, there, ours)
        if asked is not None and torch.device(asked).type == "meta":
            kwargs["device"] = CPU
        held = tree_map(lambda x: x.held if isinstance(x, Cuda) else x, (args, kwargs))
        out = func(*held[0], **held[1])
        if name == "_to_copy" and there != ours:
            return Cuda(out) if there else out
        if not there and not ours:
            return out
        if not there and asked is not None:
            return out
        out = tree_map(lambda x: Cuda(x) if isinstance(x, torch.Tensor) and not isinstance(x, Cuda) else x, out)
        plain = all(x.layout == torch.strided for x in [*leaves, *tree_iter(out)] if isinstance(x, torch.Tensor))
        return return_and_correct_aliasing(func, args, kwargs, out) if ours and plain else out

    def _count(self, name, args, there, ours):
        masks = name in INDEXES and any(x is not None and x.dtype in (torch.bool, torch.uint8) for x in args[1])
        fetched = name == "_to_copy" and not (there and ours)
        copied = name == "copy_" and (isinstance(args[0], Cuda) != isinstance(args[1], Cuda))
        if name in WAITS or masks or fetched or copied:
            self.waits[name] += 1
            frame = sys._getframe()
            while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] != "zoo":
                frame = frame.f_back
            self.places[f"{name} in {frame.f_code.co_name}" if frame else name] += 1


@contextlib.contextmanager
def _autocast(device_type, dtype=torch.bfloat16, enabled=True):
    """torch.autocast, which does nothing for a CUDA that is not there."""
    before = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
    torch.set_autocast_enabled("cuda", enabled)
    torch.set_autocast_dtype("cuda", dtype)
    torch.autocast_increment_nesting()
    try:
        yield
    finally:
        if torch.autocast_decrement_nesting() == 0:
            torch.clear_autocast_cache()
        torch.set_autocast_enabled("cuda", before[0])
        torch.set_autocast_dtype("cuda", before[1])


@contextlib.contextmanager
def pretend():
    """Pretend that there is a GPU; yields what counts the waits of the host, as ``waits`` and ``places``."""
    real = torch.autocast
    chosen = lambda kind, *a, **k: (_autocast if kind == "cuda" else real)(kind, *a, **k)  # noqa: E731
    kernels = _Kernels()
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch("torch.Generator", Generator))
        stack.enter_context(mock.patch("torch.autocast", chosen))
        stack.enter_context(mock.patch.object(torch.Tensor, "pin_memory", lambda x: x))
        for name, value in PATCHED.items():
            stack.enter_context(mock.patch(f"torch.cuda.{name}", return_value=value))
        stack.callback(torch.__future__.set_swap_module_params_on_conversion, False)
        torch.__future__.set_swap_module_params_on_conversion(
            True
        )  # a module's tensors keep their identity, as on CUDA
        stack.enter_context(kernels)
        stack.enter_context(_Names())
        yield kernels


METHODS = {n: m for n, m in discover.methods().items() if not m.needs & {"Fs", "Ft"}}
TRAINED = [n for n, m in METHODS.items() if m.kind in ("deep", "parameter")]
DECOMPOSE = {"bnm": 1, "bsp": 2, "bss": 1}  # CUDA's decompositions tell the host in every step whether they converged
STEPS = replace(check.BUDGET, steps=4)


class Subject(check.Subject):
    """An adapter on toy pairs; `learner` chooses where it runs with either."""

    def __init__(self, name, learner=""):
        self.learner = learner
        super().__init__(METHODS[name], discover.load(METHODS[name]))

    @property
    def use(self):
        return self.learner or super().use


def fit(subject, budget, place):
    """Scores of the target after a fit there; `host`: samples stay on the CPU, as photographs do that fill a GPU."""
    task = subject.task(subject.pair, budget=budget, device="cpu" if place == "cpu" else "cuda")
    if place == "host":
        vars(task).update({k: vars(task)[k].cpu() for k in ("Xs", "Xt", "Xl") if k in vars(task)})
        task.learner.device = "cuda"
    adapter = subject.cls().fit(task)
    if subject.info.transductive_only:
        scores = adapter.scores_t()
    elif subject.graphs:
        scores = adapter.predict(torch.arange(task.At.n, device=task.device), task.At)
    else:
        scores = adapter.predict(subject.pair.Xt.to(task.device))
    assert scores.device.type == ("cpu" if place == "cpu" else "cuda")
    return scores.cpu()


@pytest.mark.parametrize("name", METHODS)
def test_every_method_gives_what_it_gives_on_the_cpu(name):
    for learner in ("base", "net") if METHODS[name].learner == "both" else ("",):
        subject = Subject(name, learner)
        before = fit(subject, STEPS, "cpu")
        close = 0.1 if subject.graphs else 1e-6  # on CUDA a network sees both graphs at once, and drops others out
        with pretend():
            torch.testing.assert_close(fit(subject, STEPS, "cuda"), before, rtol=0, atol=close)


@pytest.mark.parametrize("name", TRAINED)
def test_in_bfloat16_no_step_waits_for_the_device(name):
    """Twice as many steps wait no oftener, but for the loss that is looked at, and hardly move the scores."""
    subject, waits = Subject(name), []
    before = fit(subject, STEPS, "cpu")
    for steps in (4, 8):
        with pretend() as seen:
            found = fit(subject, replace(STEPS, steps=steps, precision="bf16"), "cuda")
        assert seen.places["_to_copy in _look"] == steps, seen.places
        waits.append(seen.waits.total() - steps)
        if steps == STEPS.steps:
            torch.testing.assert_close(found, before, rtol=0, atol=0.1)
    if not subject.cls.host_sync:
        assert waits[1] - waits[0] == 4 * DECOMPOSE.get(name, 0), seen.places


@pytest.mark.parametrize("name", [n for n in TRAINED if not METHODS[n].needs & {"As", "At"}])
def test_samples_on_the_host(name):
    subject = Subject(name)
    before = fit(subject, STEPS, "cpu")
    with pretend():
        torch.testing.assert_close(fit(subject, STEPS, "host"), before, rtol=0, atol=1e-6)


def test_what_would_fail_on_a_gpu_fails():
    with pretend() as seen:
        x = torch.ones(3, 2).to("cuda")
        with pytest.raises(RuntimeError, match="same device"):
            x + torch.ones(2)
        with pytest.raises(RuntimeError, match="same device"):
            torch.ones(3)[torch.arange(2).to("cuda")]
        with pytest.raises(RuntimeError, match="generator"):
            torch.rand(3, device="cuda", generator=torch.Generator())
        with pytest.raises(TypeError, match="numpy"):
            x.numpy()
        seen.waits.clear()
        x[x[:, 0] > 0], float(x.sum()), x.tolist(), torch.tensor([1.0], device="cuda")
        assert seen.waits == {"index": 1, "_local_scalar_dense": 1, "_to_copy": 2}
        with torch.autocast("cuda", torch.bfloat16):
            assert (x @ x.T).dtype == torch.bfloat16


def test_gram_matrices_keep_their_precision_under_autocast():
    g = torch.Generator().manual_seed(0)
    X, Y = torch.randn(64, 20, generator=g), torch.randn(64, 20, generator=g)
    for loss in (coral_loss, lambda X, Y: moment_gap(X, Y, 3)):
        with torch.autocast("cpu", torch.bfloat16):
            found = loss(X, Y)
        torch.testing.assert_close(found, loss(X, Y), rtol=0, atol=0)
