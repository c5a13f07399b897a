.PHONY: check lint test bench

check: lint test

lint:
	ruff format --check .
	ruff check .
	mypy

test:
	pytest -n 2

bench:
	pytest benchmarks/perf -s
