"""Writes the tables of README.md, of docs/ and of results/, and what `zoo info` says of each method, from results/.

With --check it only says whether they are up to date. What stands between ``<!-- KIND ... -->`` and ``<!-- end -->`` is
made anew; benchmarks/blocks.py has the kinds. A folder under results/ without a README.md gets one. Exit codes: 1 a
page differs, 2 a run is not there.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import blocks

from zoo.errors import BadInput
from zoo.report import standing

ROOT = Path(__file__).resolve().parents[1]
MARKED = re.compile(r"(<!-- (\w+)((?: [\w/]+)*) -->\n).*?(<!-- end -->)", re.DOTALL)
FRESH = "# {0}\n\n<!-- command {0} -->\n<!-- end -->\n\n<!-- table {0} -->\n<!-- end -->\n"


def filled(text: str, results: Path) -> str:
    """The text with every marked block made anew."""

    def one(match: re.Match[str]) -> str:
        return f"{match[1]}{getattr(blocks, match[2])(results, *match[3].split())}{match[4]}"

    return MARKED.sub(one, text)


def pages(root: Path) -> dict[Path, str]:
    """Every page that may hold such blocks, as it stands; of a run's folder without one, as it begins."""
    found = [root / "README.md", *root.glob("docs/**/*.md"), *root.glob("results/**/README.md")]
    old = {path: path.read_text(encoding="utf-8") for path in found}
    for name in blocks.runs(root / "results"):
        old.setdefault(root / "results" / name.split("/")[0] / "README.md", FRESH.format(name))
    return old


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page differs")
    parser.add_argument("--readme", type=Path, help="this page only")
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    asked = parser.parse_args()
    old = {asked.readme: asked.readme.read_text(encoding="utf-8")} if asked.readme else pages(ROOT)
    try:
        new = {path: filled(text, asked.results) for path, text in old.items()}
        if not asked.readme:
            old[standing.FILE] = standing.FILE.read_text(encoding="utf-8")
            new[standing.FILE] = blocks.stood(asked.results)
    except BadInput as error:
        print(f"readme: {error}; make it with: zoo run NAME --out {asked.results}/NAME", file=sys.stderr)
        return 2
    stale = [path for path, text in new.items() if not path.exists() or old[path] != text]
    for path in stale:
        if asked.check:
            print(f"readme: {path} differs from results/; run: python benchmarks/readme.py", file=sys.stderr)
        else:
            path.write_text(new[path], encoding="utf-8")
    return int(asked.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
