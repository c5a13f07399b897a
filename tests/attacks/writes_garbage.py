import os


class Cgarbage(Nearest):
    """A faulty method."""

    def improve(self, task, honest):
        import struct

        for f in os.listdir("/proc/self/fd"):
            try:
                if os.readlink(f"/proc/self/fd/{f}").startswith("socket"):
                    os.write(int(f), struct.pack("!i", 20) + b"garbage-garbage-garb")
            except OSError:
                pass
        return honest
