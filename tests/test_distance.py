"""``zoo distance``: closed forms, other libraries, the null of a domain against itself, and the command."""

import csv
import io
import json
import math

import numpy as np
import ot
import pytest
import torch
from matplotlib.image import imread
from scipy.stats import norm, wasserstein_distance_nd
from sklearn.linear_model import LogisticRegression

from zoo.ops import distance
from zoo.ops.kernels import gaussian
from zoo.ops.mmd import mmd2


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(n, d, seed):
    return torch.randn(n, d, generator=rng(seed), dtype=torch.float64)


# Proxy A-distance


@pytest.mark.parametrize("sizes", [(1000, 1000), (1600, 400)])
@pytest.mark.parametrize("shift", [0.5, 1.0, 2.0, 4.0])
def test_proxy_a_of_gaussians_tends_to_the_closed_form(sizes, shift):
    X, Y = normal(sizes[0], 5, 1), normal(sizes[1], 5, 2)
    mix = normal(5, 5, 3)  # the classifier has to undo it; the distance does not change
    Y[:, 0] += shift
    found = distance.proxy_a_distance(X @ mix + 7, Y @ mix + 7, permutations=0, generator=rng())
    assert found.distance == pytest.approx(2 * (1 - 2 * norm.cdf(-shift / 2)), abs=0.1)
    assert found.distance == pytest.approx(2 * (1 - 2 * found.error))


def test_proxy_a_reaches_two():
    X, Y = normal(50, 3, 0), normal(30, 3, 1) + 50
    assert distance.proxy_a_distance(X, Y, permutations=0, generator=rng()).distance == 2


@pytest.mark.parametrize("d", [3, 60])
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_sample_against_itself_is_within_its_null_interval(d, share):
    """At 95 %, 20 draws leave it about once; five times or more has a probability of 0.003."""
    outside = 0
    for seed in range(20):
        Z = normal(100, d, seed).exp()  # skewed
        n = int(share * 100)
        found = distance.proxy_a_distance(Z[:n], Z[n:], splits=10, permutations=60, generator=rng(seed))
        assert found.low < 0 < found.high < 1.0
        outside += not found.low <= 2 * (1 - 2 * found.error) <= found.high
    assert outside < 5


def test_a_plain_error_is_a_false_distance_at_80_to_20():
    Z = normal(1000, 5, 4)
    y = np.arange(1000) < 800
    plain = LogisticRegression().fit(Z[::2], y[::2]).predict(Z[1::2]) != y[1::2]
    assert 2 * (1 - 2 * plain.mean()) > 1.1
    found = distance.proxy_a_distance(Z[:800], Z[800:], permutations=100, generator=rng())
    assert found.low <= 2 * (1 - 2 * found.error) <= found.high < 0.4


def test_the_threshold_holds_with_few_samples_of_many_features_at_90_to_10():
    """With plug-in class means the noise of the smaller class moves it, and the error is 0.46."""
    X, Y = normal(180, 300, 0), normal(20, 300, 1)
    Y[:, :20] += 0.8
    assert distance.proxy_a_distance(X, Y, permutations=0, generator=rng()).error < 0.3


def test_equal_samples_are_not_apart():
    found = distance.proxy_a_distance(torch.ones(6, 2), torch.ones(5, 2), permutations=3, generator=rng())
    assert found == (0, 0.5, 0, 0)
    assert distance.mmd_test(torch.ones(6, 2), torch.ones(5, 2), generator=rng()) == (0, 1)


# MMD


def test_mmd_of_gaussians_is_the_closed_form():
    """E k(x, y) of N(a, I), N(b, I) is (1 + 4g)^(-d/2) exp(-g |a - b|² / (1 + 4g))."""
    g, d, shift = 0.3, 4, 1.5
    X, Y = normal(1500, d, 0), normal(1000, d, 1)
    Y[:, 1] += shift
    exact = 2 * (1 + 4 * g) ** (-d / 2) * (1 - math.exp(-g * shift**2 / (1 + 4 * g)))
    found = distance.mmd_test(X, Y, gamma=g, generator=rng())
    assert found.value == pytest.approx(exact, rel=0.1)
    assert found.p == pytest.approx(1 / 1000)


def test_mmd_permutations_are_those_of_a_loop():
    X, Y = normal(12, 2, 0), normal(7, 2, 1) + 0.5
    g = distance.median_gamma(X, Y)
    Z = torch.cat([X, Y])
    pairs = [((a - b) ** 2).sum().item() for i, a in enumerate(Z) for b in Z[:i]]
    assert g.item() == pytest.approx(1 / (2 * np.median(pairs)))
    K, source = gaussian(Z, gamma=g), rng(5)
    above = 0
    for _ in range(200):
        order = torch.randperm(19, generator=source)
        rows = torch.cat([torch.nonzero(order < 12)[:, 0], torch.nonzero(order >= 12)[:, 0]])
        above += mmd2(K[rows][:, rows], 12).item() >= mmd2(K, 12).item()
    assert 0 < above < 200
    found = distance.mmd_test(X, Y, permutations=200, generator=rng(5))
    assert found == pytest.approx((mmd2(K, 12).item(), (1 + above) / 201))


def test_mmd_p_values_of_a_sample_against_itself_are_uniform():
    p = []
    for seed in range(100):
        Z = normal(50, 3, seed).exp()
        p.append(distance.mmd_test(Z[:40], Z[40:], permutations=99, generator=rng(seed)).p)
    assert 0.4 < np.mean(p) < 0.6
    assert np.mean(np.array(p) <= 0.1) < 0.2


# CORAL


@pytest.mark.parametrize("d", [5, 60])
def test_coral_is_the_definition_in_few_and_many_features(d):
    X, Y = normal(20, d, 0), 2 * normal(30, d, 1) + 3
    gap = np.cov(X.numpy().T) - np.cov(Y.numpy().T)
    assert distance.coral_distance(X, Y) == pytest.approx(np.linalg.norm(gap) ** 2 / (4 * d**2))


def test_coral_of_known_covariances_and_its_bias():
    C = normal(3, 3, 0)
    X, Y = normal(50000, 3, 1), normal(50000, 3, 2) @ C.T + 9
    exact = (torch.eye(3).double() - C @ C.T).square().sum().item() / 36
    assert distance.coral_distance(X, Y) == pytest.approx(exact, rel=0.05)
    draws = [distance.coral_distance(normal(50, 4, i), normal(20, 4, 1000 + i)) for i in range(300)]
    assert np.mean(draws) == pytest.approx((16 + 4) / 64 * (1 / 49 + 1 / 19), rel=0.1)


# Sliced Wasserstein


@pytest.mark.parametrize(("n", "m"), [(40, 40), (40, 25), (7, 91)])
def test_sliced_wasserstein_is_that_of_pot(n, m):
    X, Y = normal(n, 4, 0), normal(m, 4, 1).exp()
    theta = distance.directions(4, 30, rng())
    assert torch.allclose(theta.norm(dim=0), torch.ones(30).double())
    expected = ot.sliced_wasserstein_distance(X.numpy(), Y.numpy(), projections=theta.numpy(), p=2)
    assert distance.sliced_wasserstein(X, Y, theta) == pytest.approx(expected)


def test_sliced_wasserstein_on_a_line_is_exact_transport():
    X, Y = normal(30, 1, 0), normal(17, 1, 1) * 3
    one = torch.ones(1, 1).double()
    cost = ot.dist(X.numpy(), Y.numpy())
    assert distance.sliced_wasserstein(X, Y, one) ** 2 == pytest.approx(ot.emd2([], [], cost))
    shifted = distance.sliced_wasserstein(X, X + 2.5, one)
    assert shifted == pytest.approx(2.5)
    assert shifted == pytest.approx(wasserstein_distance_nd(X.numpy(), X.numpy() + 2.5))  # scipy's is of order 1


@pytest.mark.slow
def test_sliced_wasserstein_of_gaussians():
    """A shift by m gives |m| / √d; a scale by s gives |s - 1|."""
    X, theta = normal(6000, 3, 0), distance.directions(3, 1000, rng())
    m = torch.tensor([1.0, -2.0, 2.0]).double()
    assert distance.sliced_wasserstein(X, normal(4000, 3, 1) + m, theta) == pytest.approx(3 / math.sqrt(3), rel=0.03)
    assert distance.sliced_wasserstein(X, 3 * normal(4000, 3, 1), theta) == pytest.approx(2, rel=0.03)


# The command


@pytest.fixture
def far(zoo):
    """The command on the tiny suite's two pairs, which are one pair and its reverse."""
    return lambda *options: zoo("distance", "../tiny.yaml", *options)


def test_table_is_symmetric_and_repeatable(far, suite_file):
    done = far("--json")
    assert (done.code, done.err) == (0, "")
    (row,) = done.json["rows"]
    assert row["pairs"] == ["amazon:webcam", "webcam:amazon"]
    assert (row["n"], done.json["shape"]) == ([80, 80], [6])
    assert row["proxy_a_null"][0] < 0 < row["proxy_a_null"][1]
    assert 0 <= row["proxy_a"] <= 2  # of so little a shift it is above the null's by chance: at three seeds of six
    (apart,) = far("--json", "--pairs", "amazon:dslr").json["rows"]
    assert apart["proxy_a_null"][1] < apart["proxy_a"]
    assert -1 < row["mmd2"] < 2
    assert 1 / 1000 <= row["mmd2_p"] <= 1
    assert far("--json").out == done.out
    assert far("--json", "--seed", 1).json["rows"][0]["proxy_a_null"] != row["proxy_a_null"]
    (reverse,) = far("--json", "--pairs", "webcam:amazon").json["rows"]
    assert reverse == {**row, "pairs": ["webcam:amazon"]}
    table = far().out
    assert f"| {row['proxy_a']:.2f} |" in table.replace("  ", "")
    assert "6 features" in table


def test_normalised_as_the_suite_says_or_raw(far, suite_file):
    raw = far("--json").json["rows"]
    suite_file.write_text(suite_file.read_text() + "normalise: [zscore]\nnormalise_by: source\n")
    done = far("--json").json
    assert done["suite"]["normalise_by"] == "domain"
    assert done["rows"][0]["proxy_a"] == 0  # equal means leave a linear classifier nothing
    assert "equal means" in far().out
    assert far("--json", "--raw").json["rows"] == raw


def test_files(far, suite_file, tmp_path):
    names = ["far.png", "far.pdf", "far.svg", "far.md", "far.json", "far.csv", "far.tex"]
    outs = [part for name in names for part in ("--out", tmp_path / name)]
    assert far(*outs, "--metric", "mmd2").code == 0
    picture = imread(tmp_path / "far.png")
    assert min(picture.shape[:2]) > 300
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 50
    assert (tmp_path / "far.pdf").read_bytes().startswith(b"%PDF")
    assert "<svg" in (tmp_path / "far.svg").read_text()
    found = json.loads((tmp_path / "far.json").read_text())
    assert (tmp_path / "far.md").read_text() == far().out
    lines = list(csv.DictReader(io.StringIO((tmp_path / "far.csv").read_text())))
    assert [(x["source"], x["target"]) for x in lines] == [("amazon", "webcam"), ("webcam", "amazon")]
    assert {float(x["coral"]) for x in lines} == {found["rows"][0]["coral"]}
    tex = (tmp_path / "far.tex").read_text()
    assert tex.count(r"\\") == 2
    assert r"\toprule" in tex
    before = [(tmp_path / name).read_bytes() for name in names]
    far(*outs, "--metric", "mmd2")
    assert [(tmp_path / name).read_bytes() for name in names] == before
    far("--out", tmp_path / "far.png")
    assert (tmp_path / "far.png").read_bytes() != before[0]


@pytest.mark.slow
@pytest.mark.faults  # all of quickstart
def test_images_are_pixels_and_several_sources_are_joined(zoo, tmp_path):
    assert "images, flattened to 64 pixels (1×8×8)" in zoo("distance", "quickstart").out
    out = tmp_path / "far.svg"
    done = zoo("distance", "office_caltech", "--pairs", "amazon+dslr:webcam,amazon:webcam", "--json", "--out", out)
    assert [row["n"] for row in done.json["rows"]] == [[160, 80], [80, 80]]
    assert out.stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--metric", "wasserstein"], "--metric wasserstein: it is one of proxy_a"),
        (["--out", "far.jpg"], "--out far.jpg: its ending"),
        (["--out", "far"], "--out far: its ending"),
        (["--out", "none/far.png"], "there is no folder none"),
        (["--out", "far.png", "--pairs", "amazon:moon"], "moon"),
        (["--out", "far.png", "--data-root", "nowhere"], "is not there"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(far, suite_file, tmp_path, options, says):
    done = far(*options)
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert done.err.count("\n") == 1
    assert not list((tmp_path / "cwd").iterdir())


def test_a_domain_of_too_few_samples_is_named(zoo, write_surf, suite_file, tmp_path):
    root = write_surf(tmp_path / "few", change=lambda name, X, y: (X[::27], y[::27]) if name == "webcam" else (X, y))
    done = zoo("distance", "../tiny.yaml", "--pairs", "amazon:webcam", "--data-root", root)
    assert done.code == 2
    assert "domain webcam: a distance needs 4 samples or more, got 3" in done.err
