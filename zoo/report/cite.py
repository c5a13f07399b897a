"""What a paper has to cite and say: BibTeX of what the table contains, and a methods paragraph in LaTeX."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.records import Run
from zoo.report.caption import domain_names
from zoo.report.formats.latex import tex
from zoo.report.lines import Line, lines

LEARNERS = {
    "1nn": "1-nearest-neighbour",
    "logistic": "logistic regression",
    "linear_svm": "a linear SVM",
    "svc": "a support vector classifier",
    "knn": "nearest neighbours",
}
NORMALISATIONS = {"l1": "unit L1 norm", "l2": "unit L2 norm", "zscore": "standardised features"}
PRECISIONS = {"auto": "float32 (on CUDA mixed with bfloat16)", "fp32": "float32", "bf16": "float32 mixed with bfloat16"}
PROTOCOLS = {
    "holdout": "Of each source 80 % are for training and 20 % for validation, of each target 80 % for adaptation, "
    "without labels, and 20 % for the test, used once; splits are stratified and redrawn with every seed.",
    "transductive": "The protocol is transductive: methods train on the whole source, and adapt to and are tested on "
    "the whole target; what trains on the target's labels is judged out of 5 stratified folds.",
    "stream": "Of each source 80 % are for training and 20 % for validation. The samples of each target arrive once, "
    "in batches, and are scored as they do, without labels; no target sample is there before the stream, none comes "
    "twice, and the scores of a batch are final before the next is there.",
}


@dataclass(frozen=True)
class Known:
    """What `zoo.discover` knows: methods, data sets and validators by name, entries of refs.bib by key."""

    methods: Mapping[str, Any]
    datasets: Mapping[str, Any]
    references: Mapping[str, str]
    validators: Mapping[str, Any] = field(default_factory=dict)

    def keys(self, kind: str, name: str) -> list[str]:
        """The keys of what a method, data set or validator refers to; a data set may have several."""
        known = {"method": self.methods, "dataset": self.datasets, "validator": self.validators}
        info = known[kind].get(name)
        said = info.cite.split(",") if info else []
        return [key.strip() for key in said if key.strip() in self.references]


def bibtex(run: Run, known: Known, badge: str = "") -> str:
    """The paragraph and what has no reference as comments of one line each, and the entries by key.

    With the badge of the run's last verification, if there is one.

    An @ would begin an entry even there, so none is in the comments.
    """
    named = _named(run)
    keys = sorted({key for x in named for key in known.keys(*x)})
    # Baselines are no one's method.
    own = [
        name
        for kind, name in named
        if not known.keys(kind, name) and (kind != "method" or _family(run, name) != "baseline")
    ]
    missing = [f"% no reference in the zoo: {tex(', '.join(sorted(own)))}"] if own else []
    comments = [paragraph(run, known), *filter(None, [tex(badge)]), *missing, *map(tex, run.remarks())]
    return "\n\n".join([*map(_comment, comments), *(known.references[k] for k in keys)]) + "\n"


def paragraph(run: Run, known: Known) -> str:
    """Protocol, splits, budget, seeds and versions of a run, in LaTeX, with the run's own figures."""
    return " ".join(" ".join(sentence.split()) for sentence in _sentences(run, known) if sentence)


def _comment(text: str) -> str:
    return f"% {text.removeprefix('% ')}".replace("@", r"{\char64}")


def _named(run: Run) -> list[tuple[str, str]]:
    """Kind and name of all that the table contains."""
    judges = sorted({name for _, name in run.values})
    methods = {x.method: 0 for x in lines(run)[0]}
    return [("dataset", _suite(run)["dataset"]), *(("method", m) for m in methods), *(("validator", v) for v in judges)]


def _suite(run: Run) -> dict[str, Any]:
    """The suite as resolved; what an older zoo did not write is a question mark."""
    return defaultdict(lambda: "?", {key: value for key, value in run.meta["suite"].items() if value is not None})


def _family(run: Run, name: str) -> str:
    return next((row["family"] for row in run.meta["rows"].values() if row["method"] == name), "")


def _sentences(run: Run, known: Known) -> Iterator[str]:
    suite, meta = _suite(run), run.meta
    rows, _ = lines(run)
    records = list({r["cell"]: r for line in rows for r in line.records()}.values())
    yield _compared(run, known, rows)
    yield tex(PROTOCOLS.get(suite["protocol"], f"The protocol is {suite['protocol']}."))
    if labels := suite.get("labels"):
        amount = (
            "All labels of the adaptation part" if labels == "all" else f"Labels of {labels} target samples per class"
        )
        yield tex(f"{amount} are given to the methods whose setting has them, and to no others.")
    if steps := suite.get("normalise"):
        steps = [steps] if isinstance(steps, str) else steps
        by = "source" if suite.get("normalise_by") == "source" else "each domain"
        yield tex(f"Normalisation: {', '.join(NORMALISATIONS.get(s, s) for s in steps)}, with statistics of {by}.")
    yield from _learners(suite, rows)
    yield _parameters(run, known, rows)
    yield tex(_seeds(suite, records))
    yield tex(_unfinished(run, rows, records))
    versions = {
        name: _values(r["versions"].get(name) for r in records if r.get("versions"))
        for name in meta.get("versions", {})
    }
    used = ", ".join(f"{name} {found or meta['versions'][name]}" for name, found in sorted(versions.items()))
    git = f" (revision {meta['git']})" if meta.get("git") else ""
    yield tex(f"Run on {_values(r.get('device') for r in records) or meta.get('device')} with {used}{git}.")


def _compared(run: Run, known: Known, rows: list[Line]) -> str:
    def cited(kind: str, name: str) -> str:
        keys = known.keys(kind, name)
        return tex(name) + (rf"~\cite{{{','.join(keys)}}}" if keys else "")

    suite, domains, pairs = _suite(run), run.meta["domains"], run.meta["pairs"]
    used = sorted(domain_names(pairs) & set(domains))  # a pretrained network in the source's place is no domain
    sizes = ", ".join(f"{name} {domains[name].get('n', '?')}" for name in used)
    classes = max((domains[name].get("classes") or 0 for name in used), default=0)
    baselines = list(dict.fromkeys(x.method for x in rows if x.family == "baseline"))
    methods = list(dict.fromkeys(x.method for x in rows if x.family != "baseline"))
    named = _listed([cited("method", m) for m in methods])
    plain = (
        f"the baselines {tex(_listed(baselines))}" if len(baselines) > 1 else f"the baseline {tex(_listed(baselines))}"
    )
    what = " with ".join(filter(None, (named, plain if baselines else ""))) or "no methods yet"
    n = len(pairs)
    return (
        f"We compare {what} on {n} pair{'s'[: n > 1]} of a source and a target "
        f"({tex(', '.join(p.replace(':', '→') for p in pairs))}) of {cited('dataset', suite['dataset'])} "
        f"({tex(f'{sizes} samples; {classes} classes')})."
    )


def _learners(suite: Mapping[str, Any], rows: list[Line]) -> Iterator[str]:
    names = {line.learner for line in rows}
    if any(name.split("@")[0] == suite["base"] for name in names):
        frozen = f"frozen features of a pretrained {suite['net']}"
        trained = f"features of {suite['net']} trained on the source"
        on = {"frozen": frozen, "source": trained}.get(suite["features"], "the raw features")
        yield tex(f"The base classifier is {LEARNERS.get(suite['base'], suite['base'])} on {on}.")
    if suite["net"] in names or any("@" in name for name in names):
        more = "".join(f", {k.replace('_', ' ')} {suite[k]}" for k in ("momentum", "weight_decay") if suite.get(k))
        rate = f"{suite['learning_rate']:g}" if suite.get("learning_rate") else "?"
        precision = PRECISIONS.get(suite["precision"], suite["precision"])
        more += ", Nesterov" if suite.get("nesterov") else ""
        more += f", backbone × {suite['backbone_rate']:g}" if suite.get("backbone_rate", 1.0) != 1 else ""
        moving = {"head": "all but its head frozen", "all": "all of it trained"}
        start = f", pretrained, {moving.get(suite['trainable'], suite['trainable'])}" if suite.get("weights") else ""
        yield tex(
            f"Every network ({suite['net']}{start}) is trained for {suite['steps']} steps with {suite['batch_size']} "
            f"samples per domain, by {suite['optimiser']} at a learning rate of {rate} "
            f"({suite['schedule']} schedule{more}) in {precision}; the last state is used, never the best."
        )


def _parameters(run: Run, known: Known, rows: list[Line]) -> str:
    """Parameters other than their defaults; all of a method that is not known here."""
    given = []
    for label in dict.fromkeys(line.label for line in rows):
        row = run.meta["rows"][label]
        info = known.methods.get(row["method"])
        defaults = info.parameters if info else {}
        other = {k: v for k, v in row["parameters"].items() if k not in defaults or v != _plain(defaults[k])}
        if other:
            given.append(f"{label}: {', '.join(f'{k} = {v}' for k, v in other.items())}")
    text = f"Parameters are the defaults except {'; '.join(given)}" if given else "All parameters are the defaults"
    return tex(f"{text}; none was searched for.")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value  # as JSON gives it back


def _seeds(suite: Mapping[str, Any], records: list[dict[str, Any]]) -> str:
    seen = {r["seed"] for r in records}
    if seen == {None}:
        return "Nothing in any cell depends on the seed, so each is run once."
    n = len({*range(suite.get("seeds", 1)), *(seen - {None})})
    once = "; cells that do not depend on the seed are run once" if None in seen else ""
    if n == 1:
        return f"Results are of one seed{once}."
    return f"Results are means and sample standard deviations over {n} seeds{once}."


def _unfinished(run: Run, rows: list[Line], records: list[dict[str, Any]]) -> str:
    """What a reader has to know of cells that gave no result."""
    shown = {(x.label, x.learner, x.setting) for x in rows}
    planned = {
        cell
        for label, row in run.meta["rows"].items()
        for learner, settings in (row.get("cells") or {}).items()
        for setting, ids in settings.items()
        for cell in ids
        if (label, learner, setting) in shown
    }
    counts = Counter(r["status"] for r in records if r["status"] != "ok")
    if absent := len(planned - {r["cell"] for r in records}):
        counts["not run"] = absent
    total = len(planned | {r["cell"] for r in records})
    said = ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))
    return f"Of {total} cells {sum(counts.values())} have no result ({said})." if said else ""


def _values(values: Iterable[Any]) -> str:
    return _listed(sorted({str(v) for v in values if v}))


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
