#!/bin/sh
# `make fuzz-hftp`: coverage-guided where atheris is there, then property-based, for SECONDS in all.
# What breaks the session is written to build/fuzz/: put it into tests/fuzz/corpus, so that a test keeps it.
set -eu
export PYTHONPATH=app:.
half=$((SECONDS / 2))
mkdir -p build/fuzz/corpus
if "$BIN/python" -c 'import atheris' 2>/dev/null; then
    nice "$BIN/python" tests/fuzz/fuzz_session.py -max_total_time="$half" -max_len=8192 -print_final_stats=1 \
        -dict=tests/fuzz/hftp.dict -artifact_prefix=build/fuzz/ build/fuzz/corpus tests/fuzz/corpus
else
    echo "atheris is not installed, so nothing is guided by coverage: $BIN/python -m pip install atheris" >&2
fi
FUZZ_SECONDS="$half" nice "$BIN/python" -m pytest -q -p no:cacheprovider tests/fuzz
