"""What a table's caption says: everything that the numbers depend on, and nothing that differs between two runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zoo import label_sets
from zoo.report import stream

PROTOCOLS = {
    "holdout": "holdout (source 80 % train, 20 % validation; target 80 % adapt, 20 % test, used once)",
    "transductive": "transductive (adapted to and tested on all target samples; oracle rows: out of 5 folds)",
    "folds": "folds (one target fold to train, the others to test, in turn; metrics of each test fold, averaged)",
}

LIBRARIES = ("zoo", "torch", "scikit-learn", "numpy")  # whose versions are said, and those of what wrappers wrap
REJECTED = "unknown is what has an entropy above the .95 quantile of source {}"
OUT_OF_FOLD = "samples, each by a fit without its fold, one of 5"


def caption(
    meta: dict[str, Any],
    title: str,
    learners: Iterable[str],
    short: dict[str, str],
    chosen: str = "",
    singles: str = "",
) -> str:
    """The caption; the network and its budget are named where a row depends on them.

    Parameters
    ----------
    title : metric and number of seeds
    short : abbreviation of each domain, if heads are abbreviated
    chosen : how parameters were selected, if they were
    singles : how single sources stand beside several, if they do
    """
    suite, domains = meta["suite"], meta["domains"]
    used = [name for name in domains if name in domain_names(meta["pairs"])]
    protocol = suite.get("protocol", "holdout")
    relational = protocol == "folds"
    sizes = ("; " if relational else ", ").join(_size(name, domains[name]) for name in used)
    classes = {domains[name].get("classes") for name in used} - {None, 0}
    sizes += "".join(f"; {k} classes" for k in classes) if len(classes) == 1 and not relational else ""
    parts = [
        f"{suite.get('name')}: {title}",
        f"Data: {suite.get('dataset') or 'own'} ({sizes})",
        f"Protocol: {stream.said(meta) if stream.streams(suite) else PROTOCOLS.get(protocol, protocol)}",
    ]
    if window := suite.get("window"):
        parts.append(
            f"Windows: {window} every {suite.get('step') or 'half of that'}; no series is on both sides of a split"
        )
    if relational:
        amount = f"{suite['examples']} true atoms" if suite.get("examples") else "all true atoms of the fold"
        parts.append(f"Training: {amount} and {suite.get('negative_ratio')} false ones for each; tested on all")
    else:
        parts.append(f"Normalisation: {normalisation(suite)}")
        if (how := (suite.get("data") or {}).get("impute", "none")) != "none":
            parts.append(f"Missing values: the {how} of each domain's training part")
        if suite.get("classes") == "shared":
            parts.append("Classes: those that all domains have")
        parts.append(_sets(meta))
        parts.append(f"Base learner: {suite.get('base')} on {suite.get('features', 'raw')} features")
    net = suite.get("net")
    if net and any(net in learner.split("@") for learner in learners):
        parts.append(f"Net: {net}, {_budget(suite)}")
    labels = suite.get("labels") or 0
    if labels:
        grouped = any(domains[name].get("groups") for name in used)
        each = f"{labels} {'series ' if grouped else ''}a class"
        amount = "all labels of the adapt part" if labels == "all" else each
        parts.append(f"Labelled target samples: {amount}, only where the setting grants them")
    trials = suite.get("trials") or 1
    searched = f", the first of up to {trials} trials; zoo table --select chooses" if trials > 1 else ", no search"
    parts.append(chosen or f"Parameters: as given{searched}")
    parts.append(singles)
    if short:
        parts.append("Domains: " + ", ".join(f"{abbreviation} {name}" for name, abbreviation in sorted(short.items())))
    versions = meta.get("versions", {})
    wrapped = sorted(versions.keys() - {*LIBRARIES, "python", "scipy"})
    parts.append(", ".join(f"{x} {versions[x]}" for x in (*LIBRARIES, *wrapped) if x in versions))
    return ". ".join(part for part in parts if part) + "."


def _sets(meta: dict[str, Any]) -> str:
    """The classes of each pair, where its sides do not have the same."""
    found = {pair: sets for pair, sets in meta.get("label_sets", {}).items() if pair in meta["pairs"]}
    if not any(sets.get("source_only") or sets.get("target_only") for sets in found.values()):
        return ""
    said = f"Classes of {'; '.join(label_sets.lines(found.items()))}"
    asked, chosen = meta["suite"].get("label_sets", "closed"), meta["suite"].get("classes") or {}
    if isinstance(chosen, dict):
        said += "".join(f"; {side}: {', '.join(names)}" for side, names in chosen.items() if names)
    if asked != "closed":
        said = f"Label sets: {asked}. {said}"
    if not meta["suite"].get("reject"):
        return said
    held = OUT_OF_FOLD if meta["suite"]["protocol"] == "transductive" else "validation"
    return f"{said}. Methods for closed sets: {REJECTED.format(held)}"


def _size(name: str, domain: dict[str, Any]) -> str:
    if "target" in domain:
        return f"{name} {domain['target']}: {domain['positives']} of {domain['n']} atoms true, {domain['folds']} folds"
    series = domain.get("groups")
    of = f" windows of {series} series" if series and series != domain.get("n") else ""
    return f"{name} {domain['n']}{of}" if "n" in domain else name


def abbreviations(pairs: list[str]) -> dict[str, str]:
    """The shortest beginnings that tell the domains of pairs apart.

    >>> abbreviations(["amazon:caltech", "webcam+mnist:mnistm"])
    {'amazon': 'A', 'caltech': 'C', 'mnist': 'Mnist', 'mnistm': 'Mnistm', 'webcam': 'W'}
    """
    names = sorted(domain_names(pairs))

    def shortest(name: str) -> str:
        others = [other.lower() for other in names if other != name]
        lengths = (k for k in range(1, len(name)) if not any(x.startswith(name[:k].lower()) for x in others))
        short = name[: next(lengths, len(name))]
        return short[0].upper() + short[1:]

    return {name: shortest(name) for name in names}


def domain_names(pairs: list[str]) -> set[str]:
    """What stands on either side of some pairs.

    >>> sorted(domain_names(["a+b:c", "weights:c"]))
    ['a', 'b', 'c', 'weights']
    """
    return {name for pair in pairs for side in pair.split(":") for name in side.split("+")}


def normalisation(suite: dict[str, Any]) -> str:
    """How the suite normalises, in words."""
    steps = suite.get("normalise") or []
    steps = [steps] if isinstance(steps, str) else steps
    if not steps:
        return "none"
    by = {"domain": "statistics of each domain", "source": "statistics of the source"}
    how = suite.get("normalise_by", "domain")
    return f"{', '.join(steps)} ({by.get(how, how)})"


def _budget(suite: dict[str, Any]) -> str:
    parts = []
    if suite.get("weights"):
        bottleneck = f", bottleneck {suite['bottleneck']}" if suite.get("bottleneck") else ""
        parts += [f"weights {suite['weights']}, trainable {suite['trainable']}{bottleneck}"]
    parts += [
        f"{suite.get('steps')} steps × {suite.get('batch_size')} samples",
        f"{suite.get('optimiser')} at {suite.get('learning_rate')}",
        f"{suite.get('schedule')} schedule",
    ]
    parts += [f"{key.replace('_', ' ')} {suite[key]}" for key in ("momentum", "weight_decay") if suite.get(key)]
    parts += ["Nesterov"] if suite.get("nesterov") else []
    parts += [f"backbone × {suite['backbone_rate']:g}"] if (suite.get("backbone_rate") or 1.0) != 1 else []
    parts += [f"augmentation {suite['augment']}"] if suite.get("augment", "none") != "none" else []
    parts += [f"precision {suite['precision']}"] if suite.get("precision", "auto") != "auto" else []
    return ", ".join(parts)
