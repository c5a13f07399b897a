"""Text encoders of Hugging Face's transformers as networks: ``net: hf:FOLDER``, or the name of a model on the hub.

A sentence's features are the mean of its tokens' last hidden states, of length 1.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.errors import BadInput, one_line
from zoo.nets import Net
from zoo.nets._torchvision import Top

LONGEST = 128  # tokens of a text; what follows is not read
WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def place(net: str) -> str:
    """The folder or name after ``hf:``.

    Raises
    ------
    BadInput
        A path where there is no folder with a model.
    """
    name = net.partition(":")[2]
    if not name or (name.startswith((".", "/", "~")) and not (Path(name).expanduser() / "config.json").is_file()):
        raise BadInput(
            f"net: {net}: a folder with config.json, a tokenizer and weights, or a name on the hub, is needed"
        )
    return str(Path(name).expanduser()) if (Path(name).expanduser() / "config.json").is_file() else name


def content(net: str) -> str:
    """What the encoder is, wherever it lies: a hash of its files, or its name on the hub."""
    folder = Path(place(net))
    files = [folder / name for name in ("config.json", "tokenizer.json", *WEIGHTS)]
    return f"sha256 {_digest(tuple(str(f) for f in files if f.is_file()))}" if folder.is_dir() else place(net)


@lru_cache(maxsize=4)
def _digest(files: tuple[str, ...]) -> str:
    found = hashlib.sha256()
    for file in files:
        found.update(Path(file).read_bytes())
    return found.hexdigest()[:16]


def _load(kind: str, net: str) -> Any:
    try:
        import transformers
    except ImportError:
        raise BadInput(f"net: {net}: needs transformers: pip install 'zoo[text]'") from None
    try:
        return getattr(transformers, kind).from_pretrained(place(net))
    except (OSError, ValueError) as error:
        raise BadInput(f"net: {net}: cannot be loaded: {one_line(str(error))}") from None


def width(net: str) -> int:
    """How many features a text gets."""
    return int(_load("AutoConfig", net).hidden_size)


def tokens(net: str, texts: list[str]) -> np.ndarray:
    """Token numbers [n, longest] of texts, less 1 where a text has ended."""
    made = _load("AutoTokenizer", net)(texts, truncation=True, max_length=LONGEST)["input_ids"]
    found = np.full((len(made), max(map(len, made))), -1, np.int32)
    for row, own in zip(found, made, strict=True):
        row[: len(own)] = own
    return found


def embedded(net: str, texts: list[str], device: str = "cpu") -> np.ndarray:
    """Features [n, width] of texts, those of like length together."""
    ids = tokens(net, texts)
    model = Encoder(net, 2).to(device).eval()
    found = np.empty((len(ids), model.width), np.float32)
    order = np.argsort((ids >= 0).sum(1), kind="stable")
    with torch.no_grad():
        for rows in np.array_split(order, -(-len(order) // model.batch)):
            batch = ids[rows][:, : (ids[rows] >= 0).sum(1).max()]
            found[rows] = model.features(torch.from_numpy(batch).to(device)).float().cpu().numpy()
    return found


class Encoder(Net):
    """An encoder for token numbers [n, length], and a linear classifier on its mean state of length 1."""

    batch = 64

    def __init__(self, name: str, n_classes: int, trainable: str = "all") -> None:
        super().__init__()
        self.body = _load("AutoModel", name)
        self.width = int(self.body.config.hidden_size)
        self.head = nn.Linear(self.width, n_classes)
        if trainable != "all":
            n = int(trainable.removeprefix("top:"))
            for p in self.body.parameters():
                p.requires_grad_(False)
            layers = getattr(self.body.encoder, "layer", None)
            for block in list(layers)[-n:] if layers is not None else ():
                for p in block.parameters():
                    p.requires_grad_(True)

    def backbone(self) -> list[nn.Parameter]:
        return list(self.body.parameters())

    def features(self, x: Tensor) -> Tensor:
        mask = (x >= 0).long()
        states = self.body(input_ids=x.long() * mask, attention_mask=mask).last_hidden_state
        mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp_min(1)
        return nn.functional.normalize(mean, dim=1)


def build(name: str, shape: tuple[int, ...], n_classes: int, weights: str, trainable: str, bottleneck: int) -> Net:
    """The encoder itself, or, on features that were extracted beforehand (``trainable: head``), what stands on them."""
    return Top(shape, n_classes, bottleneck) if trainable == "head" else Encoder(name, n_classes, trainable)
