"""torchvision's classification models as networks: f1 is all but the last linear layer, found by itself."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, channels_last, nn

from zoo.errors import BadInput
from zoo.nets import Net
from zoo.ops.augment import crop

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, which the weights expect
CROPPED = 232  # sides from here on are cropped to 7/8 (256 to 224), smaller images are taken whole


def build(name: str, shape: tuple[int, ...], n_classes: int, weights: str, trainable: str, bottleneck: int) -> Net:
    """The network itself, or, on features that were extracted beforehand (``trainable: head``), what stands on them."""
    if len(shape) == 1:
        return Top(shape, n_classes, bottleneck)
    return Backbone(name, n_classes, weights, trainable, bottleneck)


class Top(Net):
    """An optional bottleneck and a linear classifier, on features of a frozen backbone."""

    def __init__(self, shape: tuple[int, ...], n_classes: int, bottleneck: int) -> None:
        super().__init__()
        self.neck, self.width = _neck(shape[0], bottleneck)
        self.head = nn.Linear(self.width, n_classes)

    def features(self, x: Tensor) -> Tensor:
        return self.neck(x)


class Backbone(Net):
    """A torchvision model for uint8 images [n, 3, side, side], its own classifier cut off.

    Images of 232 pixels and more a side are cropped to the centre 7/8 unless an augmentation has done so; then they
    are scaled by ImageNet's mean and standard deviation. Batch norms that are folded (mean 0, variance 1 - eps) stay
    in evaluation mode.
    """

    batch = 64
    mean: Tensor
    std: Tensor

    def __init__(
        self, name: str, n_classes: int, weights: str = "", trainable: str = "all", bottleneck: int = 0
    ) -> None:
        super().__init__()
        self.body, width = _headless(name)
        if weights:
            _load(self.body, name, weights)
        self.neck, self.width = _neck(width, bottleneck)
        self.head = nn.Linear(self.width, n_classes)
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1) * 255, persistent=False)
        norms = [m for m in self.body.modules() if isinstance(m, nn.BatchNorm2d)]
        self.folded = [m for m in norms if _is_folded(m)] if weights else []
        if trainable != "all":
            for p in self.body.parameters():
                p.requires_grad_(False)
            n = int(trainable.removeprefix("top:")) if trainable.startswith("top:") else 0
            for block in blocks(self.body)[-n:] if n else ():
                for p in block.parameters():
                    p.requires_grad_(True)
        self.to(memory_format=channels_last)

    def features(self, x: Tensor) -> Tensor:
        if x.shape[-1] >= CROPPED:
            x = crop(x)
        x = (x.float() - self.mean) / self.std
        return self.neck(self.body(x.contiguous(memory_format=channels_last)).flatten(1))

    def train(self, mode: bool = True) -> Backbone:
        super().train(mode)
        for norm in self.folded:
            norm.eval()
        return self


def blocks(body: nn.Module) -> list[nn.Module]:
    """The blocks of a model from input to output: members of its stages (residual units, encoder layers), or layers."""
    found: list[nn.Module] = []
    for child in body.children():
        inner = getattr(child, "layers", child)  # of a transformer's encoder
        found += list(inner.children()) if isinstance(inner, nn.Sequential) else [child]
    return [b for b in found if any(True for _ in b.parameters())]


def check(name: str, weights: str) -> None:
    """Refuse weights that do not fit, before anything is written.

    Raises
    ------
    BadInput
        A model without a linear classifier, a file that is not there, no state dict, or one of another model.
    """
    body, _ = _headless(name)
    if weights:
        _load(body, name, weights)


def _headless(name: str) -> tuple[nn.Module, int]:
    """A randomly initialised model without its last linear layer, and the width of what that was given."""
    from torchvision import models

    extra = {"aux_logits": False} if name in ("googlenet", "inception_v3") else {}
    model = models.get_model(name, weights=None, **extra)
    linear = [path for path, m in model.named_modules() if isinstance(m, nn.Linear)]
    if not linear:
        raise BadInput(f"net {name}: its classifier is not a linear layer, so it cannot be split into f1 and f2")
    parent, _, last = linear[-1].rpartition(".")
    width = model.get_submodule(linear[-1]).in_features
    setattr(model.get_submodule(parent), last, nn.Identity())
    return model, int(width)  # type: ignore[arg-type]


def _neck(width: int, bottleneck: int) -> tuple[nn.Module, int]:
    if not bottleneck:
        return nn.Identity(), width
    return nn.Sequential(nn.Linear(width, bottleneck), nn.BatchNorm1d(bottleneck), nn.ReLU()), bottleneck


def _load(body: nn.Module, name: str, weights: str) -> None:
    own = body.state_dict()
    state = _state(name, weights)
    wrong = next((k for k in own if k not in state or state[k].shape != own[k].shape), None)
    if wrong:
        found = (
            f"has shape {tuple(state[wrong].shape)}, not {tuple(own[wrong].shape)}"
            if wrong in state
            else "is not there"
        )
        raise BadInput(f"weights {weights} do not fit {name}: {wrong} {found}")
    body.load_state_dict({k: state[k].to(own[k].dtype) for k in own})


@lru_cache(maxsize=2)
def _state(name: str, weights: str) -> dict[str, Any]:
    if weights == "default":
        from torchvision.models import get_model_weights

        found = get_model_weights(name).DEFAULT
        try:
            return dict(found.get_state_dict(progress=False, check_hash=True))
        except OSError as error:
            reason = f"{found.url} cannot be fetched ({error}): give --weights FILE with a state dict of {name}"
            raise BadInput(f"weights default: {reason}") from None
    path = Path(weights)
    if not path.is_file():
        raise BadInput(f"weights {weights}: no such file; give a state dict of {name}, or 'default' for torchvision's")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or foreign file raises nearly anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise BadInput(f"weights {weights} cannot be read as a state dict: {reason}") from None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise BadInput(f"weights {weights}: not a state dict (a mapping of names to tensors)")
    return state


def _is_folded(norm: nn.BatchNorm2d) -> bool:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    flat = norm.running_mean.abs().max() == 0 and (norm.running_var - (1 - norm.eps)).abs().max() < 1e-3
    return bool(flat)
