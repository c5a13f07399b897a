import os


class Ckillserver(Nearest):
    """A faulty method."""

    def improve(self, task, honest):
        import signal

        os.kill(os.getppid(), signal.SIGKILL)
        return honest
