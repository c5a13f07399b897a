import sys


class Cstderr(Nearest):
    """A faulty method."""

    def improve(self, task, honest):
        for _ in range(5):
            sys.stderr.write("z" * (1 << 20))
            sys.stderr.write("\n")
        return honest
