"""Which cells are this process's turn, where the same command runs twice or a folder is shared."""

from __future__ import annotations

import time

from zoo.bench.jobs import Job
from zoo.records.claims import Claims
from zoo.records.store import Store

PATIENCE_S = 0.5


class Turns:
    """Claims cells before they run; those that others have claimed are set aside, and left to them once they finish.

    Attributes
    ----------
    aside : jobs whose cells another process runs
    theirs : how many cells others have finished since this run was planned
    """

    def __init__(self, store: Store) -> None:
        self.store, self.claims = store, Claims(store.folder)
        self.aside: list[Job] = []
        self.theirs = 0
        self._seen: dict[str, int] = {}  # of the files that stand there now some may be younger than the plan
        self._done: set[str] = set()

    def mine(self, job: Job) -> bool | None:
        """Whether a job is to be run here; None where another process has finished its cell."""
        if job.makes:
            return True
        if not self.claims.take(job.cell.id):
            if self._finished(job.cell.id):
                self.theirs += 1
                return None
            self.aside.append(job)
            return False
        if self._finished(job.cell.id):
            self.claims.release(job.cell.id)
            self.theirs += 1
            return None
        return True

    def waited(self) -> list[Job]:
        """After a while, the jobs set aside that are to be asked for again; none where none are."""
        if self.aside:
            time.sleep(PATIENCE_S)
        again, self.aside = self.aside, []
        return again

    def _finished(self, cell: str) -> bool:
        """Whether another process has finished a cell since this run was planned."""
        if (now := self.store.others()) != self._seen:
            self._seen = now
            self._done = self.store.done() - self.store.again.keys()
        return cell in self._done
