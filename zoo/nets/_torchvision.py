"""torchvision's classification models as networks: f1 is all but the last linear layer, found by itself."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, channels_last, nn

from zoo.errors import BadInput
from zoo.nets import Net, units
from zoo.ops.augment import crop

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, which the weights expect
AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")  # of Inception and GoogLeNet, for their training only
CLASSES = 1000  # of ImageNet
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
            for block in units(self.body)[-n:] if n else ():
                for p in block:
                    p.requires_grad_(True)
        self.to(memory_format=channels_last)

    def backbone(self) -> list[nn.Parameter]:
        """The model's own parameters; the bottleneck is new, and learns at the full rate as the classifier does."""
        return list(self.body.parameters())

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


def check(name: str, weights: str, shape: tuple[int, ...]) -> None:
    """Refuse weights that do not fit and images that the model cannot read, before anything is written.

    Raises
    ------
    BadInput
        A model whose classifier is not found, a file that is not there, no state dict, or one of another model;
        images too small for it, or of another size where it takes one only.
    """
    body, _ = _headless(name)
    if weights:
        _load(body, name, weights)
    x = torch.empty(2, *shape, device="meta")
    try:
        body.to("meta")(crop(x) if shape[-1] >= CROPPED else x)
    except (RuntimeError, AssertionError, ValueError) as error:
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise BadInput(f"net {name} cannot read images of {shape[1]}×{shape[2]} pixels: {why}") from None


def _headless(name: str) -> tuple[nn.Module, int]:
    """A randomly initialised model without its classifier, and the width of what that was given.

    The classifier is the last layer that makes the classes: linear, or a convolution of one pixel (SqueezeNet), after
    which the model averages over the image.
    """
    from torchvision import models

    extra: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):  # their weights expect inputs scaled another way, which they do inside
        extra = {"aux_logits": False, "init_weights": False, "transform_input": True}
    model = models.get_model(name, weights=None, **extra)
    path, layer = [(p, m) for p, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    width, made = (
        (layer.in_features, layer.out_features)
        if isinstance(layer, nn.Linear)
        else (layer.in_channels, layer.out_channels)
    )
    if made != CLASSES:
        raise BadInput(f"net {name}: its last layer does not make {CLASSES} classes, so it cannot be split into f1, f2")
    parent, _, last = path.rpartition(".")
    setattr(model.get_submodule(parent), last, nn.Identity())
    return model, width


def _neck(width: int, bottleneck: int) -> tuple[nn.Module, int]:
    if not bottleneck:
        return nn.Identity(), width
    return nn.Sequential(nn.Linear(width, bottleneck), nn.BatchNorm1d(bottleneck), nn.ReLU()), bottleneck


def _load(body: nn.Module, name: str, weights: str) -> None:
    own, state = body.state_dict(), _state(name, weights)
    counted = {k for k in own if k.endswith("num_batches_tracked")}  # older files do not have them
    missing = [k for k in own if k not in state and k not in counted]
    shaped = [k for k in own if k in state and state[k].shape != own[k].shape]
    classifier = [f"{path}." for path, m in body.named_modules() if isinstance(m, nn.Identity)]  # of any classes
    others = [k for k in state if k not in own and not k.startswith((*classifier, *AUXILIARY))]
    problems = [
        *([f"{len(missing)} keys are missing, such as {missing[0]}"] if missing else []),
        *([f"{len(others)} keys are unknown to it, such as {others[0]}"] if others else []),
        *(
            [
                f"{len(shaped)} have another shape, such as {shaped[0]} with {tuple(state[shaped[0]].shape)}, "
                f"not {tuple(own[shaped[0]].shape)}"
            ]
            if shaped
            else []
        ),
    ]
    if problems:
        raise BadInput(f"weights {weights} do not fit {name}: {'; '.join(problems)}")
    body.load_state_dict({k: state[k].to(own[k].dtype) if k in state else own[k] for k in own})


@lru_cache(maxsize=2)
def _state(name: str, weights: str) -> dict[str, Any]:
    """A state dict: torchvision's own, or of a file, with or without the wrappings of training scripts."""
    path = Path(weights)
    if not path.is_file():
        return _torchvisions(name, weights)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or foreign file raises nearly anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise BadInput(f"weights {weights} cannot be read as a state dict: {reason}") from None
    for wrapping in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(wrapping), dict):
            state = state[wrapping]
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise BadInput(f"weights {weights}: not a state dict (a mapping of names to tensors)")
    while state and all(k.startswith("module.") for k in state):  # DataParallel's
        state = {k.removeprefix("module."): v for k, v in state.items()}
    return state


def _torchvisions(name: str, weights: str) -> dict[str, Any]:
    """The state dict behind a member of the model's enum of weights, ``default`` or by its name."""
    from torchvision.models import get_model_weights

    enum = get_model_weights(name)
    if weights == "default":
        found = enum.DEFAULT
    elif weights in enum.__members__:
        found = enum[weights]
    else:
        raise BadInput(f"weights {weights}: {name} has {', '.join(m.name for m in enum)} (or default), or give a file")
    try:
        return dict(found.get_state_dict(progress=False, check_hash=True))
    except OSError as error:
        reason = f"{found.url} cannot be fetched ({error}): give --weights FILE with a state dict of {name}"
        raise BadInput(f"weights {weights}: {reason}") from None


def _is_folded(norm: nn.BatchNorm2d) -> bool:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    flat = norm.running_mean.abs().max() == 0 and (norm.running_var - (1 - norm.eps)).abs().max() < 1e-3
    return bool(flat)
