"""A CUDA device that is not there: tensors that say they are on it hold their values on the CPU.

Within `pretend` a tensor moved to ``cuda`` is a `Cuda`, and what would fail on a GPU fails: an operation of tensors on
two devices, a generator of the other device, ``numpy()`` without ``cpu()``. Whatever makes the host wait is counted by
its operator's name. Kernels are the CPU's, so this tells nothing of what CUDA's compute or cost. Unlike on the meta
device there are values, so that methods that look at them run whole.
"""

from __future__ import annotations

import contextlib
import traceback
from collections import Counter
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_iter, tree_map

CPU, CUDA, META = torch.device("cpu"), torch.device("cuda", 0), torch.device("meta")
WAITS = {  # operators whose result's size or value the host asks for
    "_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "bincount", "_unique2", "unique_dim",
    "unique_consecutive", "_linalg_check_errors", "histc", "_linalg_svd", "_linalg_eigh", "linalg_lstsq",
}  # fmt: skip
MIXES = {"_to_copy", "copy_", "index", "index_put_", "index_put", "_index_put_impl_"}  # take both devices' tensors
INDEXES = {"index", "index_put", "index_put_", "_index_put_impl_"}
# What autocast on CUDA computes in bfloat16, and what in float32 (PyTorch's "autocast op reference"); the rest stays.
LOWER = set(
    "conv1d conv2d conv3d conv_transpose2d linear matmul __matmul__ __rmatmul__ mm mv bmm addmm addbmm addmv baddbmm "
    "einsum multi_dot prelu scaled_dot_product_attention".split()
)
FLOAT = set(
    "__pow__ __rpow__ __rdiv__ __rtruediv__ acos asin cosh erfinv exp expm1 log log10 log1p log2 reciprocal rsqrt sinh "
    "tan pow square softplus layer_norm group_norm norm vector_norm matrix_norm cosine_similarity nll_loss kl_div l1_loss "
    "smooth_l1_loss mse_loss cross_entropy binary_cross_entropy_with_logits dist pdist cdist renorm logsumexp softmax "
    "log_softmax cumprod cumsum prod sum".split()
) - {"square"}
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
        if (generator := kwargs.get("generator")) is not None:
            asked, given = kwargs.get("device"), tree_iter((args, kwargs))
            there = any(isinstance(x, Cuda) for x in given) if asked is None else torch.device(asked).type == "cuda"
            if there != (generator.device.type == "cuda"):
                raise RuntimeError(f"Expected a generator of the tensors' device, not of {generator.device}")
        if func is torch.Tensor.to and isinstance(args[0], Cuda) and self._stays(args, kwargs):
            return args[0]
        if func in (torch.Tensor.cuda,):
            func, args, kwargs = torch.Tensor.to, (args[0], META), {}
        args, kwargs = tree_map(_unnamed, (args, kwargs))
        name = getattr(func, "__name__", "")
        if torch.is_autocast_enabled("cuda") and name in LOWER | FLOAT:
            args, kwargs = tree_map(lambda x: _cast(x, torch.bfloat16 if name in LOWER else torch.float32), (args, kwargs))
        return func(*args, **kwargs)

    def _stays(self, args, kwargs):
        given = [*args[1:], *kwargs.values()]
        device = [g for g in given if isinstance(g, torch.device | str)]
        dtype = [g for g in given if isinstance(g, torch.dtype)]
        other = [g.device for g in given if isinstance(g, torch.Tensor)]
        same = all(torch.device(d).type == "cuda" for d in [*device, *other])
        return same and all(d == args[0].dtype for d in dtype) and not kwargs.get("copy") and "memory_format" not in kwargs


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
        if ours:
            self._count(name, args, there)
        if asked is not None and torch.device(asked).type == "meta":
            kwargs["device"] = CPU
        held = tree_map(lambda x: x.held if isinstance(x, Cuda) else x, (args, kwargs))
        out = func(*held[0], **held[1])
        if name == "_to_copy" and there and not ours or name == "_to_copy" and ours and not there:
            return Cuda(out) if there else out
        if not there and not ours:
            return out
        if not there and asked is not None:
            return out
        out = tree_map(lambda x: Cuda(x) if isinstance(x, torch.Tensor) and not isinstance(x, Cuda) else x, out)
        plain = all(x.layout == torch.strided for x in [*leaves, *tree_iter(out)] if isinstance(x, torch.Tensor))
        return return_and_correct_aliasing(func, args, kwargs, out) if ours and plain else out

    def _count(self, name, args, there):
        masks = name in INDEXES and any(
            x is not None and x.dtype in (torch.bool, torch.uint8) for x in args[1]
        )
        fetched = name == "_to_copy" and not there
        copied = name == "copy_" and (isinstance(args[0], Cuda) != isinstance(args[1], Cuda))
        if name in WAITS or masks or fetched or copied:
            self.waits[name] += 1
            frame = next(
                (f for f in reversed(traceback.extract_stack()) if "/zoo/" in f.filename.replace("\\", "/")), None
            )
            self.places[f"{name} {frame.filename.rpartition('/zoo/')[2]}:{frame.lineno}" if frame else name] += 1


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
        stack.enter_context(mock.patch("torch.cuda.mem_get_info", lambda device=None: (1 << 40, 1 << 40)))
        stack.enter_context(mock.patch("torch.cuda.reset_peak_memory_stats", lambda device=None: None))
        stack.enter_context(mock.patch("torch.cuda.max_memory_allocated", lambda device=None: 1 << 20))
        stack.callback(torch.__future__.set_swap_module_params_on_conversion, False)
        torch.__future__.set_swap_module_params_on_conversion(True)  # a module's tensors keep their identity, as on CUDA
        stack.enter_context(kernels)
        stack.enter_context(_Names())
        yield kernels
