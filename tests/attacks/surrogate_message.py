class Csurrogate(Nearest):
    """A faulty method."""

    def improve(self, task, honest):
        raise ValueError("bad \ud800 text \x1b[31m red \u202e | pipe <script>")
        return honest
