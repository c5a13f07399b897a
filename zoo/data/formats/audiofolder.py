from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from zoo.data import _audio
from zoo.data.formats.base import Folder


class Audiofolder(Folder):
    """A folder per class with recordings (wav; by soundfile flac, ogg, mp3): log-mel of their middle second, 8 kHz."""

    keys = ()
    suffixes = (".wav", *_audio.PACKED)

    def read(self) -> tuple[np.ndarray, np.ndarray, tuple[Any, ...]]:
        import torch

        files, y = self.tree()
        waves = np.stack([_audio.centred(_audio.recording(path), _audio.SECOND) for path in files])
        X = _audio.log_mel(torch.from_numpy(waves)).numpy()
        return X, y, X.shape[1:]

    def described(self, path: Path) -> str:
        rate, wave = _audio.read(path)
        return f"{rate} Hz {wave.dtype}, {wave[:1].size} channel{'s' * (wave.ndim > 1)}"
