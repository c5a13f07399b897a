"""What seeds permutations and draws is known to nobody: attackers with all that is public read no label off them."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from zoo.bench.executors.local import Local
from zoo.bench.run import Benchmark
from zoo.bench.suite import Suite
from zoo.data.formats.facts import read
from zoo.kinds.base import Data
from zoo.kinds.samples import FOLDS, Protocol
from zoo.seeds import derive
from zoo.task import Domain

RESULTS = Path(__file__).parents[1] / "results"
PURPOSES = ("order", "permutation", "split", "labels", "folds", "examples")
SIZES = [29, 21, 31, 12, 27, 30, 30, 43, 30, 42]  # of webcam's classes
SPLITS = 30


def public_seeds(purpose, dataset, name, content, seed=None, fold=None):
    """Seeds that anyone can derive from what is printed: names, the hash in run.json, the seed."""
    ends = [(), *([(seed,)] if seed is not None else []), *([(fold,), (fold, seed)] if fold else [])]
    for about in ((), (dataset,), (name,), (content,), (dataset, name), (name, content), (dataset, name, content)):
        for end in ends:
            yield derive(purpose, *about, *end)
            yield int.from_bytes(hashlib.sha256(repr((purpose, *about, *end)).encode()).digest(), "big")
    for text in (content, f"{content} {name}", f"{content} {fold}", f"zoo content{content}", f"zoo secret{content}"):
        yield int(hashlib.sha256(text.encode()).hexdigest(), 16)
    for key in (bytes.fromhex(content), content.encode()):
        for end in ends:  # as the draws themselves are derived, with the hash in the secret's place
            yield int.from_bytes(hmac.digest(key, repr(("generator", purpose, *end)).encode(), "sha256"), "big")
    yield int(content, 16)


def read_back(permutation_seeds, counts, n):
    """Labels as an attacker reads them: the file is sorted by class, and the permutation is drawn again."""
    in_file = np.repeat(np.arange(len(counts)), counts)
    return [in_file[np.random.default_rng(seed).permutation(n)] for seed in permutation_seeds]


def sorted_domain(name="webcam", shift=0.0):
    """Rows as in a file, sorted by class; the first column numbers them."""
    y = np.repeat(np.arange(len(SIZES)), SIZES)
    X = np.random.default_rng(0).normal(shift, 1, size=(len(y), 3))
    X[:, 0] = np.arange(len(y))
    return Domain.build(name, X, y, [str(c) for c in range(len(SIZES))])


def protocol(domain, **keys):
    return Protocol(Suite(name="s", dataset="office_caltech", net="mlp", **keys), Data({domain.name: domain}, []))


# The permutation ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def transductive(tmp_path_factory, write_surf):
    """A run's folder, its messages to workers, and what only the driver knows."""
    root = write_surf(tmp_path_factory.mktemp("data"), per_class=20)
    folder = tmp_path_factory.mktemp("run")
    keys = {"dataset": "office_caltech", "pairs": ["amazon:webcam", "webcam:amazon"], "protocol": "transductive"}
    keys |= {"base": "1nn", "steps": 5, "batch_size": 16, "seeds": 2, "labels": 2}
    (folder / "tiny.yaml").write_text(json.dumps(keys))
    methods = ["source_only", "coral", "dan", "target_only", "labelled_only", "fine_tune"]
    options = {"methods": methods, "data_root": root, "out": folder / "run", "executor": "local"}
    benchmark = Benchmark(str(folder / "tiny.yaml"), **options)
    sent = []

    class Spy(Local):
        def open(self, stranger=False):
            channel = super().open(stranger)
            send = channel.send
            channel.send = lambda message: (sent.append(pickle.dumps(message)), send(message))[1]
            return channel

    benchmark.executor = Spy(1)
    assert not benchmark.run().frame().status.isin({"failed"}).any()
    return folder / "run", sent, benchmark


def test_labels_are_not_read_back_from_run_json(transductive):
    """Before, the permutation was drawn from the hash in run.json, and every label came back from it."""
    folder, _, benchmark = transductive
    told = json.loads((folder / "run.json").read_text())["domains"]
    for name, domain in benchmark.data.domains.items():
        counts = np.bincount(domain.y)
        seeds = [s for p in PURPOSES for s in public_seeds(p, "office_caltech", name, told[name]["content"])]
        right = [(guess == domain.y).mean() for guess in read_back(seeds, counts, told[name]["n"])]
        assert len(right) > 100
        assert max(right) < 0.1 + 5 * np.sqrt(0.09 / len(domain.y))


def test_that_attack_reads_every_label_of_a_permutation_seeded_by_the_published_hash():
    """The attack is real: on a domain that is permuted as they were."""
    y = np.repeat(np.arange(len(SIZES)), SIZES)
    content = hashlib.sha256(y.data).hexdigest()
    permuted = y[np.random.default_rng(int(content, 16)).permutation(len(y))]
    guesses = read_back(public_seeds("order", "office_caltech", "webcam", content), SIZES, len(y))
    assert max((guess == permuted).mean() for guess in guesses) == 1


def test_hashes_that_were_published_before_seed_nothing(office_caltech):
    """`results/` print those of the public data sets, whatever becomes of them."""
    from zoo.bench import plan, suite

    asked = suite.load("office_caltech", {"pairs": ["dslr:webcam"]})
    data = asked.kind.load(asked, plan.parse_pairs(asked), office_caltech)
    for folder in ("office_caltech", "office_caltech_holdout"):
        told = json.loads((RESULTS / folder / "run.json").read_text())["domains"]
        for name, domain in data.domains.items():
            seeds = [s for p in PURPOSES for s in public_seeds(p, "office_caltech", name, told[name]["content"])]
            _, counts = np.unique(domain.y, return_counts=True)
            right = [(guess == domain.y).mean() for guess in read_back(seeds, counts, len(domain.y))]
            assert max(right) < 0.1 + 5 * np.sqrt(0.09 / len(domain.y))


def write_facts(folder, n=40):
    """Two folds of query atoms; in the files the true ones stand apart from the false ones."""
    for i in (1, 2):
        fold = folder / f"fold{i}"
        fold.mkdir(parents=True)
        (fold / "facts.txt").write_text("".join(f"near(a{j},b{(j * i) % 7}).\n" for j in range(2 * n)))
        (fold / "pos.txt").write_text("".join(f"likes(a{j},b{j % 7}).\n" for j in range(n)))
        (fold / "neg.txt").write_text("".join(f"likes(a{j},b{j % 5}).\n" for j in range(n, 3 * n)))
    return read(folder, "likes")


def test_truth_of_query_atoms_is_not_read_back(tmp_path):
    """Before, their order was drawn from the published hash and the fold's name, true ones first."""
    database = write_facts(tmp_path / "people")
    for fold in database.folds:
        true = int(fold.y.sum())
        seeds = [s for p in PURPOSES for s in public_seeds(p, "mine", "people", database.content, fold=fold.name)]
        guesses = [1 - guess for guess in read_back(seeds, [true, len(fold.y) - true], len(fold.y))]
        chance, spread = 5 / 9, np.sqrt(4 / 81 / len(fold.y)) * 2  # of two random draws of a third
        assert max((guess == fold.y).mean() for guess in guesses) < chance + 5 * spread


# Draws ----------------------------------------------------------------------------------------------------------------


def rank(y, noise):
    """The rank of each row in its class, by noise."""
    found = np.empty(len(y), int)
    for c in np.unique(y):
        found[np.flatnonzero(y == c)[np.argsort(noise[y == c])]] = np.arange((y == c).sum())
    return found


def agreement(chosen, drawn):
    """How much more of what was chosen a derivation gets right than chance; 1 where it draws the same."""
    chance = (chosen[:, None] == np.unique(chosen)).mean(0) @ (drawn[:, None] == np.unique(chosen)).mean(0)
    return ((chosen == drawn).mean() - chance) / (1 - chance)


def test_draws_cannot_be_drawn_again():
    """With all labels known, and all that is public: no split, labelled draw or fold comes out again."""
    d = sorted_domain()
    asked = [(p, seed) for p in PURPOSES for seed in (0, 1)]
    noises = {
        s: np.random.default_rng(s) for p, i in asked for s in public_seeds(p, "office_caltech", d.name, d.content, i)
    }
    noises = [generator.random(len(d.y)) for generator in noises.values()]
    held = np.ones(len(d.y), int)
    held[Protocol.adapt_rows(protocol(d).suite, d, 0)] = 0
    quota = np.round(0.2 * np.bincount(d.y))[d.y]
    labelled = np.isin(
        d.X[:, 0], protocol(d, protocol="transductive", labels=5).pair(None, d.name, 0).fields["Xl"][:, 0]
    )
    folds = protocol(d, protocol="transductive").pair(None, d.name, 0).oracle_folds
    for chosen, drawn in (
        (held, [rank(d.y, noise) < quota for noise in noises]),
        (labelled, [rank(d.y, noise) < 5 for noise in noises]),
    ):
        assert len(drawn) > 150
        assert max(agreement(chosen, one) for one in drawn) < 0.3
    # A fold is a rank, counted on from where its class starts.
    starts = [(folds - rank(d.y, noise)) % FOLDS for noise in noises]
    most = [[np.bincount(start[d.y == c]).max() for c in range(len(SIZES))] for start in starts]
    assert np.max(np.sum(most, 1)) / len(d.y) < 0.5


def test_thresholds_of_a_split_tell_no_class():
    """Splits were drawn with noise that anyone could draw: of each class, what is below its threshold is held out.

    An attacker who knows every class's threshold at every seed gives a row the class whose thresholds explain best when
    it was held out. (`shared/cases/attacks/reconstructs_split.py` finds the thresholds too.)
    """
    d = sorted_domain()
    names = list(range(len(list(public_seeds("split", "office_caltech", d.name, d.content, 0)))))
    drawn = [list(public_seeds("split", "office_caltech", d.name, d.content, seed)) for seed in range(SPLITS)]
    held = []
    for seed in range(SPLITS):
        held.append(np.ones(len(d.y), bool))
        held[-1][Protocol.adapt_rows(protocol(d).suite, d, seed)] = False
    for which in names:
        noises = [np.random.default_rng(drawn[seed][which]).random(len(d.y)) for seed in range(SPLITS)]
        assert (explained(noises, held, d.y) == d.y).mean() < 0.25


def explained(noises, held, y):
    """The class of each row whose thresholds explain best when it was held out."""
    votes = np.zeros((len(y), y.max() + 1))
    for noise, out in zip(noises, held, strict=True):
        of = [(noise[y == c], out[y == c]) for c in range(y.max() + 1)]
        threshold = np.array([(z[h].max() + z[~h].min()) / 2 for z, h in of])
        votes += (noise[:, None] <= threshold) == out[:, None]
    return votes.argmax(1)


def test_that_attack_reads_classes_off_noise_that_it_knows():
    """The attack is real: on splits that are drawn as they were."""
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(len(SIZES)), SIZES))
    quota = np.round(0.2 * np.bincount(y))[y]
    noises = [
        np.random.default_rng(derive("split", "office_caltech", "webcam", s)).random(len(y)) for s in range(SPLITS)
    ]
    held = [rank(y, noise) < quota for noise in noises]
    assert (explained(noises, held, y) == y).mean() > 0.7
    assert (explained(noises[:12], held[:12], y) == y).mean() > 0.35


def test_examples_of_facts_cannot_be_drawn_again(tmp_path):
    from zoo.kinds.facts import Folds

    database = write_facts(tmp_path / "people")
    folds = Folds(
        Suite(name="s", dataset="mine", net="mlp", examples=10), Data({"people": database}, ["false", "true"])
    )
    fold = database.folds[0]
    chosen = np.zeros(len(fold.y), int)
    chosen[folds._draw("people", fold, 0, 10)] = 1
    for purpose in PURPOSES:
        for seed in public_seeds(purpose, "mine", "people", database.content, 0, fold.name):
            rng = np.random.default_rng(seed)
            true, false = (rng.permutation(np.flatnonzero(fold.y == label)) for label in (1, 0))
            drawn = np.zeros(len(fold.y), int)
            drawn[np.concatenate([true[:10], false[: 10 * folds.suite.negative_ratio]])] = 1
            assert agreement(chosen, drawn) < 0.5


def test_what_a_row_is_chosen_for_does_not_hang_on_its_class():
    """Over many data sets: rows of a class of one sample fall into every fold, and rows of all classes alike."""
    y = np.repeat(np.arange(4), [1, 3, 10, 16])
    folds = []
    for i in range(400):
        d = Domain.build("d", np.full((30, 2), float(i)), y, list("abcd"))
        p = protocol(d, protocol="transductive").pair(None, "d", 0)
        folds.append([np.bincount(p.oracle_folds[d.y == c], minlength=FOLDS) for c in range(4)])
    share = np.mean(folds, 0) / np.bincount(y)[:, None]
    assert np.abs(share - 1 / FOLDS).max() < 5 * np.sqrt(0.16 / 400)


# Where it is ----------------------------------------------------------------------------------------------------------


def traces(secret):
    """The secret as it could stand in a file or a message."""
    key = secret._key
    return [key, key.hex().encode(), key.hex().upper().encode(), str(int.from_bytes(key, "big")).encode()]


def unpacked(path):
    """A file's name and bytes, and those of the arrays in it."""
    yield path.name.encode()
    yield path.read_bytes()
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            for name in arrays:
                yield name.encode()
                yield arrays[name].tobytes()


def test_no_file_of_a_run_holds_the_secret(transductive):
    folder, _, benchmark = transductive
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".json", ".jsonl", ".npz"}
    everything = [part for path in files for part in unpacked(path)]
    for domain in benchmark.data.domains.values():
        assert any(domain.content.encode() in part for part in everything)  # what is looked for would be found
        assert not [t for t in traces(domain.secret) for part in everything if t in part]


def test_no_message_to_a_worker_holds_the_secret(transductive):
    _, sent, benchmark = transductive
    assert len(sent) > 10
    for domain in benchmark.data.domains.values():
        assert not [t for t in traces(domain.secret) for message in sent if t in message]
        assert not [message for message in sent if domain.content.encode() in message]


def test_the_secret_is_neither_printed_nor_sent():
    d = sorted_domain()
    for shown in (repr(d), str(d.secret), f"{d.secret}", repr(vars(d)["secret"])):
        assert not [t for t in traces(d.secret) if t in shown.encode()]
    for spread in (pickle.dumps, copy.deepcopy, json.dumps):
        with pytest.raises(TypeError):
            spread(d.secret)
    with pytest.raises(TypeError, match="stays in the driver"):
        pickle.dumps(d)


def test_the_content_is_a_hash_of_the_data_and_the_secret_another():
    X, y = np.arange(12.0).reshape(6, 2), np.repeat([0, 1], 3)
    one = Domain.build("a", X, y, ["x", "y"])
    assert one.content == Domain.build("b", X, y, ["x", "y"]).content
    assert len(one.content) == 64
    assert one.content.encode() not in traces(one.secret)
    others = [(X + 1, y, ["x", "y"]), (X, 1 - y, ["x", "y"]), (X, y, ["x", "z"]), (X.astype(np.float32), y, ["x", "y"])]
    assert len({one.content, *(Domain.build("a", *other).content for other in others)}) == 5
