"""What a run shows in a notebook: one text that changes, of the display protocol alone."""

import sys
import types

import pytest
from rich.console import Console

import zoo

RUN = {"dataset": "office_caltech", "pairs": ["amazon:webcam"], "seeds": 1, "methods": ["source_only", "coral"]}


@pytest.fixture
def shown(monkeypatch):
    """The texts that were displayed, one after another in each place."""
    places = []

    def display(bundle, *, raw, display_id):
        assert raw
        assert display_id
        texts = [bundle["text/plain"]]
        places.append(texts)
        return types.SimpleNamespace(update=lambda bundle, raw: texts.append(bundle["text/plain"]))

    stand_in = types.ModuleType("IPython.display")
    stand_in.display = display
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", stand_in)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr(Console, "print", lambda *args, **options: None)
    return places


def test_a_run_has_one_text_that_ends_full(surf, tmp_path, shown, capsys):
    zoo.run(RUN, data_root=surf, executor="local", workers=1, out=tmp_path / "run")
    (texts,) = shown
    assert texts[0].startswith("░")
    assert "0/2 cells and models" in texts[0]
    assert "starting workers" in texts[0]
    assert texts[-1].startswith("█")
    assert "░" not in texts[-1]
    assert "2/2 cells and models" in texts[-1]
    assert capsys.readouterr().err == ""


def test_failures_are_named_and_the_many_counted(surf, tmp_path, shown, write_plugin):
    plugin = write_plugin(tmp_path / "breaks.py", fit="raise ValueError('no good')")
    keys = RUN | {"methods": ["breaks"], "seeds": 30}
    zoo.run(keys, data_root=surf, plugins=[plugin], executor="local", workers=1, out=tmp_path / "run")
    last = shown[0][-1].splitlines()
    assert sum("failed: breaks" in line and "no good" in line for line in last) == 20
    assert last[-1] == "… and 10 more"


def test_in_a_kernel(surf, tmp_path):
    """Of Jupyter itself, where it is installed."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    code = f"import zoo\nzoo.run({RUN!r}, data_root={str(surf)!r}, executor='local', out={str(tmp_path / 'run')!r})"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbclient.NotebookClient(notebook, timeout=300).execute()
    outputs = notebook.cells[0].outputs
    assert {o.output_type for o in outputs} == {"display_data", "execute_result"}  # and nothing on stderr
    assert any("2/2 cells and models" in o.data["text/plain"] for o in outputs)
    assert "<table" in outputs[-1].data["text/html"]
