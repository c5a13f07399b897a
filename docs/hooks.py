"""Hooks of mkdocs: pages that lie outside docs/, so that a link to them works in the repository and on the site."""

import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
OWN = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "CITATION.cff")
OUTSIDE = (*OWN, "results/README.md", "results/*/README.md", "results/*/*.png")
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)")


def on_files(files, config):
    """Add what lies outside, each under its path in the repository."""
    for path in sorted(path for pattern in OUTSIDE for path in ROOT.glob(pattern)):
        files.append(File.generated(config, site_path(path.relative_to(ROOT).as_posix()), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Links as they are in the repository become links between the pages of the site."""
    source = PurePosixPath(page.file.abs_src_path).relative_to(ROOT)

    def moved(match):
        target = site_path(os.path.normpath(source.parent / match[1]))
        return os.path.relpath(target, PurePosixPath(page.file.src_uri).parent)

    return LINK.sub(moved, markdown)


def site_path(path):
    """Where a file of the repository lies on the site; its start is docs/index.md, so that README.md steps aside."""
    return path.removeprefix("docs/") if path != "README.md" else "about.md"
