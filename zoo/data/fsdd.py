from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data import _audio
from zoo.data.base import Dataset
from zoo.errors import BadInput


class Fsdd(Dataset):
    """Spoken digits of six speakers, as log-mel spectrograms of one second: 32 mel bands × 32 frames, 8 kHz.

    A recording is set in the middle of its second (a longer one loses both ends); its power in 32 triangular mel bands
    from 0 to 4 kHz, in windows of 64 ms every 32 ms, is given in dB below its loudest point: 1 there, 0 at 80 dB and
    more below. No statistic of other recordings is used. Low bands come first.
    """

    domains = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
    kind = "images"
    cite = "jackson2016free"
    origin = "the Free Spoken Digit Dataset, github.com/Jakobovski/free-spoken-digit-dataset"
    licence = "CC BY-SA 4.0"
    folder = "fsdd"

    def load(self, domain: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        folder = self.file(root, f"recordings/0_{domain}_0.wav").parent
        files = sorted(folder.glob(f"[0-9]_{domain}_*.wav"))
        waves = np.stack([_audio.centred(recording(path), _audio.SECOND) for path in files])
        import torch

        return _audio.log_mel(torch.from_numpy(waves)).numpy(), np.array([path.name[0] for path in files])


def recording(path: Path) -> np.ndarray:
    """The samples of a wav file, float32 in [-1, 1).

    Raises
    ------
    BadInput
        It cannot be read, or is not 8 kHz, mono, 16 bit.
    """
    rate, wave = _audio.read(path)
    if wave.ndim != 1:
        raise BadInput(f"{path} has {wave.shape[1]} channels: expected mono")
    if rate != _audio.RATE:
        raise BadInput(f"{path} has {rate} samples a second: expected {_audio.RATE}")
    if wave.dtype != np.int16:
        raise BadInput(f"{path} holds {wave.dtype} samples: expected 16-bit integers")
    return wave.astype(np.float32) / 2**15
