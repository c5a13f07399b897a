"""`zoo data inspect FILES > mine.yaml; zoo run mine.yaml`, for every format that one's own data come in.

npz, mat, csv, parquet and folders of images and sounds: `test_own_data.py`.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.datasets import dump_svmlight_file

pytestmark = pytest.mark.usefixtures("own_cache")
KINDS = np.array(["cat", "owl"])


def table(seed, n=24):
    y = np.arange(n) % 2
    X = np.random.default_rng(seed).normal(size=(n, 3)) + 2 * y[:, None]
    return pd.DataFrame(X, columns=["f0", "f1", "f2"]).round(3).assign(kind=KINDS[y])


def texts(seed, n=24):
    rng, y = np.random.default_rng(seed), np.arange(n) % 2
    said = [" ".join(rng.choice(["good", "fine"] if c else ["bad", "dull"], 3)) + f" all in all {seed}" for c in y]
    return pd.DataFrame({"review": said, "label": np.where(y == 1, "pos", "neg")})


def steps(seed, n=10, least=20):
    """Series in long form, every one of its own length."""
    rng = np.random.default_rng(seed)
    return pd.concat(
        pd.DataFrame(rng.normal(size=(least + i, 2)).round(3), columns=["ax", "ay"]).assign(
            id=f"s{i}", time=np.arange(least + i) / 10, label=KINDS[i % 2]
        )
        for i in range(n)
    )


def csv(name, seed):
    table(seed).to_csv(f"{name}.csv", index=False)
    return f"{name}.csv"


def tsv(name, seed):
    table(seed).to_csv(f"{name}.tsv", index=False, sep="\t")
    return f"{name}.tsv"


def txt(name, seed):
    table(seed).to_csv(f"{name}.txt", index=False, sep=" ")
    return f"{name}.txt"


def decimal_comma(name, seed):
    table(seed).to_csv(f"{name}.csv.gz", index=False, sep=";", decimal=",", encoding="utf-16")
    return f"{name}.csv.gz"


def headless(name, seed):
    table(seed).to_csv(f"{name}.csv", index=False, header=False)
    return f"{name}.csv"


def messy(name, seed):
    """Missing values, words, dates, ids, percents: all in one table."""
    n = 24
    made = table(seed).assign(id=[f"p{i}" for i in range(n)], day="2020-01-05", hue=["red", "blue", "red"] * 8)
    made["share"], made["day"] = [f"{i} %" for i in range(n)], [f"2020-01-{i + 1:02}" for i in range(n)]
    made.loc[3:6, "f1"], made["f2"] = np.nan, made.f2.astype(str).where(np.arange(n) % 7 > 0, "?")
    made.to_csv(f"{name}.csv", index=False)
    return f"{name}.csv"


def npy(name, seed):
    made = table(seed)
    np.save(f"{name}_X.npy", made.iloc[:, :3])
    np.save(f"{name}_y.npy", made.kind.to_numpy(str))
    return f"{name}_X.npy", f"{name}_y.npy"


def npz(name, seed):
    made = table(seed)
    np.savez(f"{name}.npz", data=made.iloc[:, :3], target=made.kind.to_numpy(str))
    return f"{name}.npz"


def sparse(name, seed):
    """What scipy saved, with labels among it."""
    made = table(seed)
    X = sp.csr_matrix(made.iloc[:, :3].clip(0))
    sp.save_npz(f"{name}.npz", X)
    with np.load(f"{name}.npz") as parts:
        np.savez(f"{name}.npz", **parts, y=made.kind.to_numpy(str))
    return f"{name}.npz"


def parquet(name, seed):
    pytest.importorskip("pyarrow")
    table(seed).to_parquet(f"{name}.parquet")
    return f"{name}.parquet"


def svmlight(name, seed):
    made = table(seed)
    dump_svmlight_file(made.iloc[:, :3].to_numpy(), (made.kind == "owl").astype(int), f"{name}.svm")
    return f"{name}.svm"


def arff(name, seed):
    heads = ["@relation r", *(f"@attribute f{i} numeric" for i in range(3)), "@attribute kind {cat,owl}", "@data"]
    rows = [",".join(map(str, row)) for row in table(seed).to_numpy().tolist()]
    Path(f"{name}.arff").write_text("\n".join([*heads, *rows]) + "\n")
    return f"{name}.arff"


def series_csv(name, seed):
    steps(seed).to_csv(f"{name}.csv", index=False)
    return f"{name}.csv"


def series_npz(name, seed):
    made = steps(seed)
    n = made.groupby("id", sort=False).size()
    y = made.groupby("id", sort=False).label.first()
    np.savez(f"{name}.npz", x=made[["ax", "ay"]], length=n, y=y.to_numpy(str))
    return f"{name}.npz"


def series_folder(name, seed):
    for key, made in steps(seed).groupby("id"):
        folder = Path(name, made.label.iloc[0])
        folder.mkdir(parents=True, exist_ok=True)
        made[["time", "ax", "ay"]].to_csv(folder / f"{key}.csv", index=False)
    return name


def text(name, seed):
    texts(seed).to_csv(f"{name}.tsv", index=False, sep="\t")
    return f"{name}.tsv"


def text_folder(name, seed):
    for i, (said, label) in enumerate(texts(seed).to_numpy().tolist()):
        folder = Path(name, label)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i}.txt").write_text(said)
    return name


def graph(name, seed):
    rng, n = np.random.default_rng(seed), 30
    y = rng.permutation(np.arange(n) % 2)
    A = np.triu(rng.random((n, n)) < np.where(y[:, None] == y, 0.3, 0.03), 1)
    np.savez(f"{name}.npz", edges=np.argwhere(A), x=rng.normal(size=(n, 4)) + y[:, None], y=y)
    return f"{name}.npz"


def facts(name, seed):
    rng = np.random.default_rng(seed)
    people = [f"p{i}" for i in range(8)]
    for fold in ("fold1", "fold2"):
        folder = Path(name, fold)
        folder.mkdir(parents=True)
        knows = [(a, b) for a in people for b in people if a != b and rng.random() < 0.3]
        likes = [(a, b) for a in people for b in people if a != b and rng.random() < 0.5]
        (folder / "facts.txt").write_text("".join(f"knows({a},{b}).\n" for a, b in knows))
        (folder / "pos.txt").write_text("".join(f"likes({a},{b}).\n" for a, b in likes if (a, b) in knows))
        (folder / "neg.txt").write_text("".join(f"likes({a},{b}).\n" for a, b in likes if (a, b) not in knows))
    return name


WRITE = {
    "csv": (csv, decimal_comma, headless, messy, tsv, txt),
    "npz": (npz, npy, sparse),
    "parquet": (parquet,),
    "svmlight": (svmlight,),
    "arff": (arff,),
    "series": (series_csv, series_npz, series_folder),
    "text": (text, text_folder),
    "graph": (graph,),
    "facts": (facts,),
}


def runs(zoo, files, form):
    """The printed suite is run as it is printed, source_only alone; returns it, and the records."""
    done = zoo("data", "inspect", *files)
    assert (done.code, done.err) == (0, "")
    Path("mine.yaml").write_text(done.out)
    suite = zoo("data", "inspect", *files, "--json").json["suite"]
    assert suite["data"]["format"] == form
    fast = [] if form == "facts" else ["--steps", "2", "--seeds", "1", "--methods", "source_only"]
    run = zoo("run", "mine.yaml", "--executor", "local", *fast)
    assert run.code == 0, run.err
    lines = [line for file in Path("runs/mine/records").glob("*.jsonl") for line in file.read_text().splitlines()]
    records = [json.loads(line) for line in lines]
    assert records
    assert {r["status"] for r in records} == {"ok"}
    return suite, records


@pytest.mark.parametrize(("form", "write"), [(form, w) for form, all_ in WRITE.items() for w in all_])
def test_what_inspect_prints_runs(zoo, form, write):
    files = [write(name, seed) for seed, name in enumerate(("one", "two"))]
    files = [f for some in files for f in ([some] if isinstance(some, str) else some)]
    suite, records = runs(zoo, files, form)
    assert {(r["source"], r["target"]) for r in records} >= {("one", "two"), ("two", "one")}
    if form not in ("graph", "facts"):
        assert suite["methods"] == ["source_only", "coral", "dann", "target_only"]


@pytest.mark.parametrize("form", ["csv", "text", "parquet"])
def test_one_table_with_a_column_of_domains_runs(zoo, form):
    make = texts if form == "text" else table
    whole = pd.concat([make(seed).assign(site=name) for seed, name in enumerate(("one", "two", "three"))])
    if form == "parquet":
        pytest.importorskip("pyarrow")
        whole.to_parquet("all.parquet")
    else:
        whole.to_csv("all.csv", index=False)
    suite, records = runs(zoo, ["all.parquet" if form == "parquet" else "all.csv"], form)
    assert suite["data"]["by"] == "site"
    assert {r["target"] for r in records} == {"one", "two", "three"}
