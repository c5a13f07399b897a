class Cert(Nearest):
    """A certificate with a key that is no text."""

    def improve(self, task, honest):
        self.certificate_ = {("gap", 1): 0.5}
        return honest
