"""A stranger's process: one plugin, one fit, its predictions, and then it ends."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import pickle
import sys
import sysconfig
import tempfile
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from zoo import discover
from zoo.errors import BadInput, ZooError, one_line, printable
from zoo.vault import confine, wire
from zoo.vault.session import Session

CACHES = ("TMPDIR", "XDG_CACHE_HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
OPENED = 1000  # files of which is told that they were opened


def serve_once(connected: Callable[[], int], folder: Path, readable: Iterable[Path], landlock: int) -> None:
    """Answer the messages of one fit, confined to `folder`, on the socket that `connected` waits for.

    What does not hang on the fit is done before. Sets to be predicted are answered by children of the fitted process,
    so that what one chunk of rows taught is forgotten at the next, unless the plugin takes pains to keep it (a file in
    its folder, memory that children share); where there is a single one, and where there are threads or a GPU, which no
    fork survives, by the process itself.
    """
    import torch

    torch.set_num_threads(1)
    os.chdir(folder)
    os.environ.update(dict.fromkeys(CACHES, str(folder)))
    tempfile.tempdir = str(folder)
    opened = Opened(folder)
    confine.end_first()
    rules = confine.rules(folder, readable, landlock)
    line = wire.Line(connected())
    message = line.receive()
    info = message["info"]
    packages = info.path.parents[: info.module.count(".")]  # where what is hidden lies too, an import needs their lists
    confine.confine(rules, [info.path, *message.get("shown", ())], packages, landlock)
    sys.addaudithook(opened)
    session, me, first = Guest(line.send, fresh=True), os.getpid(), True
    with contextlib.suppress(EOFError, ConnectionResetError, BrokenPipeError):
        while True:
            asked = message["op"] in ("predict", "probe") or not message.get("adapts", True)
            if asked and not (first and message.get("last")) and _may_fork(message):
                _apart(session, message, line, opened)
            else:
                answer = session.handle(message)
                if os.getpid() != me:  # the plugin forked, and this is not the process that was asked
                    os._exit(1)
                line.send({**answer, "opened": opened.files()})
            first = first and not asked
            message = line.receive()


class Guest(Session):
    """A session that runs other plugins than methods and validators, too."""

    def on_call(self, message: dict[str, Any]) -> dict[str, Any]:
        """What a function of the zoo gives of a plugin and of what the driver has packed for it."""
        info = message["info"]
        module, _, name = message["what"].partition(":")
        function = getattr(importlib.import_module(module), name)
        given = pickle.loads(message["given"].tobytes())  # the driver's word, which a stranger's process may take
        plugin = discover.load(info)
        try:
            return {"gave": function(plugin, *given)}
        except BadInput as error:  # the plugin's own words
            return {"gave": None, "refused": str(error)}
        except ZooError:
            raise
        except Exception as error:
            lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(info.path)]
            where = f" ({info.path.name}:{lines[-1]})" if lines else ""
            raise BadInput(f"{type(error).__name__}: {one_line(error)}{where}") from None


def _may_fork(message: dict[str, Any]) -> bool:
    threads = Path("/proc/self/task")
    return message["device"] == "cpu" and threads.is_dir() and len(os.listdir(threads)) == 1


def _apart(session: Session, message: dict[str, Any], line: wire.Line, opened: Opened) -> None:
    """Let a child answer; end as it ends where it does not."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            me = os.getpid()
            answer = session.handle(message)
            if os.getpid() == me:
                line.send({**answer, "opened": opened.files()})
                code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code < 0:
        os.kill(os.getpid(), -code)
    if code:
        os._exit(code)


class Opened:
    """An audit hook that notes which files beside the installed packages are opened for reading."""

    def __init__(self, own: Path) -> None:
        ours = {sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values(), str(own)}
        places = {*ours, *(p for p in sys.path if "site-packages" in p), str(Path(__file__).parents[1])}
        fixed = ("/proc", "/sys", "/dev", "/etc", "/usr", "/lib", "/lib64", "/bin", "/run", "/var")
        self.skipped = tuple({os.path.join(p, "") for p in (*places, *map(os.path.realpath, places), *fixed)})
        self.paths: dict[str, None] = {}
        self.before = frozenset(sys.modules)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and len(self.paths) < OPENED and isinstance(arguments[0], str):
            flags = arguments[2] if isinstance(arguments[2], int) else 0
            if flags & os.O_ACCMODE == os.O_RDONLY:
                self.note(arguments[0])

    def note(self, path: str) -> None:
        path = os.path.abspath(path)
        if path.endswith(".pyc"):
            with contextlib.suppress(ValueError):
                path = importlib.util.source_from_cache(path)
        if printable(path) == path and not path.startswith(self.skipped) and os.path.isfile(path):
            self.paths.setdefault(path)

    def files(self) -> list[str]:
        """The files so far, and those of the modules imported since."""
        for name in sys.modules.keys() - self.before:
            if isinstance(path := getattr(sys.modules[name], "__file__", None), str):
                self.note(path)
        return sorted(self.paths)
