"""`zoo predict`: what it writes is what scikit-learn gives by hand, for rows of the run and for rows of new files."""

import hashlib
import io
import json
import os
import pickle
import shlex
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import dump_svmlight_file
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

import zoo as package
from zoo import records
from zoo.bench.newfile import predicted
from zoo.bench.predict import predict
from zoo.errors import BadInput
from zoo.records import schema
from zoo.vault import confine

NAMES = np.array(["cat", "dog", "eel"])
CLASSES = [f"score_{c}" for c in NAMES]
F = ["f0", "f1", "f2"]


def table(seed, n=30, shift=0.0):
    y = np.arange(n) % 3
    X = np.random.default_rng(seed).normal(size=(n, 3)) + 1.5 * np.eye(3)[y] + shift
    return pd.DataFrame(X, columns=F).round(3).assign(y=NAMES[y])


def made(folder, more="", target=lambda f: f, **how):
    """A run on two tables, the target's as `target` makes it."""
    table(0).to_csv(folder / "a.csv", index=False)
    target(table(1, shift=0.4)).to_csv(folder / "b.csv", index=False)
    (folder / "mine.yaml").write_text(f"data: {{format: csv, domains: {{a: a.csv, b: b.csv}}}}\nseeds: 2\n{more}")
    how = {"pairs": ["a:b"], "methods": ["source_only"], "executor": "local", "quiet": True} | how
    package.run(folder / "mine.yaml", out=folder / "run", **how)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Of tables whose target has labels in three rows of four, in holdout, with kept fits."""
    folder = tmp_path_factory.mktemp("predict")
    how = {"methods": ["source_only", "coral", "dann"], "steps": 3, "keep": ["model"]}
    return made(folder, "normalise: [zscore]\n", lambda f: f.assign(y=f.y.where(f.index % 4 > 0, "")), **how)


def new(folder, frame, name="new.csv"):
    frame.to_csv(folder / name, index=False)
    return folder / name


def test_rows_are_those_of_the_file_with_the_class_of_scikit_learn(tmp_path, zoo):
    made(tmp_path, "protocol: transductive\n", methods=["source_only", "coral"])
    done = zoo("predict", tmp_path / "run", "--method", "source_only", "--out", tmp_path / "p.csv")
    assert (done.code, done.out, done.err) == (0, "", "")
    found = pd.read_csv(tmp_path / "p.csv")
    assert [*found] == ["row", "domain", "source", "class", *CLASSES, "seeds"]
    a, b = pd.read_csv(tmp_path / "a.csv"), pd.read_csv(tmp_path / "b.csv")
    by_hand = LogisticRegression(max_iter=1000).fit(a[F], a.y)
    assert found.row.tolist() == list(range(30))
    assert found["class"].tolist() == by_hand.predict(b[F]).tolist()
    assert found[CLASSES].to_numpy() == pytest.approx(by_hand.predict_proba(b[F]), abs=2e-3)  # kept in half precision
    assert set(found.domain + found.source) == {"ba"}


def test_scores_are_means_over_the_seeds_that_scored_a_row(run):
    found = predict(run / "run", "coral")
    total, seen = np.zeros((30, 3)), np.zeros(30)
    for r in (r for r in records.read(run / "run").records if r["method"] == "coral"):
        with np.load(run / "run" / "predictions" / f"{r['cell']}.npz") as kept:
            for part in ("test", "adapt"):
                p = np.exp(kept[f"{part}_log_scores"].astype(float))
                total[kept[f"{part}_rows"]] += p / p.sum(1, keepdims=True)
                seen[kept[f"{part}_rows"]] += 1
    assert seen.tolist() == found.seeds.tolist() == [2] * 30  # those without a label too
    assert found[CLASSES].to_numpy() == pytest.approx(total / 2)
    assert found["class"].tolist() == NAMES[total.argmax(1)].tolist()


def test_labels_of_the_target_change_nothing_that_is_written(tmp_path):
    texts = []
    for i, change in enumerate((lambda f: f, lambda f: f.assign(y=f.y.to_numpy()[::-1]), lambda f: f.assign(y=""))):
        folder = tmp_path / str(i)
        folder.mkdir()
        made(folder, "protocol: transductive\n", change, methods=["source_only", "coral"])
        texts.append(predict(folder / "run", "coral").round(4).to_csv())
    assert texts[0] == texts[1] == texts[2]


def test_labelled_rows_that_methods_are_given_are_scored_in_other_seeds_only(tmp_path):
    made(tmp_path, "labels: 2\n", methods=["source_only"])
    found = predict(tmp_path / "run", "source_only")
    assert found.seeds.sum() == 2 * (30 - 6)
    assert (found["class"] == "").tolist() == (found.seeds == 0).tolist() == found.score_cat.isna().tolist()


def test_values(tmp_path):
    for seed, name in enumerate("ab"):
        frame = table(seed)
        frame.assign(y=(frame.f0 * 2 + frame.f1).round(3)).to_csv(tmp_path / f"{name}.csv", index=False)
    text = "data: {format: csv, domains: {a: a.csv, b: b.csv}}\ntask: regression\nprotocol: transductive\n"
    (tmp_path / "mine.yaml").write_text(text)
    how = {"methods": ["source_only"], "executor": "local", "quiet": True, "out": tmp_path / "run"}
    package.run(tmp_path / "mine.yaml", pairs=["a:b"], **how)
    a, b = pd.read_csv(tmp_path / "a.csv"), pd.read_csv(tmp_path / "b.csv")
    y = StandardScaler().fit(a[["y"]])
    by_hand = y.inverse_transform(Ridge().fit(a[F], y.transform(a[["y"]])[:, 0]).predict(b[F]).reshape(-1, 1))[:, 0]
    found = predict(tmp_path / "run", "source_only")
    assert [*found] == ["row", "domain", "source", "value", "seeds"]
    assert found.value.to_numpy() == pytest.approx(by_hand, abs=1e-4)
    fresh = predicted(tmp_path / "run", "source_only", new(tmp_path, b[F].iloc[::-1]))
    assert fresh.value.to_numpy() == pytest.approx(by_hand[::-1], abs=1e-4)


def test_rows_of_one_file_by_domain_and_of_folders_say_where_they_stand(tmp_path):
    both = pd.concat([table(0).assign(site="a"), table(1).assign(site="b")]).sample(frac=1, random_state=0)
    both.to_csv(tmp_path / "all.csv", index=False)
    (tmp_path / "mine.yaml").write_text("data: {format: csv, file: all.csv, by: site}\nseeds: 1\n")
    how = {"methods": ["source_only"], "executor": "local", "quiet": True, "out": tmp_path / "run"}
    package.run(tmp_path / "mine.yaml", **how)
    found = predict(tmp_path / "run", "source_only", pairs=["a:b"])
    assert found.row.tolist() == np.flatnonzero(both.site == "b").tolist()
    every = predict(tmp_path / "run", "source_only")
    assert sorted(every.row) == list(range(60))  # both pairs


def test_shared_classes_leave_rows_at_their_numbers(tmp_path):
    text = "data: {format: csv, domains: {a: a.csv, b: b.csv}}\nclasses: shared\nseeds: 1\n"
    table(0).to_csv(tmp_path / "a.csv", index=False)
    b = table(1)
    b.assign(y=b.y.where(b.y != "dog", "fox")).to_csv(tmp_path / "b.csv", index=False)
    (tmp_path / "mine.yaml").write_text(text)
    how = {"methods": ["source_only"], "executor": "local", "quiet": True, "out": tmp_path / "run"}
    package.run(tmp_path / "mine.yaml", pairs=["a:b"], **how)
    assert predict(tmp_path / "run", "source_only").row.tolist() == [i for i in range(30) if i % 3 != 1]


def one_line(call, *args, **how):
    with pytest.raises(BadInput) as error:
        call(*args, **how)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_refusals(run, tmp_path):
    folder = run / "run"
    assert "source_only is several rows: choose by --learner and --setting one of: logistic, none; mlp, none" in (
        one_line(predict, folder, "source_only")
    )
    assert predict(folder, "source_only", learner="mlp").seeds.tolist() == [2] * 30
    assert one_line(predict, folder, "corel").startswith("unknown method 'corel': did you mean 'coral'?")
    assert one_line(predict, folder, "coral", pairs=["b:a"]).startswith("unknown pair 'b:a'")
    shutil.copytree(run, tmp_path / "x")
    copy = tmp_path / "x" / "run"
    at = next(iter((copy / "predictions").glob("*.npz")))
    whole = at.read_bytes()
    cell = next(r for r in records.read(copy).records if r["cell"] == at.stem)
    how = {"learner": cell["learner"]}
    at.write_bytes(whole[:-1] + b"x")
    assert "is not what was stored" in one_line(predict, copy, cell["method"], **how)
    at.unlink()
    assert "is not there: predictions stay where a run was made" in one_line(predict, copy, cell["method"], **how)
    at.write_bytes(whole)
    meta = json.loads((copy / "run.json").read_text())
    meta["suite"]["data"]["domains"] = {k: str(tmp_path / "x" / f"{k}.csv") for k in "ab"}
    (copy / "run.json").write_text(json.dumps(meta))
    assert len(predict(copy, "coral")) == 30
    text = (tmp_path / "x" / "b.csv").read_text()
    (tmp_path / "x" / "b.csv").write_text(text.replace("dog", "eel", 1))
    assert "the data of b have changed since the run" in one_line(predict, copy, "coral")
    (tmp_path / "x" / "b.csv").unlink()
    assert "its data are not here" in one_line(predict, copy, "coral")


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("method", ["coral", "dann"])
def test_rows_of_a_new_file_are_predicted_as_in_the_run(run, tmp_path, method, kept):
    """By fits that were kept, and by cells fitted again; without labels, columns in another order and more of them."""
    folder = run / "run"
    if not kept:
        shutil.copytree(folder, tmp_path / "run")
        shutil.rmtree(tmp_path / "run" / "models")
        folder = tmp_path / "run"
    b = pd.read_csv(run / "b.csv")
    rows = [4, 0, 17, 29]
    said: list[str] = []
    file = new(tmp_path, b.loc[rows, ["f2", "f0", "f1"]].assign(note="x"))
    found = predicted(folder, method, file, told=said.append)
    inside = predict(folder, method).loc[rows]
    assert found.row.tolist() == [0, 1, 2, 3]
    assert found["class"].tolist() == inside["class"].tolist()
    assert found[CLASSES].to_numpy() == pytest.approx(inside[CLASSES].to_numpy(), abs=2e-3)
    assert not [line for line in said if "metrics" in line]
    fits = [] if kept and confine.abi() else ["2 cells are fitted again (zoo run --keep model keeps them)"]
    assert said == fits


def test_a_new_file_is_refused_in_a_line(run, tmp_path, zoo):
    b = pd.read_csv(run / "b.csv")
    done = zoo("predict", run / "run", new(tmp_path, b[["f0", "f2"]]), "--method", "coral", "--out", tmp_path / "p.csv")
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith("new.csv: x: lacks column 'f1', which the run's data have\n")
    assert not (tmp_path / "p.csv").exists()
    file = new(tmp_path, b[F].assign(f1="red"))
    assert "column 'f1', line 2: expected a number, got 'red'" in one_line(predicted, run / "run", "coral", file)
    assert "nowhere.csv" in one_line(predicted, run / "run", "coral", tmp_path / "nowhere.csv")
    file = new(tmp_path, b[F])
    for out, says in ((tmp_path / "none" / "p.csv", "there is no folder"), (tmp_path, "is a folder")):
        done = zoo("predict", run / "run", file, "--method", "coral", "--out", out)  # before minutes of fits
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert f"--out {out}: {says}" in done.err
    done = zoo("predict", run / "run", "--method", "coral", "--pair", ",", "--out", tmp_path / "p.csv")
    assert (done.code, done.err) == (2, "zoo: --pair: names none; leave it out for all\n")
    assert "-keep" in zoo("run", run / "mine.yaml", "--keep", "all").err


def frames(folder, end, write):
    """Files a and b in a format, and as a new file some rows of b without labels."""
    for seed, name in enumerate("ab"):
        write(folder / f"{name}.{end}", table(seed), True)
    write(folder / f"new.{end}", table(1).iloc[ROWS], False)


ROWS = [7, 2, 20]


def words(path, frame, labelled):
    """With a category, and missing values in two columns."""
    frame = frame.assign(kind=np.where(frame.f0 > 0.5, "red", "blue"), f1=frame.f1.where(frame.f1 < 2))
    frame[[*F, "kind", *(["y"] if labelled else [])]].to_csv(path, index=False)


def arrays(path, frame, labelled):
    np.savez(path, X=frame[F].to_numpy(), **({"y": frame.y.to_numpy(dtype="U3")} if labelled else {}))


def sparse(path, frame, labelled):
    dump_svmlight_file(frame[F], np.searchsorted(NAMES, frame.y), str(path))  # its lines begin with a label, always


def texts(path, frame, labelled):
    sizes = np.where(frame.f0 > 0, "big", "small")
    said = [f"the {y} is {size}: {int(1000 * abs(x))}" for size, x, y in zip(sizes, frame.f0, frame.y, strict=True)]
    pd.DataFrame({"text": said} | ({"y": frame.y} if labelled else {})).to_csv(path, index=False)


def series(path, frame, labelled):
    X = np.stack([np.random.default_rng(int(1000 * abs(x))).normal(x, 1, (2, 20)) for x in frame.f0])
    np.savez(path, X=X, **({"y": frame.y.to_numpy(dtype="U3")} if labelled else {}))


def pictures(path, frame, labelled):
    for i, (x, y) in enumerate(zip(frame.f0, frame.y, strict=True)):
        place = path / y if labelled else path
        place.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(int(1000 * abs(x))).integers(0, 255, (8, 8, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(place / f"{i:02}.png")


@pytest.mark.parametrize(
    ("form", "end", "write", "more"),
    [
        ("csv", "csv", words, "normalise: [zscore, l2]"),
        ("npz", "npz", arrays, "normalise: [zscore]"),
        ("svmlight", "svmlight", sparse, ""),
        ("text", "csv", texts, ""),
        ("series", "npz", series, "window: 10\nnormalise: [zscore]\nnet: cnn1d\nsteps: 2"),
        ("imagefolder", "d", pictures, "net: cnn\nfeatures: source\nsteps: 2\nbatch_size: 4"),
    ],
)
def test_new_rows_of_every_format_are_prepared_as_those_of_the_run(tmp_path, form, end, write, more):
    frames(tmp_path, end, write)
    at = {name: tmp_path / f"{name}.{end}" for name in ("a", "b", "new")}
    keys = ", categories: [kind], impute: mean" if write is words else ", size: 8" if write is pictures else ""
    text = f"data: {{format: {form}, domains: {{a: {at['a']}, b: {at['b']}}}{keys}}}\nseeds: 1\n{more}\n"
    (tmp_path / "mine.yaml").write_text(text)
    how = {"methods": ["coral"], "executor": "local", "quiet": True, "out": tmp_path / "run"}
    package.run(tmp_path / "mine.yaml", pairs=["a:b"], **how)
    found, inside = predicted(tmp_path / "run", "coral", at["new"]), predict(tmp_path / "run", "coral")
    scores = [c for c in found if c.startswith("score_")]
    want = [i for row in ROWS for i in np.flatnonzero(inside.row == row)]
    if write is pictures:  # which stand in the order of their names
        assert [Path(f).name for f in found.file] == ["00.png", "01.png", "02.png"]
        pixels = [np.asarray(Image.open(f)).tobytes() for f in inside.file]
        want = [pixels.index(np.asarray(Image.open(f)).tobytes()) for f in found.file]
    assert len(found) == len(want) == (9 if write is series else 3)
    assert found[scores].to_numpy() == pytest.approx(inside.loc[want, scores].to_numpy(), abs=2e-3)


class Bad:
    """A pickle that writes into the run folder and says so elsewhere."""

    def __init__(self, *places):
        self.places = places

    def __reduce__(self):
        return os.system, (";".join(f"touch {p}" for p in self.places),)


@pytest.mark.skipif(not confine.abi(), reason="no Landlock")
def test_a_model_of_someone_else_reaches_nothing(run, tmp_path):
    """Its hash in the record is forged as well; it is taken up confined, in a process of its own, and ends there."""
    shutil.copytree(run / "run", tmp_path / "run")
    own = [r for r in records.read(tmp_path / "run").records if r["method"] == "coral"]
    marks = [tmp_path / "run" / "mark", tmp_path / "mark"]
    for r in own:
        path = tmp_path / "run" / "models" / f"{r['cell']}.pt"
        path.write_bytes(b"x")
    file = new(tmp_path, pd.read_csv(run / "b.csv")[F])
    assert "is not the model that was kept" in one_line(predicted, tmp_path / "run", "coral", file)
    buffer = io.BytesIO()
    import torch

    torch.save({"adapter": Bad(*marks)}, buffer, pickle_module=pickle)
    forged = []
    for r in own:
        path = tmp_path / "run" / "models" / f"{r['cell']}.pt"
        path.write_bytes(buffer.getvalue())
        forged.append({**r, "models_sha256": [hashlib.sha256(buffer.getvalue()).hexdigest()]})
    for path in (tmp_path / "run" / "records").glob("*.jsonl"):
        cells = {r["cell"] for r in own}
        rest = [line for line in path.read_bytes().splitlines(keepends=True) if json.loads(line)["cell"] not in cells]
        path.write_bytes(
            b"".join([*rest, *(schema.line({k: v for k, v in r.items() if k != "digest"}) for r in forged)])
        )
    assert "n_classes" in one_line(predicted, tmp_path / "run", "coral", file)  # it ran, and then was no fit
    assert not any(mark.exists() for mark in marks)
    call, arguments = Bad(tmp_path / "shown").__reduce__()  # elsewhere it would have left its mark
    call(*arguments)
    assert (tmp_path / "shown").exists()


def test_the_commands_of_the_guide(zoo):
    text = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
    for seed, name in enumerate(("clinic", "home")):
        table(seed).rename(columns={"y": "diagnosis"}).to_csv(f"{name}.csv", index=False)
    Path("mine.yaml").write_text(text.partition("```yaml\n")[2].partition("```")[0])
    table(2)[F].to_csv("new.csv", index=False)
    block = text.partition("<!-- not run: tests/test_predict.py does -->\n```sh\n")[2].partition("```")[0]
    for command in block.splitlines():
        done = zoo(*shlex.split(command, comments=True)[1:])
        assert done.code == 0, done.err
    for name, file in (("home_predicted", "home"), ("new_predicted", "new")):
        assert len(pd.read_csv(f"{name}.csv")) == len(pd.read_csv(f"{file}.csv"))
