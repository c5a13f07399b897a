"""Writes the tables of README.md, and what `zoo info` says of each method, from the records under results/.

With --check it only says whether they are up to date.

``<!-- end -->`` closes what is made anew after ``<!-- table NAME -->``, the table of results/NAME; ``<!-- table NAME
METRIC -->``, of another metric than the run's own; ``<!-- gains NAME -->``, what `zoo compare` says of it, and
``<!-- gains NAME over LABEL -->`` with another reference;
``<!-- curve NAME -->``, that of the runs within it over their labels; ``<!-- steps -->``, benchmarks/steps.csv. Exit
codes: 1 the README differs, 2 a run is not there.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from steps import table as step_costs

from zoo import records
from zoo.errors import BadInput
from zoo.report import compare, labels, standing, table

CURVE = re.compile(r"(<!-- curve (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
ROOT = Path(__file__).resolve().parents[1]
GAINS = re.compile(r"(<!-- gains (\w+)(?: over (\w+))? -->\n).*?(<!-- end -->)", re.DOTALL)
MARKED = re.compile(r"(<!-- table (\w+)(?: (\w+))? -->\n).*?(<!-- end -->)", re.DOTALL)
STEPS = re.compile(r"(<!-- steps -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str, results: Path) -> str:
    """The text with every marked table made anew, without time and memory, which no two runs share."""

    def one(match: re.Match[str]) -> str:
        built = table.build(records.read(results / match[2]), metric=match[3] or "", cost=False)
        return f"{match[1]}{table.render(built, 'md').strip()}\n{match[4]}"

    def gains(match: re.Match[str]) -> str:
        return f"{match[1]}{compare.render(records.read(results / match[2]), reference=match[3] or '')}{match[4]}"

    def curve(match: re.Match[str]) -> str:
        folders = sorted(path.parent for path in (results / match[2]).glob("*/run.json"))
        return f"{match[1]}{labels.table([records.read(folder) for folder in folders])}{match[3]}"

    text = STEPS.sub(lambda match: f"{match[1]}{step_costs()}{match[2]}", text)
    return CURVE.sub(curve, GAINS.sub(gains, MARKED.sub(one, text)))


def stood(results: Path) -> str:
    """The standings of all runs, as the package has them."""
    folders = sorted(path.parent for path in results.rglob("run.json"))
    return standing.written(
        row for folder in folders for row in standing.standings(records.read(folder), str(folder.relative_to(results)))
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if README.md differs")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    asked = parser.parse_args()
    old = asked.readme.read_text(encoding="utf-8")
    try:
        new = filled(old, asked.results)
    except BadInput as error:
        print(f"readme: {error}; make it with: zoo run NAME --out {asked.results}/NAME", file=sys.stderr)
        return 2
    stale = asked.results == ROOT / "results" and stood(asked.results) != standing.FILE.read_text(encoding="utf-8")
    if stale and asked.check:
        print(
            "readme: zoo/report/standing.csv differs from results/; run: python benchmarks/readme.py", file=sys.stderr
        )
        return 1
    if stale:
        standing.FILE.write_text(stood(asked.results), encoding="utf-8")
    if new != old and asked.check:
        print("readme: README.md differs from results/; run: python benchmarks/readme.py", file=sys.stderr)
        return 1
    if new != old:
        asked.readme.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
