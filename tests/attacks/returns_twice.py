import os


class Cforkret(Nearest):
    """A faulty method."""

    def improve(self, task, honest):
        if os.fork() == 0:
            return honest
        return honest
