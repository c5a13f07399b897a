.PHONY: docs check lint test faults bench

check: lint test

lint:
	ruff format --check .
	ruff check .
	mypy

test:
	pytest -n 2

faults:
	ZOO_FAULTS=1000 pytest -n 2 -m faults
	python benchmarks/faults.py

bench:
	pytest benchmarks/perf -s

docs:
	mkdocs build --strict
