"""A fitted method as bytes, and back: `zoo run --keep model` and `zoo predict DIR --method NAME NEWFILE`.

These bytes are a pickle, for a fitted method may hold anything. A trusted worker makes them of the zoo's own methods;
the driver stores them and their hash and never looks inside. Taken up they are only in a process of strangers: made for
this, confined by the kernel, and ended with its answer. So a run folder from elsewhere can do no more than a plugin.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

STATE = ("adapter", "n_classes", "problem", "nodes", "shaped", "takes_sparse", "model")
LARGEST = 1 << 30  # bytes


def packed(session: Any, source: Any) -> np.ndarray | None:
    """What a session predicts by, `source` being the model whose features it sees; None where that cannot be kept."""
    import torch

    if session.nodes:  # whose numbers mean something with their graph only
        return None
    said = {name: getattr(session, name) for name in STATE} | {"source": source if session.embed else None}
    buffer = io.BytesIO()
    try:
        torch.save(said, buffer)
    except Exception:  # whatever cannot be pickled says so in its own way: such a cell is fitted again when asked
        return None
    return np.frombuffer(buffer.getvalue(), np.uint8) if buffer.tell() <= LARGEST else None


def take_up(session: Any, state: np.ndarray, device: str) -> None:
    """Let a session predict as the one did whose state these bytes are."""
    import torch

    said = torch.load(io.BytesIO(state.tobytes()), map_location=device, weights_only=False)
    for name in STATE:
        setattr(session, name, said[name])
    session.device, session.graphs, session.peak_is_ours = device, None, False
    session.embed = None if said["source"] is None else said["source"].embed
