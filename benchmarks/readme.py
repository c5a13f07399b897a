"""Writes the tables of README.md from the records under results/; with --check only says whether they are up to date.

``<!-- table NAME -->`` and ``<!-- end -->`` stand around the table of results/NAME. Exit codes: 1 the README differs,
2 a run is not there.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from zoo.errors import BadInput
from zoo.report import records, table

ROOT = Path(__file__).resolve().parents[1]
MARKED = re.compile(r"(<!-- table (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str, results: Path) -> str:
    """The text with every marked table made anew, without time and memory, which no two runs share."""

    def one(match: re.Match[str]) -> str:
        built = table.build(records.read(results / match[2]), cost=False)
        return f"{match[1]}{table.render(built, 'md').strip()}\n{match[3]}"

    return MARKED.sub(one, text)


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
    if new != old and asked.check:
        print("readme: README.md differs from results/; run: python benchmarks/readme.py", file=sys.stderr)
        return 1
    if new != old:
        asked.readme.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
