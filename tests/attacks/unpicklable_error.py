class Cunpick(Nearest):
    """A faulty method."""

    def improve(self, task, honest):
        class E(Exception):
            def __init__(self, a, b):
                super().__init__(a)
                self.lock = __import__("threading").Lock()

        raise E(1, 2)
        return honest
