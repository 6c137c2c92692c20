#!/bin/sh
# `make fuzz-hftp`: coverage-guided where atheris is there, then property-based, for SECONDS in all.
# What breaks something is written to build/fuzz/: put it into tests/fuzz/corpus, so that a test keeps it.
set -eu
export PYTHONPATH=app:.
quarter=$((SECONDS / 4))
# libFuzzer ends its process without a word: what it leaves is removed here.
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
if "$BIN/python" -c 'import atheris' 2>/dev/null; then
    for target in session client; do
        mkdir -p "build/fuzz/$target"
        nice "$BIN/python" "tests/fuzz/fuzz_$target.py" -max_total_time="$quarter" -max_len=8192 \
            -print_final_stats=1 -dict="tests/fuzz/$target.dict" -artifact_prefix="build/fuzz/$target-" \
            "build/fuzz/$target" "tests/fuzz/corpus/$target"
    done
else
    echo "atheris is not installed (pip install -e '.[fuzz]'): nothing is guided by coverage" >&2
fi
FUZZ_SECONDS="$quarter" nice "$BIN/python" -m pytest -q -p no:cacheprovider tests/fuzz
