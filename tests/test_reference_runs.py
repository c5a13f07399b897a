"""The page of networks before and after holds what its command prints."""

from pathlib import Path

import reference

ROOT = Path(__file__).resolve().parents[1]


def test_the_page_holds_what_the_records_give():
    page = (ROOT / "benchmarks" / "reference" / "README.md").read_text(encoding="utf-8")
    for suite, seeds in (("digits", 3), ("office31", 3)):
        table = reference.compared(suite, seeds)
        assert table.count("\n") > 8
        assert table in page
