"""Each validator against an independent computation or its paper's property, and a planted case in which it fails."""

import numpy as np
import pytest
import scipy.stats
import torch
from sklearn.metrics import accuracy_score, adjusted_mutual_info_score, log_loss

from zoo import select
from zoo.select._ratio import weights
from zoo.select.base import Seen, Validator

KNOWN = select.validators()


def scores(n=200, k=5, seed=0, sharp=2.0):
    logits = sharp * np.random.default_rng(seed).normal(size=(n, k))
    p = np.exp(logits)
    return p / p.sum(1, keepdims=True)


def value(name, **fields):
    info = KNOWN[name]
    return select.load(info)().value(Seen(fields, info.needs))


def one_hot(y, k, sure=1 - 1e-6):
    p = np.full((len(y), k), (1 - sure) / (k - 1))
    p[np.arange(len(y)), y] = sure
    return p


# -- independent computations


def test_source_accuracy_is_that_of_scikit_learn():
    p, y = scores(), np.random.default_rng(1).integers(5, size=200)
    assert value("source_accuracy", pv=p, yv=y) == pytest.approx(accuracy_score(y, p.argmax(1)), abs=1e-12)


def test_source_nll_is_that_of_scikit_learn():
    p, y = scores(), np.random.default_rng(1).integers(5, size=200)
    assert value("source_nll", pv=p, yv=y) == pytest.approx(-log_loss(y, p, labels=range(5)), abs=1e-9)


def test_entropy_is_that_of_scipy():
    p = scores()
    assert value("entropy", pt=p) == pytest.approx(-scipy.stats.entropy(p, axis=1).mean(), abs=1e-12)


def test_info_max_is_the_mean_divergence_from_the_mean():
    p = scores()
    divergence = [scipy.stats.entropy(row, p.mean(0)) for row in p]  # I(x; y) = E KL(p(y|x) ‖ p(y))
    assert value("info_max", pt=p) == pytest.approx(np.mean(divergence), abs=1e-12)


def test_snd_by_its_definition():
    p = torch.tensor(scores(1500))  # more rows than a block
    unit = torch.nn.functional.normalize(p)
    similar = unit @ unit.T / 0.05
    similar.fill_diagonal_(-torch.inf)
    density = torch.distributions.Categorical(logits=similar).entropy().mean()
    assert value("snd", pt=p.numpy()) == pytest.approx(float(density), abs=1e-9)


def test_bnm_by_torch():
    p = scores()
    nuclear = float(torch.linalg.matrix_norm(torch.tensor(p), "nuc"))
    assert value("bnm", pt=p) == pytest.approx(nuclear / np.sqrt(200 * 5), abs=1e-12)


def test_corr_c_is_a_cosine():
    p = torch.tensor(scores())
    correlation = (p.T @ p).flatten()
    cosine = torch.nn.functional.cosine_similarity(correlation, torch.eye(5, dtype=p.dtype).flatten(), dim=0)
    assert value("corr_c", pt=p.numpy()) == pytest.approx(float(cosine), abs=1e-12)


@pytest.mark.parametrize(("sharp", "taylor"), [(1.0, True), (8.0, False)])
def test_mano_by_the_authors_formula(sharp, taylor):
    """softrun and the entry-wise norm as in their published code, with torch, on centred logits."""
    p = torch.tensor(scores(sharp=sharp))
    q = p.log() - p.log().mean(1, keepdim=True)
    criterion = torch.nn.functional.cross_entropy(q, torch.full_like(q, 1 / 5))
    assert (criterion <= 5) == taylor
    if taylor:
        outputs = 1 + q + q**2 / 2
        outputs = torch.nn.functional.normalize(outputs - outputs.min(1, keepdim=True)[0], dim=1, p=1)
    else:
        outputs = torch.softmax(q, 1)
    expected = torch.norm(outputs, p=4) / (200 * 5) ** (1 / 4)
    assert value("mano", pt=p.numpy()) == pytest.approx(float(expected), abs=1e-9)


def test_rankme_is_the_entropy_of_singular_values():
    z = np.random.default_rng(0).normal(size=(100, 8)) * np.arange(1, 9)
    s = torch.linalg.svdvals(torch.tensor(z)).numpy()
    assert value("rankme", zt=z) == pytest.approx(np.exp(scipy.stats.entropy(s)), rel=1e-9)


def test_class_ami_is_scikit_learns_where_clusters_are_plain():
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    z = 50 * np.eye(3)[y] + rng.normal(size=(120, 3))
    guess = np.where(rng.random(120) < 0.2, rng.integers(3, size=120), y)
    expected = adjusted_mutual_info_score(guess, y)  # k-means finds the classes, whatever it calls them
    assert value("class_ami", pt=one_hot(guess, 3), zt=z) == pytest.approx(expected, abs=1e-12)


def test_proxy_a_distance_of_two_gaussians():
    """The best linear error of N(0, I) and N(m, I) is Φ(−|m|/2)."""
    rng, m = np.random.default_rng(0), 1.5
    zs, zt = rng.normal(size=(4000, 2)), rng.normal([m, 0], size=(4000, 2))
    error = scipy.stats.norm.cdf(-m / 2)
    assert value("proxy_a_distance", zs=zs, zt=zt) == pytest.approx(-2 * (1 - 2 * error), abs=0.05)
    assert value("proxy_a_distance", zs=zs[:2000], zt=zs[2000:]) == pytest.approx(0, abs=0.1)


def test_mixval_by_counting():
    rng = np.random.default_rng(0)
    pt, pm, im = scores(50), scores(300, seed=1), rng.integers(50, size=(300, 2))
    y, counts = pt.argmax(1), {True: [], False: []}
    for (i, j), p in zip(im, pm, strict=True):
        counts[bool(y[i] == y[j])].append(p.argmax() == y[i])
    expected = (np.mean(counts[True]) + np.mean(counts[False])) / 2
    assert value("mixval", pt=pt, pm=pm, im=im) == pytest.approx(expected, abs=1e-12)


# -- importance weights: N(0, 1) → N(1, 1), whose ratio is exp(x − 1/2), and a loss that the target has at x > 1.2


TRUE = 1 - scipy.stats.norm.cdf(1.2 - 1)


def draws(n, times, seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.normal(size=(n, 1)), rng.normal(size=(n, 1)), 1 + rng.normal(size=(n, 1))) for _ in range(times)]


def fit_of(x):
    """Scores and labels of rows that are wrong where x > 1.2."""
    wrong = (x[:, 0] > 1.2).astype(int)
    return one_hot(np.zeros(len(x), int), 2), wrong


def test_the_ratio_is_the_known_one():
    ((zs, zv, zt),) = draws(20_000, 1)
    inside = np.abs(zv[:, 0]) < 2
    assert np.log(weights(zs, zt, zv))[inside] == pytest.approx(zv[inside, 0] - 0.5, abs=0.1)


@pytest.mark.parametrize("known", [True, False], ids=["known ratio", "ratio of the validator"])
def test_iwcv_is_unbiased_and_source_accuracy_is_not(known):
    found, plain = [], []
    for zs, zv, zt in draws(1000, 60):
        pv, yv = fit_of(zv)
        plain.append(1 - value("source_accuracy", pv=pv, yv=yv))
        if known:
            from zoo.select.iwcv import weighted_risk

            found.append(weighted_risk(np.exp(zv[:, 0] - 0.5), yv.astype(float)))
        else:
            found.append(-value("iwcv", pv=pv, yv=yv, zs=zs, zv=zv, zt=zt))
    standard = np.std(found, ddof=1) / np.sqrt(len(found))
    assert abs(np.mean(found) - TRUE) < 3 * standard + 0.005
    assert abs(np.mean(plain) - TRUE) > 0.2


def test_dev_varies_less_than_iwcv_and_means_the_same():
    iwcv, dev = [], []
    for zs, zv, zt in draws(400, 60):
        pv, yv = fit_of(zv)
        seen = {"pv": pv, "yv": yv, "zs": zs, "zv": zv, "zt": zt}
        iwcv.append(-value("iwcv", **seen))
        dev.append(-value("dev", **seen))
    assert np.var(dev, ddof=1) < 0.7 * np.var(iwcv, ddof=1)
    assert np.mean(dev) == pytest.approx(TRUE, abs=0.03)


def test_dev_is_the_authors_formula():
    """``get_dev_risk`` of You et al.'s published code, on the same weights."""
    from zoo.select.dev import controlled_risk

    rng = np.random.default_rng(0)
    w, error = rng.gamma(2, size=(50, 1)), rng.integers(2, size=(50, 1)).astype(float)
    weighted = w * error
    eta = -np.cov(np.concatenate((weighted, w), axis=1), rowvar=False)[0][1] / np.var(w, ddof=1)
    assert controlled_risk(w[:, 0], error[:, 0]) == pytest.approx(weighted.mean() + eta * w.mean() - eta, abs=1e-12)
    for equal in (np.ones(50), 1 + 1e-15 * rng.normal(size=50)):  # where theirs is NaN, or rounding by rounding
        assert controlled_risk(equal, error[:, 0]) == pytest.approx(error.mean(), abs=1e-12)


# -- planted cases: a good fit and a bad one, and the validator that takes the bad


Y = np.arange(90) % 3  # true classes of the target, which no validator sees


def planted():
    """Name → what is seen of a good fit, and of a bad one that the validator likes at least as well."""
    rng = np.random.default_rng(0)
    good, collapsed, turned = one_hot(Y, 3, 0.9), one_hot(0 * Y, 3, 0.99), one_hot((Y + 1) % 3, 3, 0.99)
    yv, right = np.arange(30) % 3, one_hot(np.arange(30) % 3, 3, 0.99)
    worse = np.where(np.arange(30) < 3, (yv + 1) % 3, yv)  # three source samples given up for the whole target
    source_good, source_bad = {"pv": one_hot(worse, 3, 0.9), "yv": yv}, {"pv": right, "yv": yv}
    few = np.where(np.arange(90) < 84, 0, 1 + np.arange(90) % 2)  # a target of nearly one class
    spread = np.where(np.arange(90) % 3 == 0, few, np.arange(90) % 3)
    clusters = 30 * np.eye(3)[(np.arange(90) // 30)] + rng.normal(size=(90, 3))  # of something else than classes
    # No overlap: the one source-validation sample nearest to the target decides, and the bad fit has it right.
    zs, zv, zt = rng.normal(size=(60, 1)), np.append(rng.normal(size=29), 3.5)[:, None], 6 + rng.normal(size=(60, 1))
    apart = {"zs": zs, "zv": zv, "zt": zt, "yv": yv}
    wrong_last, wrong_others = yv.copy(), (yv + 1) % 3
    wrong_last[-1], wrong_others[-1] = (yv[-1] + 1) % 3, yv[-1]
    im = np.stack([np.tile(np.arange(90), 2), np.r_[(np.arange(90) + 1) % 90, (np.arange(90) + 3) % 90]], 1)
    rough, smooth = one_hot(np.roll(Y, 1)[im[:, 0]], 3), one_hot(((Y + 1) % 3)[im[:, 0]], 3)
    return {
        "source_accuracy": (source_good, source_bad),
        "source_nll": (source_good, source_bad),
        "entropy": ({"pt": good}, {"pt": collapsed}),
        "snd": ({"pt": good}, {"pt": one_hot(0 * Y, 3)}),
        "info_max": ({"pt": one_hot(few, 3, 0.99)}, {"pt": one_hot(spread, 3, 0.99)}),
        "bnm": ({"pt": good}, {"pt": turned}),
        "mano": ({"pt": good}, {"pt": turned}),
        "corr_c": ({"pt": good}, {"pt": turned}),
        "class_ami": ({"pt": good, "zt": clusters}, {"pt": one_hot(np.arange(90) // 30, 3), "zt": clusters}),
        "proxy_a_distance": ({"zs": zs, "zt": zs + 0.5}, {"zs": 0 * zs, "zt": 0 * zs}),
        "rankme": ({"zt": np.eye(3)[Y]}, {"zt": rng.normal(size=(90, 30))}),
        "iwcv": ({"pv": one_hot(wrong_last, 3), **apart}, {"pv": one_hot(wrong_others, 3), **apart}),
        "dev": ({"pv": one_hot(worse, 3), **apart, "zv": 0 * zv}, {"pv": right, **apart, "zv": 0 * zv}),
        "mixval": ({"pt": good, "pm": rough, "im": im}, {"pt": turned, "pm": smooth, "im": im}),
    }


@pytest.mark.parametrize("name", [n for n, info in KNOWN.items() if not info.outside])
def test_each_is_known_to_fail_somewhere(name):
    good, bad = planted()[name]
    assert value(name, **bad) >= value(name, **good)


def test_the_planted_fits_are_good_and_bad():
    for name, (good, bad) in planted().items():
        if "pt" in good and name not in ("class_ami", "info_max"):
            assert (good["pt"].argmax(1) == Y).mean() == 1
            assert (bad["pt"].argmax(1) == Y).mean() < 0.5, name


def test_iwcv_without_overlap_rests_on_one_sample():
    seen = planted()["iwcv"][0]
    w = weights(seen["zs"], seen["zt"], seen["zv"])
    assert w[-1] > w[:-1].sum()  # of 30


# -- what has no value, and the contract


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("source_nll", {"pv": np.eye(2), "yv": np.array([1, 1])}),  # 1-NN: a true class of score 0
        ("mixval", {"pt": np.eye(2)[[0, 0]], "pm": np.eye(2), "im": np.array([[0, 1], [1, 0]])}),  # one pseudo-class
        ("rankme", {"zt": np.zeros((4, 2))}),
    ],
)
def test_what_has_no_value_says_so(name, seen):
    assert not np.isfinite(value(name, **seen))


def test_a_field_that_needs_do_not_name_is_a_leak():
    from zoo.errors import LeakError, Unsupported

    class Nosy(Validator):
        needs = {"pt"}

        def value(self, seen):
            return getattr(seen, "yv", None)

    seen = Seen({"pt": 1, "yv": 2}, Nosy.needs)
    assert seen.pt == 1
    assert not hasattr(seen, "__dict__") or "yv" not in vars(seen)
    with pytest.raises(LeakError, match="yv was read"):
        Nosy().value(seen)
    with pytest.raises(Unsupported):
        Seen({}, {"pt"}).pt  # noqa: B018


def test_no_validator_can_ask_for_a_target_label():
    assert not [field for field in select.FIELDS if field.startswith("y") and field not in ("ys", "yv")]
    assert {field for info in KNOWN.values() for field in info.needs} <= set(select.FIELDS)


def test_every_reference_is_there():
    from zoo import discover

    cited = {info.cite for info in KNOWN.values()} - {""}
    assert cited <= discover.references().keys()
    assert not [info.name for info in KNOWN.values() if not info.cite and info.name != "oracle"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("needs = {'yt'}", r":5: needs: unknown name 'yt'"),
        ("outside = 'oracle'", r":5: outside: only the zoo's own"),
        ("needs = set('pt')", r":5: needs has to be a literal"),
    ],
)
def test_a_file_that_breaks_the_contract_is_refused(tmp_path, text, why):
    from zoo.errors import BadInput

    path = tmp_path / "mine.py"
    path.write_text(f"from zoo.select.base import Validator\n\n\nclass Mine(Validator):\n    {text}\n")
    with pytest.raises(BadInput, match=why):
        select.validators([path])


def test_an_installed_validator_is_found(tmp_path, monkeypatch):
    from importlib.metadata import EntryPoint

    folder = tmp_path / "judges_pkg"
    folder.mkdir()
    (folder / "__init__.py").touch()
    head = "from zoo.select.base import Validator\n\n\nclass Sure(Validator):\n"
    (folder / "sure.py").write_text(head + "    def value(self, seen):\n        return 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    entry = EntryPoint("sure", "judges_pkg.sure:Sure", select.GROUP)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [entry] if group == select.GROUP else [])
    info = select.validators()["sure"]
    assert (info.plugin, info.module, info.needs) == (True, "judges_pkg.sure", {"pt"})
    assert select.load(info)().value(None) == 1.0
