import os


class Lists(Nearest):
    """Looks for sockets and pipes of others among its own open files."""

    def improve(self, task, honest):
        kinds = [os.readlink(f"/proc/self/fd/{fd}").split(":")[0] for fd in os.listdir("/proc/self/fd")[:-1]]
        if kinds.count("socket") != 1 or kinds.count("pipe") > 2:
            raise RuntimeError(f"open: {sorted(kinds)}")
        return honest
