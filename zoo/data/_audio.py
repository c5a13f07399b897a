"""Recordings as log-mel images of one second; shared by the spoken digits and by folders of wav files."""

from __future__ import annotations

import importlib
import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo import plain
from zoo.errors import BadInput

if TYPE_CHECKING:
    import torch

PACKED = (".flac", ".ogg", ".oga", ".mp3", ".aif", ".aiff", ".opus")
RATE = 8000  # samples a second, of every recording
LOWEST, HIGHEST = 1000, 400_000  # samples a second of a recording that somebody made
MELS, FRAMES = 32, 32
WINDOW, HOP = 512, 256  # 64 ms every 32 ms: 32 frames are a second, which holds 99 % of the spoken digits whole
SECOND = HOP * FRAMES
FLOOR = 80.0  # dB below a recording's loudest point that count as silence


def read(path: Path) -> tuple[int, np.ndarray]:
    """Rate and samples of a recording, as they stand in it.

    Raises
    ------
    BadInput
        It cannot be read, or holds no sound.
    """
    from scipy.io import wavfile

    if why := plain.trouble(path, "file"):
        raise BadInput(f"{path} {why}")
    if path.suffix.lower() in PACKED:
        return _packed(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", wavfile.WavFileWarning)  # a file that ends too early is only warned of
            warnings.filterwarnings("ignore", "Chunk", wavfile.WavFileWarning)  # notes beside the sound
            rate, wave = wavfile.read(path)
    except Exception as error:  # a damaged file raises nearly anything: ValueError, struct.error, EOFError
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise BadInput(f"{path} cannot be read as a wav file: {reason}") from None
    return _judged(path, rate, wave)


def _packed(path: Path) -> tuple[int, np.ndarray]:
    """Of a flac, ogg or mp3 file, through soundfile."""
    try:
        soundfile = importlib.import_module("soundfile")
    except (ImportError, OSError):  # the latter where libsndfile is not there
        raise BadInput(f"{path}: a {path.suffix[1:]} file needs soundfile: pip install 'zoo[audio]'") from None
    try:
        wave, rate = soundfile.read(path, dtype="float32")
    except Exception as error:  # a damaged file raises its own errors, and others
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise BadInput(f"{path} cannot be read as a {path.suffix[1:]} file: {reason}") from None
    return _judged(path, rate, wave)


def _judged(path: Path, rate: int, wave: np.ndarray) -> tuple[int, np.ndarray]:
    if not len(wave):
        raise BadInput(f"{path} holds no sound")
    if not LOWEST <= rate <= HIGHEST:  # others would take endless memory to resample
        raise BadInput(f"{path} has {rate} samples a second: expected {LOWEST} to {HIGHEST}")
    return rate, wave


def recording(path: Path) -> np.ndarray:
    """The samples of any recording, float32 in [-1, 1]: channels averaged, resampled to `RATE`.

    Raises
    ------
    BadInput
        It cannot be read, holds no sound, or NaN.
    """
    rate, wave = read(path)
    kind = wave.dtype
    with np.errstate(invalid="ignore"):  # NaN are refused below
        wave = wave.astype(np.float64)
    if kind.kind == "u":  # 8 bits, silence at 128
        wave = wave / 128 - 1
    elif kind.kind == "i":  # scipy gives 24 bits as the upper ones of 32
        wave /= 2.0 ** (8 * kind.itemsize - 1)
    if not np.isfinite(wave).all():
        raise BadInput(f"{path} holds NaN or infinity")
    if wave.ndim > 1:
        wave = wave.mean(1)
    if rate != RATE:
        from scipy.signal import resample_poly

        common = math.gcd(rate, RATE)
        wave = resample_poly(wave, RATE // common, rate // common)
    return wave.astype(np.float32)


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
    """Waves [n, SECOND] to images [n, 1, MELS, FRAMES] in [0, 1], in dB below the loudest point of each."""
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
