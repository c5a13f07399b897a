"""The plan: a suite becomes cells, each with the hash of all that decides its result."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from zoo import discover, plain, streams, wrappers
from zoo.access import setting_of
from zoo.bench import foreign, guests, search
from zoo.bench.pairs import alone, crowded, expanded
from zoo.bench.suite import STREAM_KEYS, Suite
from zoo.document import scalar
from zoo.errors import BadInput
from zoo.kinds import unknown
from zoo.kinds.base import PRETRAINED, Data, Draws, Pair, origins
from zoo.parameters import cast
from zoo.records.ids import canonical
from zoo.tasks import parted
from zoo.vault import plugins

SAMPLES = frozenset({"Xs", "ys", "ds"})
MODEL_FREE = {"labels"} | STREAM_KEYS  # keys of a suite that no source model depends on
HERE = Path(__file__).parent.parent


@dataclass(frozen=True)
class Row:
    """A method with concrete parameters under a label: one row of the table per setting and learner.

    `fixed` are the parameters that the suite or ``--set`` gave a value: a search leaves them alone.
    """

    label: str
    info: discover.MethodInfo
    parameters: dict[str, Any]
    files: tuple[Path, ...] = ()  # of a plugin: what importing it loaded beside its own file
    fixed: frozenset[str] = frozenset()
    trial: int = 0


@dataclass(frozen=True)
class Cell:
    """The unit of work. `identity` is all that decides its result; `id` is the hash of that."""

    id: str
    row: Row
    identity: dict[str, Any]
    grant: frozenset[str]
    use: str  # base or net
    model: str | None  # key of the source model that it needs
    foreign: bool = False  # whether it makes a network that is a plugin's

    @property
    def source(self) -> str | None:
        return self.identity["source"]

    @property
    def target(self) -> str:
        return self.identity["target"]

    @property
    def seed(self) -> int | None:
        return self.identity["seed"]

    def pair(self, draws: Draws) -> Pair:
        """What the protocol draws for it, as its learner sees the samples."""
        vectors = draws.suite.kind.vectors(draws.suite, self.row.info, self.use)
        return draws.pair(self.source, self.target, self.seed or 0, vectors)

    @property
    def stranger(self) -> bool:
        """Whether a stranger's code runs in it."""
        return self.row.info.plugin or self.foreign

    @property
    def worker(self) -> tuple[Any, ...]:
        """Cells of one worker: one target and one grant of its labels."""
        if "yt" in self.grant:
            return (self.target, "oracle", self.seed)
        return (self.target, "labels", self.seed) if "Xl" in self.grant else (self.target, "none", None)


@dataclass(frozen=True)
class Plan:
    suite: Suite
    pairs: list[tuple[str, str]]
    rows: list[Row]
    cells: list[Cell]
    unsupported: list[dict[str, str]]
    code: dict[str, dict[str, str]] = field(default_factory=dict)  # label → learner → hash
    trials: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # label → parameters; the row's own first

    def ids(self, row: Row) -> dict[str, dict[str, list[str]]]:
        """Ids of the cells of a row's trials by learner and setting; rows that differ in their labels share theirs."""
        found: dict[str, dict[str, list[str]]] = {}
        tried = self.trials.get(row.label, [row.parameters])
        own = [c for c in self.cells if c.row.info.name == row.info.name and c.row.parameters in tried]
        for c in sorted(own, key=lambda c: c.id):
            found.setdefault(c.identity["learner"], {}).setdefault(c.identity["setting"], []).append(c.id)
        return found


def parse_pairs(suite: Suite) -> list[tuple[str, str]]:
    """The pairs of a suite, by default all ordered ones, in the data set's order.

    Raises
    ------
    BadInput
        Malformed pair, unknown domain, a domain paired with itself or twice among the sources.
    """
    domains = suite.source.domains
    if not suite.pairs:
        if len(domains) < 2:
            how = f"two or more, NAME: PATH, or pairs: [weights:{domains[0]}] for a pretrained network"
            raise BadInput(f"data: domains: a source and a target are needed: {how}")
        return [(s, t) for s in domains for t in domains if s != t]
    pairs = []
    for text in expanded(suite.pairs, domains):
        source, colon, target = text.partition(":")
        if not (source and colon and target):
            raise BadInput(f"pair {text!r}: write SOURCE:TARGET, such as {domains[0]}:{domains[1]}")
        parts = streams.parts(target)
        if len(parts) > 1 and suite.protocol != streams.NAME:
            raise BadInput(f"pair {text!r}: several targets arrive one after another: that is protocol: stream")
        for name in (*origins(source), *parts):
            if name not in domains:
                raise discover.unknown(f"domain in pair {text!r}:", name, domains)
        if twice := [s for s in origins(source) if origins(source).count(s) > 1]:
            raise BadInput(f"pair {text!r}: {twice[0]} stands twice among the sources")
        if {*parts} & {*source.split("+")}:
            raise BadInput(f"pair {text!r}: the target is also a source")
        if len({*parts}) < len(parts):
            raise BadInput(f"pair {text!r}: a target stands twice")
        if source == PRETRAINED:
            _stands_alone(suite, text)
        pairs.append((source, target))
    return list(dict.fromkeys(pairs))


def sourced(suite: Suite) -> list[tuple[str, str]]:
    """`parse_pairs`, for what compares the samples of two domains.

    Raises
    ------
    BadInput
        As `parse_pairs`; data that are no samples; a pair without source samples.
    """
    pairs = parse_pairs(suite)
    if "Xt" not in suite.kind.gives:
        raise BadInput(f"{suite.dataset} holds {suite.kind.name}: there are no samples with features to compare")
    for source, target in pairs:
        if source == PRETRAINED:
            raise BadInput(f"pair '{source}:{target}' has no source samples to compare with its target's")
    return pairs


def _stands_alone(suite: Suite, pair: str) -> None:
    """Refuse what cannot be had from a pretrained network alone."""
    if not suite.weights:
        raise BadInput(f"pair {pair!r} starts from a pretrained network: give weights: FILE or default, and its net:")
    if suite.features == "source" or suite.normalise_by == "source":
        key = "features" if suite.features == "source" else "normalise_by"
        raise BadInput(f"pair {pair!r}: {key}: source needs source samples, and this pair has none")


def parse_rows(suite: Suite, known: dict[str, discover.MethodInfo], settings: list[str]) -> list[Row]:
    """The rows asked for: ``--set`` over the suite's parameters over the constructor's defaults.

    Raises
    ------
    BadInput
        Unknown method or parameter, a value of the wrong type, two rows under one label.
    """
    rows: dict[str, Row] = {}
    for entry in _named(suite.methods, known) or tuple(known):
        if isinstance(entry, dict) and len(entry) != 1:
            raise BadInput(f"methods: one method an entry, such as '- coral: {{reg: 0.1}}', got {entry}")
        name, given = (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))
        if name not in known:
            raise discover.unknown("method", name, known)
        given = dict(given or {})
        label = _label(given.pop("as", name), name, known)
        if label in rows:
            raise BadInput(f"methods: {label!r} stands twice; give one of them another label with 'as:'")
        rows[label] = Row(label, known[name], _parameters(known[name], given), fixed=frozenset(given))
    if suite.reference not in known:
        raise discover.unknown("reference", suite.reference, known)
    if suite.methods and suite.reference not in rows:
        rows[suite.reference] = Row(suite.reference, known[suite.reference], dict(known[suite.reference].parameters))
    for text in settings:
        target, equals, value = text.partition("=")
        label, dot, parameter = target.rpartition(".")  # names of other libraries' methods have dots
        if not (equals and dot and parameter):
            raise BadInput(f"--set {text}: write METHOD.PARAM=VALUE, such as coral.reg=0.1")
        hit = [r for r in rows.values() if label == r.label] or [r for r in rows.values() if label == r.info.name]
        if not hit:
            raise discover.unknown("method in --set:", label, rows)
        for row in hit:
            changed = _parameters(row.info, {parameter: scalar(value, f"--set {target}")}, row.parameters)
            rows[row.label] = Row(row.label, row.info, changed, fixed=row.fixed | {parameter})
    order = list(known)
    return sorted(rows.values(), key=lambda r: (order.index(r.info.name), r.label))


def _named(methods: tuple[Any, ...], known: dict[str, discover.MethodInfo]) -> list[Any]:
    """The entries of ``methods:``, a family's name as all of it, and ``all`` as all there are."""
    families = {info.family for info in known.values()} | {"all"}
    found: list[Any] = []
    for entry in methods:
        if isinstance(entry, str) and entry in families - known.keys():
            found += [n for n, info in known.items() if entry in ("all", info.family) and n not in found]
        else:
            found.append(entry)
    return found


def _parameters(info: discover.MethodInfo, given: dict[str, Any], base: dict[str, Any] | None = None) -> dict[str, Any]:
    resolved = dict(info.parameters if base is None else base)
    for name, value in given.items():
        if name not in info.parameters:
            raise discover.unknown(f"parameter of {info.name}", name, info.parameters)
        # Other libraries' defaults do not say of what type a value may be: 'auto' stands where a number could.
        resolved[name] = cast(f"{info.name}.{name}", value, None if info.wraps else info.parameters[name])
    return resolved


def _label(value: Any, name: str, known: dict[str, discover.MethodInfo]) -> str:
    """What a row of a method is called: words for a table, and not what other rows are called."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadInput(f"methods: {name}: as: expected a label such as {name}_weak, got {value!r}")
    label = str(value)
    if why := plain.unfit_label(label):
        raise BadInput(f"methods: {name}: as: {label!r} {why}")
    if label != name and label in known:
        raise BadInput(f"methods: {name}: as: {label!r} is a method; give the row a label that no method has")
    return label


def build(suite: Suite, rows: list[Row], pairs: list[tuple[str, str]], data: Data) -> Plan:
    """All cells of a suite, in an order that does not matter, and what cannot run, with its reason."""
    cells: dict[str, Cell] = {}
    unsupported: list[dict[str, str]] = []
    code: dict[str, dict[str, str]] = {}
    trials = {r.label: search.trials(r.info, r.parameters, r.fixed, suite.trials) for r in rows}
    asked = {_use(r.info.learner) for r in rows if r.info.learner != "both"}
    uses = (asked or {suite.kind.use}) if suite.kind.learners else {"base"}
    single = alone(suite.sources, pairs)
    for row in rows:
        for use in sorted(uses if row.info.learner == "both" else {_use(row.info.learner)}):
            learner = learner_name(suite, use)
            if reason := suite.kind.refusal(suite, row.info):
                unsupported.append({"label": row.label, "learner": learner, "reason": reason})
                continue
            code.setdefault(row.label, {})[learner] = _code(suite, row, use)
            grants = [streams.grant(suite, row.info)]
            if row.info.kind == "deep" and suite.labels and "Xl" not in row.info.needs:
                grants.append(row.info.needs | {"Xl", "yl"})
            lacking: dict[tuple[str, str, str], None] = {}
            for grant in grants:
                each = [] if grant & {"ds", "yt"} else single
                for source, target in (p for p in [*pairs, *each] if p not in data.refused):
                    if why := _lacks(suite, data, grant, use, source, target):
                        lacking[source, target, why] = None
                        continue
                    for one in _tried(row, trials[row.label]):
                        for seed in _seeds(suite, one, use):
                            cell = _cell(suite, one, use, grant, source, target, seed, data, code[row.label][learner])
                            cells.setdefault(cell.id, cell)
            for source, target, why in lacking:
                where = {} if len(pairs) == 1 else {"pair": f"{source}:{target}"}
                unsupported.append({"label": row.label, "learner": learner, "reason": why, **where})
    for (source, target), reason in data.refused.items():
        unsupported.append({"label": "every method", "learner": "", "reason": reason, "pair": f"{source}:{target}"})
    return Plan(suite, pairs, rows, list(cells.values()), unsupported, code, trials)


def _lacks(suite: Suite, data: Data, grant: frozenset[str], use: str, source: str, target: str) -> str:
    """Why a pair has not what a grant needs; empty if it has."""
    if why := data.withheld(grant, target):
        return why
    if source == PRETRAINED and (grant & SAMPLES or ("model" in grant and "Xl" not in grant)):
        return "needs source samples, which a pretrained network does not bring"
    return crowded(source, suite.batch_size) if "ds" in grant and use == "net" else ""


def _tried(row: Row, trials: list[dict[str, Any]]) -> list[Row]:
    return [replace(row, parameters=parameters, trial=i) for i, parameters in enumerate(trials)]


def learner_name(suite: Suite, use: str) -> str:
    """How tables name the learner: the net, or the base classifier with the net whose features it sees."""
    if not suite.kind.learners:
        return "own"
    net = f"hf:{Path(suite.net).name}" if suite.encodes else suite.net
    if use == "net":
        return net
    return suite.base if suite.features in ("raw", "tfidf") else f"{suite.base}@{net}"


def _use(learner: str) -> str:
    return "net" if learner == "net" else "base"


def _seeds(suite: Suite, row: Row, use: str) -> list[int | None]:
    """All seeds, or None alone where nothing in the cell depends on the seed."""
    draws = row.info.kind == "reweighting" and (
        suite.problem.resamples(suite.base) or row.parameters.get("how") == "resample"
    )
    fixed = suite.protocol == "transductive" and not suite.labels and use == "base" and suite.features != "source"
    return [None] if fixed and row.info.deterministic and not draws else list(range(suite.seeds))


def _code(suite: Suite, row: Row, use: str) -> str:
    """Hash of the adapter's file, the kind's and the learner's, with all zoo files they import; what plugins load; the
    version of the library that a wrapper wraps."""
    own = _own_code(suite, row.info, use)
    if data := foreign.code(suite.source):
        own = hashlib.sha256(repr((own, data)).encode()).hexdigest()
    beside: list[Any] = [row.info.library] if row.info.wraps else []
    beside += [guests.code(suite)] if guests.makes(suite, row.info, use) else []
    if use == "base" and ":" in suite.base:
        beside.append(wrappers.learner(parted(suite.base)[0], suite.task).library)
    if not row.files and not beside:
        return own
    loads = sorted(plugins.stamps(row.info, row.files).items())
    return hashlib.sha256(repr((own, *beside, loads)).encode()).hexdigest()


def _own_code(suite: Suite, info: discover.MethodInfo, use: str) -> str:
    net, shared = _net_files(suite), _shared_files(suite)
    if use == "net":
        return discover.code_hash(info.path, *shared, *net)
    if not suite.kind.learners:
        return discover.code_hash(info.path, *shared)
    base = HERE / "learners" / "base.py"  # of methods with a classifier of their own too: they may use both
    seen = net if suite.features == "source" else net[-1:] if suite.features == "frozen" else []
    wrapped = [HERE / "learners" / "wrapped.py"] if ":" in suite.base else []
    return discover.code_hash(info.path, *shared, base, *wrapped, *seen)


def _shared_files(suite: Suite) -> tuple[Path, Path]:
    """The files that decide how the suite's domains are split, normalised, predicted and scored."""
    return discover.kinds()[suite.source.kind].path, HERE / "tasks" / f"{suite.task}.py"


def _net_files(suite: Suite) -> list[Path]:
    """Files that decide how the suite's network is trained and what it is."""
    own = suite.network.path if suite.network else HERE / "nets" / f"{suite.net}.py"
    other = "_hf.py" if suite.encodes else "_torchvision.py"
    return [HERE / "learners" / "net.py", own if own.is_file() else HERE / "nets" / other]


def _cell(
    suite: Suite,
    row: Row,
    use: str,
    grant: frozenset[str],
    source: str | None,
    target: str,
    seed: int | None,
    data: Data,
    code: str,
) -> Cell:
    on_features = use == "base" and suite.features == "source"
    borrowed = "zscore" in suite.normalise and suite.normalise_by == "source"
    if not (grant & {"Xs", "ys", "Fs", "model"} or on_features or borrowed or data.open):
        source = None  # under open label sets it says what is known
    content = {name: data.domains[name].content for name in (*origins(source), target)}
    identity = {
        "data": content,
        "source": source,
        "target": target,
        "setting": setting_of(streams.sees(suite, row.info, grant)),
        "method": row.info.name,
        "learner": learner_name(suite, use),
        "seed": seed,
        "trial": 0,  # the number of a trial names no cell; the record says it
        "parameters": row.parameters,
        "suite": suite.cell_keys(net=use == "net" or on_features, base=use == "base" and suite.kind.learners),
        "code": code,
    }
    model = None
    if source and (on_features or "model" in grant or (use == "net" and row.info.name == "source_only")):
        model = canonical(
            {
                "data": {name: content[name] for name in origins(source)},
                "source": source,
                "seed": seed,
                "classes": unknown.names(data, source),
                "suite": {k: v for k, v in suite.cell_keys(net=True, base=False).items() if k not in MODEL_FREE},
                "trained": row.info.source_model,
                "code": discover.code_hash(*_shared_files(suite), *_net_files(suite)) + guests.code(suite),
            }
        )
    return Cell(canonical(identity), row, identity, grant, use, model, guests.makes(suite, row.info, use))
