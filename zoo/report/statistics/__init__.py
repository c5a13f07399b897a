"""Tests and intervals over pairs and seeds: pure functions of numbers, which know no record."""
