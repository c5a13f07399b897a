import json
import os
import tempfile
from pathlib import Path


class LeavesFiles(Nearest):
    """Counts its fits in whatever outlives a process: files, their times and attributes, memory of the system."""

    PLACES = ("/tmp/zoo-attack.json", "/dev/shm/zoo-attack.json", "/var/tmp/zoo-attack.json")

    def improve(self, task, honest):
        found = {}
        for place in (*self.PLACES, str(Path(tempfile.gettempdir()) / "zoo-attack.json")):
            try:
                known = json.loads(Path(place).read_text()) if os.path.exists(place) else 0
                Path(place).write_text(json.dumps(known + 1))
            except OSError:
                known = 0
            found[f"file {place.replace('/', ' ')[-40:]}"] = float(known)
        plugin = Path(__file__)
        found["time"] = float(plugin.stat().st_mtime == 12345.0)
        found["mode"] = float(plugin.stat().st_mode & 0o777 == 0o751)
        for mark in (lambda: os.utime(plugin, (12345.0, 12345.0)), lambda: os.chmod(plugin, 0o751)):
            try:
                mark()
            except OSError:
                found["refused"] = 1.0
        try:
            found["attribute"] = float("user.zoo" in os.listxattr(plugin))
            os.setxattr(plugin, "user.zoo", b"1")
        except OSError:
            found["refused"] = 1.0
        found["system memory"] = float(self.system_memory())
        self.certificate_ = found
        return honest

    @staticmethod
    def system_memory():
        """Whether a System V segment of an earlier fit is there; leaves one."""
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        there = libc.shmget(0x200F, 4096, 0) >= 0
        libc.shmget(0x200F, 4096, 0o1000 | 0o600)
        return there
