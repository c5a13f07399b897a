"""Spoken digits: the files as they are, files made to the same layout, and what is wrong in one."""

import numpy as np
import pytest
from scipy.io import wavfile

from tests.test_data_real import DATA, needs, refused
from zoo.data import _audio, fsdd
from zoo.data.fsdd import Fsdd


def speak(root, name="0_theo_0", *, rate=8000, wave=None):
    path = root / "fsdd" / "recordings" / f"{name}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(4000) / rate)).astype(np.int16)
    wavfile.write(path, rate, tone if wave is None else wave)
    return path


def test_log_mel_is_scipy_with_bands_by_hand(tmp_path):
    """The whole transform again, band by band and frame by frame, from scipy's Fourier transform and window."""
    from scipy.fft import rfft
    from scipy.signal import get_window

    rng = np.random.default_rng(0)
    wave = (rng.normal(size=6001) * np.linspace(3000, 1, 6001)).astype(np.int16)
    speak(tmp_path, "7_theo_3", wave=wave)
    speak(tmp_path)
    X, y = Fsdd().load("theo", tmp_path)
    assert y.tolist() == ["0", "7"]
    second = np.zeros(8192 + 256)
    second[128 + 1095 : 128 + 1095 + 6001] = wave / 2**15
    mel = np.linspace(0, 2595 * np.log10(1 + 4000 / 700), 34)
    corner = 700 * (10 ** (mel / 2595) - 1)
    f = np.arange(257) * 8000 / 512
    power = np.empty((32, 32))
    for t in range(32):
        spectrum = np.abs(rfft(second[256 * t : 256 * t + 512] * get_window("hann", 512))) ** 2
        for b in range(32):
            power[b, t] = np.interp(f, corner[b : b + 3], [0, 1, 0]) @ spectrum
    expected = np.clip(1 + 10 * np.log10(np.maximum(power, 1e-38) / power.max()) / 80, 0, 1)
    np.testing.assert_allclose(X[1, 0], expected, atol=1e-4)
    assert (expected == 0).any()
    assert ((expected > 0) & (expected < 1)).any()


@pytest.mark.parametrize("f", [300, 1000, 2500])
def test_a_tone_lies_in_the_band_about_it(tmp_path, f):
    import torch

    wave = np.sin(2 * np.pi * f * np.arange(8192) / 8000).astype(np.float32)
    image = _audio.log_mel(torch.from_numpy(wave)[None])[0, 0]
    peaks = 700 * (10 ** (np.linspace(0, 2146.07, 34)[1:-1] / 2595) - 1)
    assert set(image[:, 2:-2].argmax(0).tolist()) == {int(np.abs(peaks - f).argmin())}
    np.testing.assert_allclose(image[:, 5], image[:, 20], atol=1e-2)  # a steady tone looks the same at any time


def test_loudness_makes_no_difference_and_silence_is_zero():
    import torch

    wave = torch.randn(2, 8192, generator=torch.Generator().manual_seed(0)) * 0.1
    torch.testing.assert_close(_audio.log_mel(wave), _audio.log_mel(0.01 * wave), atol=1e-5, rtol=0)
    assert _audio.log_mel(torch.zeros(1, 8192)).max() == 0
    assert _audio.log_mel(wave).amax((1, 2, 3)).tolist() == [1, 1]


def test_every_band_hears_something():
    bands = _audio.mel_bands()
    assert bands.shape == (32, 257)
    assert bands.min() == 0
    assert (bands.max(1).values > 0.5).all()
    f = np.arange(257) * 8000 / 512
    peaks = 700 * (10 ** (np.linspace(0, 2146.07, 34)[1:-1] / 2595) - 1)
    between = (f > peaks[0]) & (f < peaks[-1])
    np.testing.assert_allclose(bands.sum(0)[between], 1, atol=1e-4)  # neighbours cross-fade


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"wave": np.zeros((100, 2), np.int16)}, "has 2 channels: expected mono"),
        ({"rate": 44100}, "has 44100 samples a second: expected 8000"),
        ({"wave": np.zeros(100, np.float32)}, "holds float32 samples: expected 16-bit integers"),
        ({"wave": np.zeros(100, np.uint8)}, "holds uint8 samples: expected 16-bit integers"),
    ],
)
def test_a_wav_file_of_another_kind_is_named(tmp_path, given, words):
    speak(tmp_path)
    refused(Fsdd(), "theo", tmp_path, speak(tmp_path, "3_theo_1", **given), words)


@pytest.mark.parametrize(
    ("keep", "words"),
    [(0, "cannot be read as a wav file: "), (30, "cannot be read as a wav file: "), (4000, "cannot be read as a wav")],
)
def test_a_truncated_wav_file_is_named(tmp_path, keep, words):
    speak(tmp_path)
    path = speak(tmp_path, "3_theo_1")
    path.write_bytes(path.read_bytes()[:keep])
    refused(Fsdd(), "theo", tmp_path, path, words)


def test_a_recording_of_nothing_and_a_missing_one_are_named(tmp_path):
    path = tmp_path / "fsdd" / "recordings" / "0_theo_0.wav"
    refused(
        Fsdd(),
        "theo",
        tmp_path,
        path,
        "`zoo data fetch fsdd` gets it, or says how; origin: the Free Spoken Digit Dataset",
    )
    refused(Fsdd(), "theo", tmp_path, speak(tmp_path, wave=np.zeros(0, np.int16)), "holds no sound")
    path.write_bytes(b"<html>404 Not Found</html>")
    refused(Fsdd(), "theo", tmp_path, path, "cannot be read as a wav file: ")


def test_notes_beside_the_sound_are_no_fault(tmp_path):
    path = speak(tmp_path)
    before = fsdd.recording(path)
    sound = path.read_bytes()
    note = sound + b"note" + (4).to_bytes(4, "little") + b"take"
    path.write_bytes(note[:4] + (len(note) - 8).to_bytes(4, "little") + note[8:])
    np.testing.assert_array_equal(fsdd.recording(path), before)


@needs("fsdd")
@pytest.mark.parametrize("speaker", Fsdd.domains)
def test_fsdd_shapes(speaker):
    X, y = Fsdd().load(speaker, DATA)
    assert (X.shape, X.dtype) == ((200, 1, 32, 32), np.float32)
    assert X.min() == 0
    assert (X.max((1, 2, 3)) == 1).all()
    assert np.unique(y, return_counts=True)[1].tolist() == [20] * 10


@needs("fsdd")
def test_spoken_digits_can_be_told_apart_but_another_speakers_hardly():
    from sklearn.linear_model import LogisticRegression

    data = {s: Fsdd().load(s, DATA) for s in ("george", "theo")}
    (X, y), (Z, digits) = ((X.reshape(200, -1), y) for X, y in data.values())
    train = np.arange(200) % 5 > 0
    model = LogisticRegression(C=0.1, max_iter=200).fit(X[train], y[train])
    assert model.score(X[~train], y[~train]) > 0.8
    assert 0.1 < model.score(Z, digits) < 0.7
