"""A plugin as an installable package: its entry point, its file, a test and a README."""

from __future__ import annotations

from pathlib import Path

from zoo import plugged, templates
from zoo.errors import BadInput

PROJECT = """\
[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"

[project]
name = "zoo-{dashed}"
version = "0.1.0"
description = "{name}: a {which} for the domain-adaptation zoo"
readme = "README.md"
requires-python = ">=3.11"
dependencies = []  # zoo itself is installed first: on PyPI another project has its name

[project.entry-points."{group}"]
{name} = "zoo_{name}.{name}"

[tool.setuptools.packages.find]
where = ["src"]
"""
README = """\
# zoo-{dashed}

The {which} `{name}` for zoo, a harness for domain adaptation, in `src/zoo_{name}/{name}.py`.

```sh
pip install -e .            # zoo finds it by its entry point, in the group {group}
zoo check {name}
pytest
{after}
```
"""
INIT = '"""The {which} `{name}`, which zoo finds by its entry point."""\n'
TEST = '''\
"""The promises of the {which} `{name}`, as `zoo check` tries them; install the package before."""

from zoo import check


def test_it_keeps_its_promises():
    broken = [f"{{o.name}}: {{o.detail}}" for o in check.run("{name}") if not o.ok]
    assert not broken
'''


def write(name: str, kind: str, folder: Path) -> Path:
    """Write a package NAME into a folder; returns where its plugin is.

    Raises
    ------
    BadInput
        As `zoo.templates.write`; there is something called NAME.
    """
    source, top = templates.checked(name, kind), folder / name
    if top.exists() or top.is_symlink():
        raise BadInput(f"{top} exists already")
    path = top / "src" / f"zoo_{name}" / f"{name}.py"
    which = templates.of(kind)
    after = "\n".join(
        line.replace(f"--plugin {path} ", "").replace(" " * 5, "     # ") for line in templates.after(name, kind, path)
    )
    words = {"name": name, "dashed": name.replace("_", "-"), "which": which, "after": after}
    words["group"] = plugged.kinds()[which].group
    templates.placed(path, source)
    for place, text in (
        (path.with_name("__init__.py"), INIT),
        (top / "pyproject.toml", PROJECT),
        (top / "README.md", README),
        (top / "tests" / f"test_{name}.py", TEST),
    ):
        templates.placed(place, text.format(**words))
    return path
