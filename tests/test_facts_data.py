"""Databases of facts: each rule of loading on a small written one, and what is known of the real ones."""

from __future__ import annotations

import os
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

from zoo.data import _atoms
from zoo.data.formats.facts import read
from zoo.data.relational import Relational
from zoo.errors import BadInput
from zoo.facts import Database, Fold

FOLD = {
    "facts": [
        "knows(a,c).",
        "knows(c,b).",
        "knows(b,a).",
        "person(a).",
        "person(b).",
        "person(c).",
        "lives(a,rome).",
        "lives(b,oslo).",
    ],
    "pos": ["likes(a,b).", "likes(b,c)."],
    "neg": ["likes(a,c).", "likes(b,a)."],
}


def write(root: Path, *folds: dict[str, list[str]], modes: str = "") -> Path:
    """A database, a folder for each fold."""
    for i, fold in enumerate(folds, 1):
        (root / f"fold{i}").mkdir(parents=True)
        for kind, lines in fold.items():
            (root / f"fold{i}" / f"{kind}.txt").write_text("\n".join(lines) + "\n")
    if modes:
        (root / "background.txt").write_text(modes)
    return root


def atoms(fold: Fold, rows: np.ndarray) -> set[tuple[str, ...]]:
    return {tuple(fold.facts.constants[c] for c in row) for row in rows}


def examples(fold: Fold, label: int) -> set[tuple[str, ...]]:
    return atoms(fold, fold.X[fold.y == label])


def test_a_fold_is_read_as_it_stands(tmp_path):
    database = read(write(tmp_path / "db", FOLD), "likes")
    (fold,) = database.folds
    assert (database.name, fold.name, fold.facts.target) == ("db", "fold1", "likes")
    assert examples(fold, 1) == {("a", "b"), ("b", "c")}
    assert examples(fold, 0) == {("a", "c"), ("b", "a")}
    assert set(fold.facts.relations) == {"knows", "person", "lives"}
    assert atoms(fold, fold.facts.relations["lives"]) == {("a", "rome"), ("b", "oslo")}
    assert fold.facts.relations["person"].dtype == np.int32
    assert fold.X.dtype == fold.y.dtype == np.int64


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("p(a,b).", ("a", "b")),
        ("  p ( a , b2_x )  ", ("a", "b2_x")),
        ("p('Rome, Italy',\"x\").", ("Rome, Italy", "x")),
        ("p(a,b,c).", ("a", "b", "c")),
        ("p(a-1.5).", ("a-1.5",)),
    ],
)
def test_lines_that_are_facts(tmp_path, line, arguments):
    path = tmp_path / "facts.txt"
    path.write_text(f"% a comment\n\n// another\n{line}\n")
    assert [(a.predicate, a.arguments, a.line) for a in _atoms.facts(path)] == [("p", arguments, 4)]


@pytest.mark.parametrize(
    "line", ["p(a,b", "p a b.", "p(a,,b).", "p().", "p(a,).", "(a,b).", "p(a)(b).", "p(a,'b).", "1(a)."]
)
def test_malformed_facts_name_file_and_line(tmp_path, line):
    path = write(tmp_path, {**FOLD, "facts": ["knows(a,b).", line]})
    with pytest.raises(BadInput) as error:
        read(path, "likes")
    assert str(error.value) == f"{path}/fold1/facts.txt, line 2: malformed fact {line!r}: expected pred(a,b)."


def test_the_schema_is_the_union_over_folds_and_ids_are_shared(tmp_path):
    other = {**FOLD, "facts": ["owns(a,car).", "knows(c,b)."]}
    one, two = read(write(tmp_path, FOLD, other), "likes").folds
    assert set(one.facts.relations) == set(two.facts.relations) == {"knows", "person", "lives", "owns"}
    assert one.facts.relations["owns"].shape == (0, 2)
    assert two.facts.relations["person"].shape == (0, 1)
    assert one.facts.constants == two.facts.constants
    assert one.facts.types == two.facts.types


def test_folds_come_in_the_order_of_their_numbers(tmp_path):
    names = [fold.name for fold in read(write(tmp_path, *[FOLD] * 11), "likes").folds]
    assert names == [f"fold{i}" for i in range(1, 12)]


def test_types_come_from_shared_constants(tmp_path):
    people, towns = [f"p{i}" for i in range(6)], ["rome", "oslo", "p0"]  # p0 is a town too
    facts = [f"lives({p},{towns[i % 3]})." for i, p in enumerate(people)]
    facts += [f"knows({a},{b})." for a, b in pairwise(people)] + [
        "capital(rome).",
        "capital(oslo).",
    ]
    fold = {"facts": facts, "pos": ["likes(p0,p1)."], "neg": ["likes(p1,p0)."]}
    types = read(write(tmp_path, fold), "likes").folds[0].facts.types
    person, town = types["lives"]
    assert person != town
    assert types == {
        "lives": (person, town), "knows": (person, person), "capital": (town,), "likes": (person, person)
    }  # fmt: skip


def test_types_come_from_modes_where_these_are(tmp_path):
    modes = "usePrologVariables: true.\nmode: knows(+human,-human).\nlives(+human,#town).\n"
    database = read(write(tmp_path, FOLD, modes=modes), "likes")
    types = database.folds[0].facts.types
    assert types["knows"] == types["likes"] == ("human", "human")
    assert types["lives"] == ("human", "town")
    assert types["person"] == ("human",)
    assert "types: inferred from shared constants for likes, person, otherwise as background.txt" in database.notes[0]


def test_modes_keep_apart_what_shares_constants(tmp_path):
    fold = {"facts": ["p(a).", "p(b).", "q(a).", "q(b)."], "pos": ["t(a)."], "neg": ["t(b)."]}
    modes = "p(+one).\nq(+two).\nt(+one).\n"
    assert read(write(tmp_path, fold, modes=modes), "t").folds[0].facts.types == {
        "p": ("one",),
        "q": ("two",),
        "t": ("one",),
    }


def test_inverses_repetitions_and_aliases_are_no_evidence(tmp_path):
    rng = np.random.default_rng(0)
    likes = sorted({(int(a), int(b)) for a, b in rng.integers(0, 12, (40, 2)) if a != b})
    facts = [f"knows(x{a},x{b})." for a, b in rng.integers(0, 12, (30, 2))]
    facts += [f"liked(x{b},x{a})." for a, b in likes]
    facts += [f"fond(x{a},x{b})." for a, b in likes[: len(likes) // 2]]  # half of the target, itself
    facts += [f"nearly(x{b},x{a})." for a, b in likes[:-1]] + ["nearly(x0,x0)."]
    facts += [f"says(x{a},x{b})." for a, b in likes[:3]]
    half = [f"half(x{b},x{a})." for a, b in likes[::2]] + [f"half(x{a},x{a})." for a in range(12)]
    fold = {"facts": facts + half, "pos": [f"likes(x{a},x{b})." for a, b in likes], "neg": ["likes(x0,x12)."]}
    database = read(write(tmp_path, fold), "likes", aliases=["says"])
    assert set(database.folds[0].facts.relations) == {"knows", "half"}
    said = "\n".join(database.notes)
    assert "liked is left out of the evidence: it inverts likes (100% of its rows)" in said
    assert "fond is left out of the evidence: it repeats likes" in said
    assert "nearly is left out of the evidence: it inverts likes (9" in said
    assert "says is left out of the evidence" in said


def test_an_inverse_in_one_fold_is_one(tmp_path):
    pairs = [(f"a{i}", f"b{i}") for i in range(6)]
    one = {
        "facts": [f"r({b},{a})." for a, b in pairs] + ["q(a0)."],
        "pos": [f"t({a},{b})." for a, b in pairs],
        "neg": ["t(a0,b1)."],
    }
    two = {**one, "facts": [f"r({b},{a})." for (a, _), (_, b) in product(pairs, repeat=2)] + ["q(a0)."]}
    database = read(write(tmp_path, one, two), "t")
    assert set(database.folds[0].facts.relations) == {"q"}
    assert "(100% of its rows in a fold)" in "\n".join(database.notes)


def test_other_targets_of_pos_are_no_evidence_wherever_they_stand(tmp_path):
    fold = {**FOLD, "facts": [*FOLD["facts"], "hates(c,a)."], "pos": [*FOLD["pos"], "hates(a,c)."]}
    database = read(write(tmp_path, fold), "likes")
    assert set(database.folds[0].facts.relations) == {"knows", "person", "lives"}
    assert "hates is left out of the evidence: another target of pos.txt" in database.notes


def test_reflexive_pairs_are_dropped_from_the_examples_only(tmp_path):
    fold = {**FOLD, "facts": [*FOLD["facts"], "knows(a,a)."], "neg": [*FOLD["neg"], "likes(a,a)."]}
    path = write(tmp_path, fold)
    database = read(path, "likes")
    assert examples(database.folds[0], 0) == {("a", "c"), ("b", "a")}
    assert ("a", "a") in atoms(database.folds[0], database.folds[0].facts.relations["knows"])
    assert "1 reflexive examples of likes are dropped" in database.notes
    assert ("a", "a") in examples(read(path, "likes", reflexive=True).folds[0], 0)


def test_only_the_targets_negatives_are_read_and_a_positive_is_no_negative(tmp_path):
    fold = {**FOLD, "neg": [*FOLD["neg"], "knows(c,a).", "likes(a,b)."]}
    (fold,) = read(write(tmp_path, fold), "likes").folds
    assert examples(fold, 0) == {("a", "c"), ("b", "a")}
    assert examples(fold, 1) == {("a", "b"), ("b", "c")}


def test_the_closed_world_is_all_type_consistent_pairs_of_the_fold(tmp_path):
    def fold(people: str, kinds: list[str]) -> dict[str, list[str]]:
        facts = [f"knows({a},{b})." for a, b in pairwise(people)]
        return {"facts": facts + [f"kind({p},{k})." for p, k in zip(people, kinds, strict=False)], "neg": []}

    one, two = read(
        write(tmp_path, fold("abcd", ["x", "y"]), fold("efg", ["x", "z"])), "kind", negatives="closed"
    ).folds
    assert examples(one, 1) == {("a", "x"), ("b", "y")}
    assert examples(one, 0) == {(p, k) for p in "abcd" for k in "xy"} - examples(one, 1)  # c and d have no kind
    assert examples(two, 0) == {(p, k) for p in "efg" for k in "xz"} - {("e", "x"), ("f", "z")}
    assert set(one.facts.relations) == {"knows"}


def test_the_order_tells_nothing_and_is_the_same_each_time(tmp_path):
    people = [f"p{i:02}" for i in range(30)]
    facts = [f"knows({a},{b})." for a, b in pairwise(people)]
    facts += [f"likes({a},{people[0]})." for a in people[1:]]
    one = read(write(tmp_path / "one", {"facts": facts}), "likes", negatives="closed").folds[0]
    two = read(write(tmp_path / "two", {"facts": facts[::-1]}), "likes", negatives="closed").folds[0]
    np.testing.assert_array_equal(one.X, two.X)
    np.testing.assert_array_equal(one.y, two.y)
    where = np.flatnonzero(one.y) / len(one.y)
    assert abs(where.mean() - 0.5) < 0.2
    assert (np.diff(where) > 0).all()
    assert len(np.unique(one.X @ [100, 1])) == len(one.X)


@pytest.mark.parametrize("where", ["facts", "pos", "neg"])
def test_the_content_depends_on_every_fact(tmp_path, where):
    one = read(write(tmp_path / "one", FOLD), "likes")
    changed = {**FOLD, where: FOLD[where][:-1]}
    assert read(write(tmp_path / "two", changed), "likes").content != one.content
    assert read(write(tmp_path / "three", FOLD), "likes").content == one.content


# Bad input ------------------------------------------------------------------------------------------------------------


def refused(path: Path, target: str = "likes", **options: object) -> str:
    with pytest.raises(BadInput) as error:
        read(path, target, **options)
    message = str(error.value)
    assert "\n" not in message
    return message.replace(f"{path}/", "").replace(f"{path}", "DB")


def test_an_arity_clash_names_both_places(tmp_path):
    path = write(tmp_path, FOLD, {**FOLD, "neg": ["likes(a,c).", "likes(a)."]})
    assert refused(path) == "fold2/neg.txt, line 2: likes has 1 argument here, but 2 in fold1/pos.txt, line 1"
    path = write(tmp_path / "modes", FOLD, modes="person(+human,+age).\n")
    assert refused(path) == "background.txt, line 1: person has 2 arguments here, but 1 in fold1/facts.txt, line 4"


def test_four_arguments_are_too_many(tmp_path):
    path = write(tmp_path, {**FOLD, "facts": ["p(a,b,c,d)."]})
    assert refused(path) == "fold1/facts.txt, line 1: p has 4 arguments; a fact has 1 to 3"


def test_unknown_predicates_get_the_nearest_names(tmp_path):
    path = write(tmp_path, FOLD)
    assert "'like'" in refused(path, "like")
    assert "likes" in refused(path, "like")
    assert "knows" in refused(path, aliases=["know"])


def test_folds_without_examples(tmp_path):
    path = write(tmp_path / "a", FOLD, {**FOLD, "pos": []})
    assert refused(path) == "fold2: has no positive example of likes, in facts.txt or pos.txt; leave the fold out"
    path = write(tmp_path / "b", {**FOLD, "neg": []})
    assert (
        refused(path) == "fold1: has no negative example of likes in neg.txt; `negatives: closed` takes all other pairs"
    )
    path = write(tmp_path / "c", {**FOLD, "pos": ["likes(a,a)."]})
    assert refused(path) == "fold1: has no positive example of likes but reflexive ones; `reflexive: true` keeps them"


def test_missing_folders_and_files(tmp_path):
    assert refused(tmp_path / "none") == "DB is not there: expected a folder with a folder per fold"
    (tmp_path / "empty").mkdir()
    assert refused(tmp_path / "empty") == "DB: holds no folds: expected empty/FOLD/facts.txt"
    path = write(tmp_path / "db", FOLD, {"pos": FOLD["pos"]})
    assert refused(path).startswith("fold2/facts.txt is not there: each folder of a database is a fold")


def test_other_bad_input(tmp_path):
    path = write(tmp_path / "db", FOLD, modes="knows(+a,+b).\nknows(+c,+b).\n")
    assert refused(path) == "background.txt, line 2: argument 1 of knows is of 'c', but 'a' in background.txt, line 1"
    path = write(tmp_path / "bytes", FOLD)
    (path / "fold1/facts.txt").write_bytes(b"p(\xff\xfe).\n")
    assert refused(path) == "fold1/facts.txt cannot be read: it is no UTF-8 text"
    assert "'open'" in refused(path, negatives="open")


# The five databases ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def databases() -> dict[str, Database]:
    root = Path(os.environ.get("ZOO_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not (root / "relational").is_dir():
        pytest.skip("no relational data: set ZOO_DATA")
    return {name: Relational().load(name, root) for name in Relational.domains}


def test_counts_of_the_folds(databases):
    """Counted with sort and uniq: distinct atoms less reflexive ones; the closed worlds by their two sizes."""
    counts = {name: [(int(f.y.sum()), int((f.y == 0).sum())) for f in db.folds] for name, db in databases.items()}
    assert counts == {
        "imdb": [(56, 3250), (58, 3364), (178, 3482), (45, 1847), (45, 2025)],
        "uwcse": [(16, 2336), (33, 5079), (9, 747), (20, 3640), (35, 4521)],
        "cora": [(274, 688), (674, 544), (484, 2222), (642, 1068), (472, 500)],
        "twitter": [(126, 126 * 2), (156, 156 * 2)],
        "yeast": [(87, 461 * 50 - 87), (104, 440 * 58 - 104), (92, 467 * 51 - 92), (86, 417 * 48 - 86)],
    }
    assert databases["uwcse"].folds[0].facts.relations["ta"].shape == (53, 3)
    assert [len(f.facts.relations["projectmember"]) for f in databases["uwcse"].folds] == [4, 0, 0, 0, 1]
    for db in databases.values():
        assert not any((f.X[:, 0] == f.X[:, 1]).any() for f in db.folds)


@pytest.mark.parametrize(
    ("name", "kept", "left_out"),
    [
        ("imdb", {"actor", "director", "female", "genre", "movie"}, set()),
        ("cora", {"author", "haswordauthor", "haswordtitle", "haswordvenue", "title", "venue"},
         {"sameauthor", "samebib", "sametitle"}),
        ("twitter", {"follows", "tweets"}, {"typeaccount"}),
        ("yeast", {"complex", "enzyme", "function", "interaction", "location", "phenotype"}, {"classprotein"}),
    ],
)  # fmt: skip
def test_leaks_are_closed(databases, name, kept, left_out):
    db = databases[name]
    assert all(set(f.facts.relations) == kept for f in db.folds)
    assert {note.split()[0] for note in db.notes if "left out" in note} == left_out


@pytest.mark.parametrize(
    ("name", "target", "inverse"),
    [("yeast", "proteinclass", "classprotein"), ("twitter", "accounttype", "typeaccount")],
)
def test_inverses_are_found_without_being_named(databases, name, target, inverse):
    root = Path(os.environ.get("ZOO_DATA") or Path(__file__).parents[2] / "shared" / "data") / "relational"
    db = read(root / name, target, negatives="closed")
    assert f"{inverse} is left out of the evidence: it inverts {target} (100% of its rows)" in db.notes
    assert db.content == databases[name].content


def test_types_of_the_five(databases):
    types = {name: db.folds[0].facts.types for name, db in databases.items()}
    account, kind = types["twitter"]["accounttype"]
    assert types["twitter"]["follows"] == (account, account)
    assert types["twitter"]["tweets"][1] not in (account, kind)  # a word and a type share `club`
    person = types["imdb"]["actor"][0]
    assert types["imdb"]["workedunder"] == (person, person)
    assert types["imdb"]["director"] == types["imdb"]["female"] == (person,)
    assert types["imdb"]["movie"][1] == types["imdb"]["genre"][0] == person
    assert len({person, types["imdb"]["movie"][0], types["imdb"]["genre"][1]}) == 3
    protein, cls = types["yeast"]["proteinclass"]
    assert types["yeast"]["interaction"] == (protein, protein)
    assert len({cls, *(types["yeast"][p][1] for p in ("complex", "enzyme", "function", "location", "phenotype"))}) == 6
    assert types["cora"]["samevenue"] == ("venue", "venue")
    assert types["uwcse"]["advisedby"] == ("person", "person")


def test_without_data_one_line():
    with pytest.raises(BadInput, match="give --data-root DIR"):
        Relational().load("imdb", None)
