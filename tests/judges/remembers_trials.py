from zoo.select.base import Validator

CALLS = []


class RemembersTrials(Validator):
    """Counts its calls: in a process of its own every one is the first."""

    def value(self, seen):
        CALLS.append(seen.pt)
        return float(len(CALLS))
