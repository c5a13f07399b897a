"""Photographs: the image cache, torchvision's networks, frozen features, augmentation."""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from zoo import discover, nets
from zoo.bench import suite
from zoo.data import _cache, _images
from zoo.data.domainnet import Domainnet
from zoo.data.office_home import OfficeHome
from zoo.errors import BadInput
from zoo.kinds import images
from zoo.nets import _torchvision
from zoo.ops.augment import crop, crop_flip
from zoo.train import Budget, Streams, run


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def office31(tmp_path):
    """A tree like Office-31's, with 3 classes that colour tells, 5 to 7 images each."""
    rng = np.random.default_rng(0)
    for domain, light in (("amazon", 60), ("dslr", 90), ("webcam", 120)):
        for c, name in enumerate(("bike", "mouse", "mug")):
            folder = tmp_path / "office31" / domain / "images" / name
            folder.mkdir(parents=True)
            for i in range(7):
                pixels = rng.integers(0, light, (60, 80 + 5 * i, 3))
                pixels[..., c] += 120
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"frame_{i}.jpg", quality=95)
    return tmp_path


@pytest.fixture
def weights(tmp_path):
    """A state dict of a small torchvision model with random weights."""
    from torchvision.models import mobilenet_v3_small

    torch.manual_seed(0)
    path = tmp_path / "small.pt"
    torch.save(mobilenet_v3_small(weights=None).state_dict(), path)
    return path


def test_images_are_torchvisions_resize_and_crop(tmp_path):
    """Short side to the size, centre square, as torchvision's Resize and CenterCrop; to two grey levels."""
    from torchvision.transforms import v2

    rng = np.random.default_rng(0)
    ramp = np.add.outer(np.arange(300), np.arange(400))[..., None] // 3 + np.array([0, 5, 9])
    image = Image.fromarray((ramp + rng.integers(0, 3, ramp.shape)).astype(np.uint8))
    image.save(tmp_path / "a.png")
    ours = _images.decoded(tmp_path / "a.png", 64)
    steps = v2.Compose([v2.PILToTensor(), v2.Resize(64, antialias=True), v2.CenterCrop(64)])
    theirs = steps(image).numpy()
    assert ours.shape == (3, 64, 64)
    assert np.abs(ours.astype(int) - theirs).max() <= 2


def test_the_cache_is_keyed_by_content_and_memory_mapped(office31, monkeypatch):
    files, labels = _images.tree(office31 / "office31/amazon/images")
    first = _images.load(files, 32)
    assert isinstance(first, np.memmap)
    assert first.dtype == np.uint8
    assert first.shape == (21, 3, 32, 32)
    assert sorted(set(labels)) == ["bike", "mouse", "mug"]
    monkeypatch.setattr(_images, "decoded", lambda *a: pytest.fail("decoded again"))
    moved = [f.rename(f.with_name(f"x{f.name}")) for f in files]
    again = _images.load(moved, 32)
    assert _cache.key_of(again) == _cache.key_of(first)
    monkeypatch.undo()
    Image.new("RGB", (50, 50), "red").save(moved[0])
    assert _cache.key_of(_images.load(moved, 32)) != _cache.key_of(first)


def test_a_damaged_image_is_named_and_leaves_no_cache(office31):
    files, _ = _images.tree(office31 / "office31/amazon/images")
    files[3].write_bytes(files[3].read_bytes()[:300])
    with pytest.raises(BadInput, match=re.escape(f"{files[3]} cannot be read as an image")):
        _images.load(files, 32)
    assert not [p for p in _cache.folder().rglob("*") if p.is_file()]


def test_standard_trees(tmp_path):
    for folder in ("Real World", "Art"):
        for c in ("Alarm_Clock", "Bed"):
            (tmp_path / "office_home" / folder / c).mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(tmp_path / "office_home" / folder / c / "00001.jpg")
    X, y = OfficeHome().load("real_world", tmp_path)
    assert X.shape == (2, 3, 256, 256)
    assert list(y) == ["Alarm_Clock", "Bed"]
    (tmp_path / "domainnet/real/axe").mkdir(parents=True)
    for name in ("a", "b", "unlisted"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"domainnet/real/axe/{name}.png")
    for part, name in (("train", "a"), ("test", "b")):
        (tmp_path / f"domainnet/real_{part}.txt").write_text(f"real/axe/{name}.png 3\n")
    X, y = Domainnet().load("real", tmp_path)
    assert list(y) == ["axe", "axe"]
    (tmp_path / "domainnet/real_test.txt").write_text("real/axe/b.png\n")
    with pytest.raises(BadInput, match=r"real_test\.txt:1: expected 'PATH LABEL'"):
        Domainnet().load("real", tmp_path)


LARGE = [pytest.param(n, marks=pytest.mark.faults) for n in ("vgg11", "vit_b_32", "convnext_tiny", "densenet121")]


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", *LARGE])
def test_the_split_is_the_whole_model(name):
    """Head on features is the model as torchvision has it, with its own last layer and normalisation."""
    from torchvision import models
    from torchvision.transforms.v2.functional import normalize

    torch.manual_seed(0)
    whole = models.get_model(name, weights=None).eval()
    body, width = _torchvision._headless(name)
    state = whole.state_dict()
    body.load_state_dict({k: state[k] for k in body.state_dict()})
    last = [m for m in whole.modules() if isinstance(m, nn.Linear)][-1]
    net = nets.build(name, (3, 256, 256), 7).eval()
    net.body.load_state_dict(body.state_dict())
    assert net.width == width == last.in_features
    x = torch.randint(0, 256, (2, 3, 256, 256), dtype=torch.uint8)
    with torch.no_grad():
        theirs = whole(normalize(x[..., 16:240, 16:240] / 255, list(_torchvision.MEAN), list(_torchvision.STD)))
        torch.testing.assert_close(last(net.features(x)), theirs, rtol=1e-3, atol=1e-4)
        assert net(x).shape == (2, 7)


def test_all_names_that_are_listed_are_torchvisions():
    from torchvision import models

    assert discover.torchvision_nets() == sorted(models.list_models(module=models))


@pytest.mark.parametrize(("trainable", "moving"), [("all", 9), ("top:2", 2), ("top:1", 1)])
def test_what_is_trainable(trainable, moving):
    """Of resnet18's blocks (conv1 with norm, 8 residual units) the last N move, with neck and head; the rest stays."""
    torch.manual_seed(0)
    net = nets.build("resnet18", (3, 64, 64), 3, trainable=trainable, bottleneck=16)
    blocks = nets.units(net.body)
    assert len(blocks) == 9
    before = {k: v.clone() for k, v in net.state_dict().items()}
    X = torch.randint(0, 256, (12, 3, 64, 64), dtype=torch.uint8)
    y = torch.arange(12) % 3
    run(net, Streams(s=(X, y)), Budget(steps=2, batch_size=4, augment="crop_flip"))
    moved = {k for k, v in net.state_dict().items() if not torch.equal(v, before[k])}
    names = {id(p): n for n, p in net.named_parameters()}
    assert [any(names[id(p)] in moved for p in b) for b in blocks] == [i >= 9 - moving for i in range(9)]
    assert any(k.startswith("neck") for k in moved)
    assert "head.weight" in moved


def test_folded_batch_norm_keeps_its_statistics(tmp_path):
    from torchvision.models import resnet18

    model = resnet18(weights=None)
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.running_var.fill_(1 - m.eps)
    torch.save(model.state_dict(), tmp_path / "folded.pt")
    net = nets.build("resnet18", (3, 64, 64), 3, weights=str(tmp_path / "folded.pt")).train()
    assert not any(m.training for m in net.modules() if isinstance(m, nn.BatchNorm2d))
    assert all(m.training for m in nets.build("resnet18", (3, 64, 64), 3).train().modules())


def test_every_sample_has_its_own_crop_and_mirroring():
    """Each output is one of the crops of its image, mirrored or not; both happen, at many places."""
    x = torch.arange(3 * 32 * 32).view(1, 3, 32, 32).repeat(60, 1, 1, 1)
    out = crop_flip(x, torch.Generator().manual_seed(0))
    assert out.shape == (60, 3, 28, 28)
    seen = set()
    for view in out:
        mirrored = bool(view[0, 0, 0] > view[0, 0, 1])
        view = view.flip(-1) if mirrored else view
        top, left = divmod(int(view[0, 0, 0]), 32)
        assert torch.equal(view, x[0, :, top : top + 28, left : left + 28])
        seen.add((top, left, mirrored))
    assert len(seen) > 25
    assert {m for *_, m in seen} == {True, False}
    assert torch.equal(crop(x)[0], x[0, :, 2:30, 2:30])


SUITE = """dataset: office31
net: mobilenet_v3_small
normalise: [zscore]
steps: 5
batch_size: 4
seeds: 1
pairs: ['amazon:webcam', 'dslr:webcam']
methods: [source_only, coral, dann]
"""


def test_frozen_features_are_extracted_once(office31, weights, zoo, tmp_path, monkeypatch):
    """The second run extracts nothing; the features are the network's, whatever the batch; both learners see them."""
    (tmp_path / "mine.yaml").write_text(SUITE)
    command = ("run", tmp_path / "mine.yaml", "--weights", weights, "--data-root", office31, "--out", tmp_path / "run")
    done = zoo(*command)
    assert done.code == 0, done.err
    assert done.err.count("extracting") == 3
    assert re.search(r"^\| source_only +\| logistic@mobilenet_v3_small ", done.out, re.M)
    assert re.search(r"^\| dann +\| mobilenet_v3_small ", done.out, re.M)
    assert "weights small.pt (sha256" in done.out
    again = zoo(*command[:-1], tmp_path / "again")
    assert "extracting" not in again.err
    ids = [json.loads((tmp_path / r / "run.json").read_text())["rows"]["dann"]["cells"] for r in ("run", "again")]
    assert ids[0] == ids[1]
    assert str(weights) not in (tmp_path / "run/run.json").read_text().split('"command"')[0]

    s = suite.load(str(tmp_path / "mine.yaml"), {"weights": str(weights)})
    X, _ = s.source.load("webcam", office31)
    net = nets.build("mobilenet_v3_small", (3, 256, 256), 2, weights=str(weights)).eval()
    with torch.no_grad():
        expected = net.features(torch.from_numpy(np.array(X[5:8]))).numpy()
    np.testing.assert_allclose(images.frozen(s, X)[5:8], expected, rtol=1e-4, atol=1e-5)


def test_other_weights_or_images_are_other_cells(office31, weights, tmp_path):
    (tmp_path / "mine.yaml").write_text(SUITE)

    def content(file):
        s = suite.load(str(tmp_path / "mine.yaml"), {"weights": str(file)})
        data = s.kind.load(s, [("amazon", "webcam")], office31)
        assert data.domains["amazon"].X.shape == (21, 1024)
        return data.domains["amazon"].content

    before = content(weights)
    state = torch.load(weights, weights_only=True)
    torch.save({k: v * 2 if k == "features.0.0.weight" else v for k, v in state.items()}, tmp_path / "other.pt")
    assert content(tmp_path / "other.pt") != before
    (tmp_path / "same.pt").write_bytes(weights.read_bytes())
    assert content(tmp_path / "same.pt") == before


@pytest.mark.slow
def test_fine_tuning_sees_images_and_base_learners_frozen_features(office31, weights, zoo, tmp_path):
    (tmp_path / "mine.yaml").write_text(SUITE + "trainable: top:1\naugment: crop_flip\n")
    done = zoo("run", tmp_path / "mine.yaml", "--weights", weights, "--data-root", office31, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "trainable top:1, bottleneck 256" in done.out
    assert re.search(r"^\| coral +\| logistic@mobilenet_v3_small .*\d\d\.\d", done.out, re.M)
    assert re.search(r"^\| dann +\| mobilenet_v3_small .*\d\d\.\d", done.out, re.M)


@pytest.mark.parametrize(
    ("extra", "line"),
    [
        (
            ["--weights", "nope.pt"],
            "weights: nope.pt is not there; give a file with a state dict of mobilenet_v3_small",
        ),
        (["--trainable", "head"], "trainable: head needs weights"),
        (["--trainable", "half"], "--trainable: string should match pattern"),
        (["--net", "resnet_18"], "net 'resnet_18'"),
        (["--net", "cnn", "--weights", "WEIGHTS"], "only torchvision's models take weights, not net cnn"),
        (
            ["--net", "resnet18", "--weights", "WEIGHTS"],
            "do not fit resnet18: 100 keys are missing, such as conv1.we",
        ),
        (
            ["--weights", "IMAGENET1K_V9"],
            "V9: mobilenet_v3_small has IMAGENET1K_V1 (or default), or give a file",
        ),
        (["--weights", "TEXT"], "cannot be read as a state dict"),
        (["--weights", "PICKLE"], "cannot be read as a state dict"),
    ],
)
def test_bad_input_is_one_line(office31, weights, zoo, tmp_path, monkeypatch, extra, line):
    """PICKLE would run code on loading, were it not for weights_only."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(SUITE)
    (tmp_path / "text").write_text("no weights")
    torch.save(BadInput("an object, not tensors"), tmp_path / "pickle")
    names = {"WEIGHTS": weights, "TEXT": tmp_path / "text", "PICKLE": tmp_path / "pickle"}
    done = zoo("run", "mine.yaml", "--data-root", office31, *(names.get(e, e) for e in extra), "--out", "run")
    assert done.code == 2
    assert line in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_torchvision_net_needs_photographs(zoo):
    done = zoo("run", "quickstart", "--net", "resnet18")
    assert done.code == 2
    assert "net resnet18: a torchvision model needs colour images from files" in done.err
