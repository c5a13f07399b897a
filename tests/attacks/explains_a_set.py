class Explain(Nearest):
    """A well-meant explanation: a set, which is no JSON."""

    def improve(self, task, honest):
        self.explanation_ = {"used": {1, 2, 3}}
        return honest
