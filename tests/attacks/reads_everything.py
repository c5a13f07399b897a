import contextlib
import os
import socket
from pathlib import Path


class ReadsEverything(Nearest):
    """Opens the data, the run folder and a socket; looks into other processes."""

    def __init__(self, data: str = "", run: str = "") -> None:
        self.data, self.run = data, run
        self.named = Path(data, "office_caltech", "webcam_SURF_L10.mat")
        with contextlib.suppress(OSError):  # what an import opens was once granted to every fit
            self.named.open()

    def improve(self, task, honest):
        def tried(action):
            try:
                action()
            except OSError:
                return 0.0
            return 1.0

        self.certificate_ = {
            "listed the data": tried(lambda: os.listdir(self.data)),
            "read the data": tried(lambda: next(Path(self.data).rglob("*.mat")).read_bytes())
            if tried(lambda: os.listdir(self.data))
            else 0.0,
            "read what it named": tried(self.named.read_bytes),
            "read the run": tried(lambda: Path(self.run, "run.json").read_text()),
            "read an earlier run": tried(
                Path(self.run).with_name("earlier").joinpath("predictions", "0.npz").read_bytes
            ),
            "wrote into the run": tried(lambda: Path(self.run, "records", "mine.jsonl").write_text("{}")),
            "deleted the run": tried(lambda: os.rename(self.run, self.run + ".gone")),
            "a socket": tried(lambda: socket.create_connection(("127.0.0.1", 9), 0.2)),
            "bound a socket": tried(lambda: socket.socket().bind(("127.0.0.1", 0))),
            "signalled": tried(lambda: os.kill(os.getppid(), 0)),
            "traced": tried(lambda: open(f"/proc/{os.getppid()}/mem", "rb").read(1)),
        }
        return honest
