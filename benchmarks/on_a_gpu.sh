#!/usr/bin/env bash
# Everything that waits for a GPU, in at most eight minutes on one card:
#
#     benchmarks/on_a_gpu.sh FOLDER          # or OUT=FOLDER
#
# 1. tests.txt: tests marked gpu: equality with the CPU, steps that do not wait;
# 2. gpu.json and profile-*.txt: epochs and an evaluation beside their limits;
# 3. rows.csv: what experiments/results.csv lacks is trained until the time is over.
#
# Every part has its own time, and a part that fails does not stop the next one. The
# status is 1 if a test failed, or the benchmark did. Settings: DEVICE=cpu for a dry run
# on a small log, PYTHON, GRAPHSEQ_DATA (folder of the data sets), EXPERIMENTS (what to
# train; empty: nothing), TESTS, MEASURE and LIMIT (seconds of both parts, and in all).
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

OUT="${1:-${OUT:-}}"
if [ -z "$OUT" ]; then
    echo "on_a_gpu.sh needs a folder for its results: benchmarks/on_a_gpu.sh FOLDER" >&2
    exit 2
fi
export DEVICE="${DEVICE:-cuda}"
PYTHON="${PYTHON:-python}"
LIMIT="${LIMIT:-470}"
mkdir -p "$OUT"
status=0

run() {  # seconds, then a command; 124 means that the time was over
    local seconds=$1
    shift
    timeout --kill-after=10 "$seconds" "$@"
    local code=$?
    echo "exit code $code after $SECONDS s in all: $*" | tee -a "$OUT/log.txt"
    return $code
}

run "${TESTS:-150}" "$PYTHON" -m pytest -q -m gpu tests/models/test_on_gpu.py \
    >"$OUT/tests.txt" 2>&1 || status=1
tail -n 3 "$OUT/tests.txt"

beauty="${GRAPHSEQ_DATA:-}/amazon-beauty/Beauty.txt"
[ -f "$beauty" ] || beauty=""
run "${MEASURE:-150}" "$PYTHON" -W ignore -m benchmarks.gpu ${beauty:+"$beauty"} \
    --device "$DEVICE" --out "$OUT" || status=1

if [ -n "${EXPERIMENTS-experiments}" ]; then
    [ -f "$OUT/rows.csv" ] || cp experiments/results.csv "$OUT/rows.csv"
    # shellcheck disable=SC2086  # several experiments are separated by spaces
    run "$((LIMIT > SECONDS + 20 ? LIMIT - SECONDS : 20))" "$PYTHON" -m graphseq train \
        ${EXPERIMENTS-experiments} --record "$OUT/rows.csv" --skip-recorded --resume \
        --runs "$OUT/runs" >"$OUT/train.txt" 2>&1 ||
        echo "not all experiments were trained; see $OUT/train.txt"
fi
exit $status
