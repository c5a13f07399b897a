"""``weights:target``: no source but a pretrained network, the fine-tuning of the textbooks."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import models

from zoo import feed, train

SUITE = """
data: {format: imagefolder, size: 64, domains: {mine: photos}}
pairs: ['weights:mine']
labels: all
net: resnet18
weights: resnet18.pt
bottleneck: 0
optimiser: sgd
momentum: 0.9
schedule: constant
learning_rate: 0.001
batch_size: 32
steps: 40
seeds: 1
"""


@pytest.fixture
def folder(zoo, tmp_path, monkeypatch):
    """Photographs of two classes that colour tells, and a ResNet-18 with random weights."""
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for c, name in enumerate(("ants", "bees")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(30):
            pixels = rng.integers(0, 120, (70, 80, 3))
            pixels[..., c] += 100
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "photos" / name / f"{i}.png")
    torch.manual_seed(0)
    torch.save(models.resnet18(weights=None).state_dict(), tmp_path / "resnet18.pt")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(SUITE)
    return tmp_path


def scores(run, method):
    lines = [json.loads(line) for f in run.glob("records/*.jsonl") for line in f.read_text().splitlines()]
    (record,) = [r for r in lines if r["method"] == method]
    assert record["status"] == "ok", record["reason"]
    return record, np.load(run / "predictions" / f"{record['cell']}.npz")


def test_the_recipe_is_a_hand_written_loop(folder, zoo):
    """A frozen ResNet-18 but for a new last layer, SGD 0.001 with momentum 0.9, batches of 32: the same scores."""
    from zoo.bench import plan, suite

    done = zoo("run", "mine.yaml", "--methods", "labelled_only,fine_tune", "--out", "run")
    assert done.code == 0, done.err
    record, found = scores(folder / "run", "labelled_only")
    assert record["source"] is None
    asked = suite.load("mine.yaml", {})
    pairs = plan.parse_pairs(asked)
    data = asked.kind.load(asked, pairs, None)
    pair = asked.kind.draws(asked, data).pair("weights", "mine", 0)

    net = models.resnet18(weights=None)
    net.load_state_dict(torch.load("resnet18.pt", weights_only=True))
    net.fc = nn.Identity()
    net.eval()
    X = torch.from_numpy(np.array(asked.source.load("mine", None)[0]))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        Z = net((X / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1))
    domain = data.domains["mine"]
    Z = Z[torch.from_numpy(domain.rows)]
    y = torch.from_numpy(domain.y)
    at = {int(r): i for i, r in enumerate(domain.rows)}
    adapt = torch.tensor([at[int(r)] for r in pair.rows["adapt"]])
    test = torch.tensor([at[int(r)] for r in pair.rows["test"]])

    with train.seeded("init", 0):
        head = nn.Linear(512, 2)
    budget = train.Budget(steps=40, batch_size=32)
    batches = feed._draw(len(adapt), budget, torch.device("cpu"), 0, "s")
    opt = torch.optim.SGD(head.parameters(), lr=0.001, momentum=0.9)
    for rows in batches:
        opt.zero_grad()
        nn.functional.cross_entropy(head(Z[adapt][rows]), y[adapt][rows]).backward()
        opt.step()
    expected = torch.log_softmax(head(Z[test]), 1).detach().numpy()
    np.testing.assert_allclose(found["test_log_scores"], expected, atol=2e-3)  # stored as float16

    tuned, _ = scores(folder / "run", "fine_tune")
    assert tuned["source"] == "weights"
    assert tuned["setting"] == "source-free few-shot"


def test_methods_that_need_source_samples_say_so(folder, zoo):
    done = zoo("run", "mine.yaml", "--methods", "labelled_only,dann,target_only", "--out", "run")
    assert done.code == 0, done.err
    assert "needs source samples, which a pretrained network does not bring" in done.out
    assert "dann" in done.out
    assert "zoo run mine.yaml --plugin" in done.out
    cited = zoo("cite", "run")
    assert cited.code == 0, cited.err
    assert r"labelled\_only and target\_only on 1 pair of a source and a target (weights$\to$mine)" in cited.out


@pytest.mark.parametrize("command", ["rank", "distance"])
def test_nothing_is_compared_with_a_source_that_is_not_there(folder, zoo, command):
    done = zoo(command, "mine.yaml")
    assert done.code == 2
    assert "pair 'weights:mine' has no source samples to compare with its target's" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("weights: resnet18.pt", ""), "starts from a pretrained network: give weights: FILE or default"),
        (
            ("pairs: ['weights:mine']", ""),
            "a source and a target are needed: two or more, NAME: PATH, or pairs: [weights:mine]",
        ),
        (("labels: all", "normalise_by: source"), "normalise_by: source needs source samples"),
        (("['weights:mine']", "['weights:other']"), "other"),
    ],
)
def test_bad_input_is_one_line(folder, zoo, change, line):
    (folder / "mine.yaml").write_text(SUITE.replace(*change))
    done = zoo("run", "mine.yaml", "--out", "run")
    assert done.code == 2
    assert line in done.err
    assert done.err.count("\n") == 1
    assert not (folder / "run").exists()
