from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.data.base import Dataset
from zoo.errors import BadInput

if TYPE_CHECKING:
    import torch

RATE = 8000  # samples a second, of every recording
MELS, FRAMES = 32, 32
WINDOW, HOP = 512, 256  # 64 ms every 32 ms: 32 frames are a second, which holds 99 % of the recordings whole
FLOOR = 80.0  # dB below a recording's loudest point that count as silence


class Fsdd(Dataset):
    """Spoken digits of six speakers, as log-mel spectrograms of one second: 32 mel bands × 32 frames, 8 kHz.

    A recording is set in the middle of its second (a longer one loses both ends); its power in 32 triangular mel bands
    from 0 to 4 kHz, in windows of 64 ms every 32 ms, is given in dB below its loudest point: 1 there, 0 at 80 dB and
    more below. No statistic of other recordings is used. Low bands come first.
    """

    domains = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
    images = True
    cite = "jackson2016free"
    origin = "the Free Spoken Digit Dataset, github.com/Jakobovski/free-spoken-digit-dataset"
    licence = "CC BY-SA 4.0"
    folder = "fsdd"

    def load(self, domain: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        folder = self.file(root, f"recordings/0_{domain}_0.wav").parent
        files = sorted(folder.glob(f"[0-9]_{domain}_*.wav"))
        waves = np.stack([centred(recording(path), HOP * FRAMES) for path in files])
        import torch

        return log_mel(torch.from_numpy(waves)).numpy(), np.array([path.name[0] for path in files])


def recording(path: Path) -> np.ndarray:
    """The samples of a wav file, float32 in [-1, 1).

    Raises
    ------
    BadInput
        It cannot be read, or is not 8 kHz, mono, 16 bit.
    """
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", wavfile.WavFileWarning)  # a file that ends too early is only warned of
            warnings.filterwarnings("ignore", "Chunk", wavfile.WavFileWarning)  # notes beside the sound
            rate, wave = wavfile.read(path)
    except Exception as error:  # a damaged file raises nearly anything: ValueError, struct.error, EOFError
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise BadInput(f"{path} cannot be read as a wav file: {reason}") from None
    if wave.ndim != 1:
        raise BadInput(f"{path} has {wave.shape[1]} channels: expected mono")
    if rate != RATE:
        raise BadInput(f"{path} has {rate} samples a second: expected {RATE}")
    if wave.dtype != np.int16:
        raise BadInput(f"{path} holds {wave.dtype} samples: expected 16-bit integers")
    if not len(wave):
        raise BadInput(f"{path} holds no sound")
    return wave.astype(np.float32) / 2**15


def centred(wave: np.ndarray, n: int) -> np.ndarray:
    """Exactly `n` samples with the recording in their middle: silence added, or both ends cut.

    >>> centred(np.array([1, 2, 3]), 6), centred(np.array([1, 2, 3, 4]), 2)
    (array([0, 1, 2, 3, 0, 0]), array([2, 3]))
    """
    cut = max(len(wave) - n, 0) // 2
    wave = wave[cut : cut + n]
    before = (n - len(wave)) // 2
    return np.pad(wave, (before, n - len(wave) - before))


def log_mel(waves: torch.Tensor) -> torch.Tensor:
    """Waves [n, HOP * FRAMES] to images [n, 1, MELS, FRAMES] in [0, 1], in dB below the loudest point of each."""
    import torch

    # Frame i is centred on the middle of the i-th hop.
    margin = (WINDOW - HOP) // 2
    spectra = torch.stft(
        torch.nn.functional.pad(waves, (margin, margin)),
        WINDOW,
        HOP,
        window=torch.hann_window(WINDOW),
        center=False,
        return_complex=True,
    )
    power = mel_bands() @ spectra.abs().square()
    tiny = torch.finfo(power.dtype).tiny  # digital silence is silence everywhere
    decibels = 10 * (power.clamp(min=tiny).log10() - power.amax((1, 2), keepdim=True).clamp(min=1e-12).log10())
    return (1 + decibels / FLOOR).clamp(0, 1)[:, None]


def mel_bands() -> torch.Tensor:
    """Triangular filters [MELS, WINDOW // 2 + 1], their corners evenly spaced in mel = 2595 log10(1 + f / 700)."""
    import torch

    top = 2595 * np.log10(1 + RATE / 2 / 700)
    corners = 700 * (10 ** (torch.linspace(0, top, MELS + 2, dtype=torch.float64) / 2595) - 1)
    low, peak, high = (corners[i : i + MELS, None] for i in range(3))
    f = torch.linspace(0, RATE / 2, WINDOW // 2 + 1, dtype=torch.float64)
    return torch.minimum((f - low) / (peak - low), (high - f) / (high - peak)).clamp(min=0).float()
