"""torchvision's models: each is split by itself, blocks are found, weights in any usual wrapping fit or are refused."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from zoo import nets
from zoo.errors import BadInput
from zoo.nets import _torchvision

SIDE = {"inception_v3": 299}


FAMILIES = ("alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "inception_v3", "maxvit_t")
FAMILIES += ("mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_x_400mf", "resnet18", "resnext50_32x4d")
FAMILIES += ("shufflenet_v2_x0_5", "squeezenet1_0", "swin_t", "swin_v2_t", "vgg11", "vgg11_bn", "vit_b_32")
EVERY = sorted(models.list_models(models))


@pytest.mark.parametrize("name", [n if n in FAMILIES else pytest.param(n, marks=pytest.mark.faults) for n in EVERY])
def test_every_model_is_split(name, monkeypatch):
    """f1 gives [n, width]; what was cut off is one layer, which makes ImageNet's classes of that width."""
    for init in [k for k in vars(nn.init) if k.endswith("_") and not k.startswith("_")]:
        monkeypatch.setattr(nn.init, init, lambda tensor, *a, **k: tensor)  # weights that nobody touches cost nothing
    body, width = _torchvision._headless(name)
    whole = models.get_model(name, weights=None)
    body.to("meta")
    x = torch.empty(2, 3, SIDE.get(name, 224), SIDE.get(name, 224), device="meta")
    assert body.eval()(x).flatten(1).shape == (2, width)
    gone = whole.state_dict().keys() - body.state_dict().keys()
    cut = {k: v for k, v in whole.state_dict().items() if k in gone and not k.startswith(_torchvision.AUXILIARY)}
    assert len({k.rpartition(".")[0] for k in cut}) == 1
    assert [tuple(v.shape[:2]) for k, v in cut.items() if k.endswith("weight")] == [(1000, width)]
    blocks = nets.units(body)
    assert len(blocks) >= 5
    assert len({id(p) for b in blocks for p in b}) == sum(map(len, blocks))


@pytest.mark.parametrize(
    ("name", "n", "first"),
    [
        ("resnet18", 2, "layer4.0"),
        ("mobilenet_v2", 1, "features.18"),
        ("vgg11", 2, "classifier.0"),
        ("vit_b_16", 1, "encoder.layers.encoder_layer_11"),
        ("convnext_tiny", 3, "features.7.0"),
        ("swin_t", 2, "features.7.0"),
        ("efficientnet_b0", 2, "features.7.0"),
        ("regnet_x_400mf", 1, "trunk_output.block4.block4-11"),
        ("densenet121", 1, "features.denseblock4"),
    ],
)
def test_top_n_moves_the_last_blocks(name, n, first):
    """resnet18's last two units, the last encoder layer of a ViT: named as torchvision names them."""
    net = _torchvision.Backbone(name, 3, trainable=f"top:{n}")
    moved = {k for k, p in net.body.named_parameters() if p.requires_grad}
    assert moved
    order = [k for k, _ in net.body.named_parameters()]
    start = next(i for i, k in enumerate(order) if k.startswith(f"{first}."))
    assert moved == set(order[start:])
    assert all(p.requires_grad for p in net.head.parameters())


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(0)
    return models.resnet18(weights=None).state_dict()


@pytest.mark.parametrize("kind", ["plain", "state_dict", "model", "module", "safetensors", "other_head", "no_counts"])
def test_weights_in_any_wrapping(kind, state, tmp_path):
    path = tmp_path / ("w.safetensors" if kind == "safetensors" else "w.pt")
    if kind == "safetensors":
        save_file(state, path)
    elif kind in ("state_dict", "model"):
        torch.save({kind: state, "epoch": 3}, path)
    elif kind == "module":
        torch.save({f"module.{k}": v for k, v in state.items()}, path)
    elif kind == "other_head":
        torch.save(state | {"fc.weight": torch.zeros(7, 512), "fc.bias": torch.zeros(7)}, path)
    elif kind == "no_counts":
        torch.save({k: v for k, v in state.items() if "num_batches" not in k}, path)
    else:
        torch.save(state, path)
    net = nets.build("resnet18", (3, 64, 64), 2, weights=str(path))
    assert torch.equal(net.body.layer4[1].conv2.weight, state["layer4.1.conv2.weight"])


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda s: {k: v for k, v in s.items() if "layer4" not in k}, "25 keys are missing, such as layer4.0.conv1.we"),
        (lambda s: s | {"layer5.weight": torch.zeros(1)}, "1 keys are unknown to it, such as layer5.weight"),
        (
            lambda s: s | {"conv1.weight": torch.zeros(64, 1, 7, 7)},
            "1 have another shape, such as conv1.weight with (64, 1, 7, 7), not (64, 3, 7, 7)",
        ),
        (lambda s: {"a": torch.zeros(1)}, "100 keys are missing, such as conv1.weight; 1 keys are unknown to it"),
    ],
)
def test_wrong_weights_are_one_line(change, line, state, tmp_path):
    torch.save(change(state), tmp_path / "w.pt")
    with pytest.raises(BadInput) as error:
        _torchvision.check("resnet18", str(tmp_path / "w.pt"), (3, 224, 224))
    assert f"weights {tmp_path / 'w.pt'} do not fit resnet18: " in str(error.value)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("name", "side"), [("vit_b_16", 64), ("alexnet", 32), ("inception_v3", 48)])
def test_images_that_a_model_cannot_read(name, side):
    with pytest.raises(BadInput, match=f"net {name} cannot read images of {side}×{side} pixels: "):
        _torchvision.check(name, "", (3, side, side))
