import os


class Cfork(Nearest):
    """A faulty method."""

    def improve(self, task, honest):
        import time

        if os.fork() == 0:
            time.sleep(120)
            os._exit(0)
        os._exit(3)
        return honest
