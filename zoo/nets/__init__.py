"""Networks, one file each: a public subclass of Net with f1 as `features` and f2 as `head`."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zoo.tasks import problem


class Net(nn.Module):
    """A network split into the feature extractor f1 and the classifier f2.

    Subclasses take ``(shape, n_classes)``, the shape of one sample, and set ``width``, ``head`` and `features`. A
    literal `smallest` above 0 says that samples are images, and how many pixels a side they have at least; `shortest`,
    that they are series, and how many steps; `graphs`, that they are nodes, whose graphs the constructor takes as its
    third argument.
    """

    width: int
    head: nn.Module
    batch = 512  # samples at a time, without gradients
    domains: tuple[int, ...] = (1024, 1024)  # hidden layers of the discriminator that the literature sets beside it
    smallest = 0
    shortest = 0
    graphs = False

    def __init__(self) -> None:
        super().__init__()
        self.task = (
            "classification"  # a file of ``zoo/tasks/``: what its outputs are, and are trained by; `build` sets it
        )

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """f1: samples [n, ...] to features [n, width]."""
        raise NotImplementedError

    def backbone(self) -> list[nn.Parameter]:
        """Parameters that the suite's `backbone_rate` slows down: f1's, or of a pretrained model what was trained."""
        head = {id(p) for p in self.head.parameters()}
        return [p for p in self.parameters() if id(p) not in head]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))

    @torch.no_grad()
    def predict(self, X: torch.Tensor) -> torch.Tensor:
        """Scores [n, n_classes] in evaluation mode, as its task has them; of classes, rows sum to 1."""
        return self._chunked(lambda x: problem(self.task).activated(self(x)), X)

    @torch.no_grad()
    def embed(self, X: torch.Tensor) -> torch.Tensor:
        """Features [n, width] in evaluation mode."""
        return self._chunked(self.features, X)

    def _chunked(self, f: Any, X: torch.Tensor) -> torch.Tensor:
        self.eval()
        device = next(self.parameters()).device
        return torch.cat([f(x.to(device)) for x in X.split(self.batch)])


def build(
    name: str,
    shape: tuple[int, ...],
    n_classes: int,
    *,
    weights: str = "",
    trainable: str = "all",
    bottleneck: int = 0,
    weight_norm: bool = False,
    graphs: Any = None,
    task: str = "classification",
) -> Net:
    """Make the network of file ``zoo/nets/NAME.py``, or else torchvision's model of that name, for samples of `shape`.

    Parameters
    ----------
    weights : of a torchvision model: file of a state dict, 'default' for torchvision's own, or '' for random ones
    trainable : of a torchvision model: 'all', 'top:N' (its last N blocks), or 'head', which takes its frozen features
        [n, width] in place of images
    bottleneck : width of a trainable layer between features and head; 0: none
    weight_norm : whether each row of the classifier is a direction times a length of its own
    graphs : `zoo.nets._graphs.Graphs`, of a network on graphs
    task : what it predicts, a file of ``zoo/tasks/``
    """
    net = _made(name, shape, n_classes, weights, trainable, bottleneck, graphs)
    if weight_norm:
        from zoo.nets._normed import normed

        normed([m for m in net.head.modules() if isinstance(m, nn.Linear)][-1])
    net.task = task
    return net


def _made(
    name: str, shape: tuple[int, ...], n_classes: int, weights: str, trainable: str, bottleneck: int, graphs: Any
) -> Net:
    if not (Path(__file__).parent / f"{name}.py").is_file():
        kind, colon, _ = name.partition(":")  # hf:FOLDER
        library = importlib.import_module(f"zoo.nets._{kind}" if colon else "zoo.nets._torchvision")
        found: Net = library.build(name, shape, n_classes, weights, trainable, bottleneck)
        return found
    module = importlib.import_module(f"zoo.nets.{name}")
    cls: Any
    (cls,) = [c for c in vars(module).values() if isinstance(c, type) and c.__module__ == module.__name__]
    made: Net = cls(shape, n_classes, graphs) if cls.graphs else cls(shape, n_classes)
    return made


def append(net: Net, layers: nn.Sequential, width: int) -> None:
    """Add layers of `width` at the end of f1; the classifier becomes a new linear layer on them."""
    part = "neck" if hasattr(net, "neck") else "body"
    setattr(net, part, nn.Sequential(getattr(net, part), *layers))
    n_classes = [m for m in net.head.modules() if isinstance(m, nn.Linear)][-1].out_features
    net.width, net.head = width, nn.Linear(width, n_classes)


def blocks(net: Net) -> list[list[nn.Parameter]]:
    """Parameters of f1's blocks from input to output: layers with their norms, or the units of a larger model."""
    parts = [getattr(net, name) for name in ("body", "neck") if hasattr(net, name)]
    return [block for part in parts for block in units(part)]


def units(body: nn.Module) -> list[list[nn.Parameter]]:
    """Parameters of a model's blocks from input to output: residual units, encoder layers, or single layers.

    A norm between blocks belongs to the one before it.
    """
    found: list[list[nn.Parameter]] = []
    for module in _members(body):
        own = list(module.parameters())
        if found and all(p.dim() < 2 for p in own):
            found[-1] += own
        elif own:
            found.append(own)
    return found


def _members(stage: nn.Module) -> list[nn.Module]:
    """What a stage holds, stages within it opened too; a convolution with its norm is one block, not a stage."""
    found: list[nn.Module] = []
    for child in stage.children():
        plain = type(child) is nn.Sequential or hasattr(child, "layers")  # an encoder of a transformer has layers
        holds = isinstance(child, nn.Sequential | nn.ModuleList) and any(list(m.children()) for m in child.children())
        found += _members(child) if plain or holds else [child]
    return found
