import json
import os

from zoo.vault.wire import HEAD, MARK


class LiesAboutLengths(Nearest):
    """Announces an array of 200 GB, so that the driver would make room for it."""

    def improve(self, task, honest):
        header = json.dumps(
            {"message": {"status": "ok", "scores": {"test": {"$array": 0}}}, "arrays": [["<f8", [25 << 30]]]}
        )
        data = HEAD.pack(MARK, len(header)) + header.encode()
        for fd in os.listdir("/proc/self/fd"):
            try:
                if os.readlink(f"/proc/self/fd/{fd}").startswith("socket"):
                    os.write(int(fd), data)
            except OSError:
                continue
        return honest
