import shutil


class DeletesTheRun(Nearest):
    """Deletes the run folder, where nothing keeps it from that."""

    def __init__(self, run: str = "") -> None:
        self.run = run

    def improve(self, task, honest):
        shutil.rmtree(self.run, ignore_errors=True)
        return honest
