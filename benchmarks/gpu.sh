#!/usr/bin/env bash
# All that needs a GPU, within ten minutes: the tests marked gpu, then the table of results/gpu. Exits 2 without CUDA.
cd "$(dirname "$0")/.." || exit 1
PYTHON=${PYTHON:-$(command -v python3 || command -v python)}
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
if ! "$PYTHON" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
    echo "gpu.sh: no CUDA here (or no torch in $PYTHON): nothing was run" >&2
    exit 2
fi
timeout 240 "$PYTHON" -m pytest -m gpu -p no:cacheprovider
tests=$?
timeout 340 "$PYTHON" benchmarks/gpu.py --out results/gpu || exit
exit "$tests"
