"""One's own folders of images and recordings run from a short YAML."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from tests.test_own_data import own, paint, ran, suite, tone
from zoo.data import _audio, _images

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.mark.parametrize("executor", ["local", "processes"])
def test_a_folder_of_images_runs_and_no_path_reaches_an_adapter(zoo, tmp_path, executor):
    rng = np.random.default_rng(0)
    paint(tmp_path / "hush" / "day", rng, ("jpg", "png"), 60)
    paint(tmp_path / "hush" / "night", rng, ("JPEG", "png"), 0)
    path = suite(tmp_path, "imagefolder", "day: hush/day, night: hush/night", ", size: 32")
    plugin = tmp_path / "looks.py"
    plugin.write_text(LOOKS)
    args = ("run", path, "--methods", "dan,looks", "--pairs", "day:night", "--plugin", plugin, "--out", "run")
    done = zoo(*args, "--executor", executor)
    if executor == "local":  # where there is no vault, the attack finds what it looks for: it does work
        assert "found a path" in done.err + Path("run/records").joinpath(*os.listdir("run/records")).read_text()
        return
    assert done.code == 0, done.err
    table = zoo("table", "run", "--format", "json").json
    assert {"looks", "dan", "source_only"} <= {row["method"] for row in table["rows"]}
    assert json.loads(Path("run/run.json").read_text())["domains"]["day"]["n"] == 16


LOOKS = '''\
"""Walks every object of its process for a path of the images."""

import gc

from zoo.adapters.base import Mapping


class Looks(Mapping):
    """Fails where it finds one."""

    def fit_map(self, task):
        word = "".join(map(chr, (104, 117, 115, 104, 47)))  # not as a literal, which the walk would find
        seen, stack = set(), [*gc.get_objects(), vars(task)]
        while stack:
            thing = stack.pop()
            if id(thing) in seen:
                continue
            seen.add(id(thing))
            if type(thing) is str and word in thing:
                raise RuntimeError("found a path")
            stack.extend(gc.get_referents(thing))
'''


def test_a_folder_of_wav_files_runs(zoo, tmp_path):
    for d, rate in (("phone", 8000), ("studio", 44100)):
        for c, f in (("low", 300), ("high", 1500)):
            for i in range(6):
                kind = (np.int16, np.float32, np.uint8, np.int32)[i % 4]
                tone(tmp_path / d / c / f"{i}.wav", f + 10 * i, rate, 0.5 + 0.1 * i, kind, 1 + i % 2)
    path = suite(tmp_path, "audiofolder", "phone: phone, studio: studio", more="net: cnn\n")
    _, cells, _ = ran(zoo, path, "--steps", "30")
    assert min(cells.values()) == 1.0  # an octave apart, whatever the rate


@pytest.mark.parametrize(
    ("rate", "kind", "channels"),
    [(44100, np.int16, 2), (16000, np.float32, 1), (22050, np.int32, 1), (8000, np.uint8, 2), (48000, np.float64, 1)],
)
def test_a_recording_is_the_tone_at_8_khz(tmp_path, rate, kind, channels):
    wave = _audio.recording(tone(tmp_path / "a.wav", 440, rate, 0.5, kind, channels))
    assert (len(wave), wave.dtype) == (4000, np.float32)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(4000) / 8000)
    np.testing.assert_allclose(wave[200:-200], expected[200:-200], atol=0.02)


def test_channels_are_averaged_and_24_bits_read(tmp_path):
    left, right = np.full(100, 8000, np.int16), np.full(100, -4000, np.int16)
    wavfile.write(tmp_path / "a.wav", 8000, np.stack([left, right], 1))
    np.testing.assert_allclose(_audio.recording(tmp_path / "a.wav"), 2000 / 32768, rtol=1e-6)
    import wave

    with wave.open(str(tmp_path / "b.wav"), "wb") as file:
        file.setparams((1, 3, 8000, 0, "NONE", ""))
        file.writeframes((-(2**22)).to_bytes(3, "little", signed=True) * 50)
    np.testing.assert_array_equal(_audio.recording(tmp_path / "b.wav"), -0.5)


def _16_bits():
    return Image.fromarray(np.full((8, 8), 32896, np.uint16))


def _palette():
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    return image


@pytest.mark.parametrize(
    ("image", "name", "expected"),
    [
        (Image.new("RGB", (8, 8), (10, 200, 30)), "a.png", (10, 200, 30)),
        (Image.new("L", (8, 8), 77), "a.png", (77, 77, 77)),
        (Image.new("RGBA", (8, 8), (255, 0, 0, 51)), "a.png", (255, 204, 204)),  # a fifth of red on white
        (Image.new("LA", (8, 8), (0, 0)), "a.png", (255, 255, 255)),
        (_16_bits(), "a.png", (128, 128, 128)),  # 32896 = 128 × 257
        (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "a.jpg", (255, 0, 0)),
        (_palette(), "a.gif", (10, 200, 30)),
        (Image.new("1", (8, 8), 1), "a.png", (255, 255, 255)),
    ],
)
def test_images_of_any_mode_have_the_colours_seen(tmp_path, image, name, expected):
    (tmp_path / "c").mkdir()
    image.save(tmp_path / "c" / name)
    X, y = own("imagefolder", tmp_path, size=4).load("a", None)
    assert (X.shape, X.dtype, y.tolist()) == ((1, 3, 4, 4), np.uint8, ["c"])
    np.testing.assert_allclose(X[0].reshape(3, -1).T, np.tile(expected, (16, 1)), atol=2)  # JPEG: two levels
    np.testing.assert_array_equal(_images.decoded(tmp_path / "c" / name, 4), X[0])
