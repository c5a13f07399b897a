"""Situations that people report of their folders of images and recordings."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.test_cases_data import domains, line, runs
from zoo.data import _cache
from zoo.data._own import Own

FOLDERS = "{format: imagefolder, domains: {a: a, b: b}, size: 16}"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))


def image(path, shade, seed=0, kind="JPEG", **more):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 40, (24, 24, 3)) + shade
    Image.fromarray(pixels.astype("u1")).save(path, format=kind, **more)


def filled(name="{d}/{c}/{i}.jpg", n=6):
    for k, d in enumerate("ab"):
        for c, shade in (("cat", 60), ("dog", 190)):
            for i in range(n):
                image(name.format(d=d, c=c, i=i), shade, seed=100 * k + 10 * i + shade)


def test_case04_folders_of_a_split_are_named_and_pooled_on_request():
    filled("{d}/train/{c}/{i}.jpg")
    filled("{d}/test/{c}/x{i}.jpg", 2)
    assert "a holds test and train with the classes below" in line(FOLDERS)
    pooled = "{format: imagefolder, domains: {a: [a/train, a/test], b: 'b/*'}, size: 16}"
    for _, data in (domains(pooled, "net: cnn\n"), runs("a", "b")):
        assert (data.classes, len(data.domains["b"].y)) == (["cat", "dog"], 16)


def test_case42_content_decides_and_droppings_are_ignored():
    filled()
    image("a/cat/7.jfif", 60, 7)
    image("a/cat/8", 60, 8, "PNG")
    image("a/cat/9.dat", 60, 9, "WEBP")
    image("a/dog/9.tiff", 190, 9, "TIFF")
    for dropping in ("a/__MACOSX/cat/._0.jpg", "a/cat/._0.jpg", "a/.DS_Store", "a/dog/Thumbs.db"):
        Path(dropping).parent.mkdir(parents=True, exist_ok=True)
        Path(dropping).write_bytes(b"\0\5\26\7")
    Path("a/cat/notes.txt").write_text("x")
    _, data = domains(FOLDERS, "net: cnn\n")
    assert (data.classes, len(data.domains["a"].y)) == (["cat", "dog"], 16)
    assert data.domains["a"].notes == ("left out: 1 file that is none of the kind: .txt (1)",)
    assert not data.domains["b"].notes
    runs("a", "b")


def test_links_are_followed_once():
    filled()
    Path("more").mkdir()
    image("more/1.jpg", 60, 3)
    Path("a/cat/more").symlink_to(Path("more").absolute())
    Path("more/again").symlink_to(Path("a/cat").absolute())
    assert len(domains(FOLDERS, "net: cnn\n")[1].domains["a"].y) == 13


def test_an_image_stands_as_its_exif_says():
    pixels = np.zeros((32, 32, 3), "u1")
    pixels[:16] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180°
    Path("a/c").mkdir(parents=True)
    Image.fromarray(pixels).save("a/c/0.png", exif=exif)
    X, _ = Own({"format": "imagefolder", "domains": {"a": "a"}, "size": 16}).load("a", None)
    assert X[0, 0, 0].max() == 0
    assert X[0, 0, -1].min() == 255


def test_names_of_classes_are_compared_in_nfc():
    for i in range(4):
        image(f"a/caf\u00e9/{i}.jpg", 60, i)
        image(f"b/cafe\u0301/{i}.jpg", 60, i + 9)
        for d in "ab":
            image(f"{d}/dog/{i}.jpg", 190, i + 20 * (d == "b"))
    assert domains(FOLDERS, "net: cnn\n")[1].classes == ["caf\u00e9", "dog"]


def test_case48_recordings_that_need_soundfile_say_so(monkeypatch):
    for d in "ab":
        for c in ("yes", "no"):
            Path(d, c).mkdir(parents=True)
            Path(d, c, "0.flac").write_bytes(b"fLaC" + bytes(100))
    real = importlib.import_module

    def without(name, *args):
        if name == "soundfile":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(importlib, "import_module", without)
    assert "a flac file needs soundfile: pip install 'zoo[audio]'" in line(
        "{format: audiofolder, domains: {a: a, b: b}}"
    )


def test_a_cache_that_cannot_be_written_is_replaced_and_said(monkeypatch, capsys, tmp_path):
    filled()
    Path("file").touch()
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "file" / "cache"))
    _cache._writable.cache_clear()
    assert len(domains(FOLDERS, "net: cnn\n")[1].domains["a"].y) == 12
    said = capsys.readouterr().err
    assert said.count("cannot be written") == 1
    assert "choose another with ZOO_CACHE" in said
