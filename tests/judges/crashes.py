import os

from zoo.select.base import Validator


class Crashes(Validator):
    """Ends its process."""

    def value(self, seen):
        os._exit(3)
