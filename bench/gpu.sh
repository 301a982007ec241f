#!/usr/bin/env bash
# Measures one H100-class GPU in at most ten minutes, with random weights. Downloads nothing.
#
# usage: bench/gpu.sh                  on the machine with the GPU
#        DRY_RUN=1 bench/gpu.sh        on a CPU: few layers, small loads, to the script's end
#        PARTS="death swap" bench/gpu.sh
#
# Parts, in this order: serving-7b (Mistral 7B beside vLLM's server; the JumpStart table is made of
# it), death (an engine that is killed under load), swap (vLLM's sleep mode), serving-8x7b (Mixtral
# 8x7B in fp8). A part that the time does not suffice for is interrupted or left out, and the
# summary says so.
#
# Variables: PYTHON (.venv/bin/python), LIMIT (600 seconds; 3600 in a dry run), OUT (bench/results/gpu).
# Results and logs go to OUT. PUBLISH=1 also copies them to bench/results and writes the tables and
# plots of docs/performance.md.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-.venv/bin/python}
out=${OUT:-bench/results/gpu}
dry=${DRY_RUN:-}
parts=${PARTS:-serving-7b death swap serving-8x7b}
wanted=0.26.0 # of vLLM, which the figures are to be of
deadline=${LIMIT:-$([[ -n $dry ]] && echo 3600 || echo 600)} # in seconds
failures=0
summary=()

# Flags of the parts. The seven starts of vLLM take most of the time, and each round of streams some
# 90 seconds (estimates). So AsyncLLM without a server and whole answers are left out.
beside=(--weights dummy --rounds 1 --streamed --servers invoke-api vllm-server --to "$out")
if [[ -n $dry ]]; then
    small=(--layers 1)
    seven=(--users 1 2 --words 16 --tokens 4)
    mixtral=("${seven[@]}")
    death=(--users 2 --rounds 1 --tokens 2000)
    swap=(--rounds 1)
else
    small=()
    seven=(--users 1 8 32 128 --words 128 512 6400)
    # 6,400 words of 128 users would take a minute each time.
    mixtral=(--quantization fp8 --users 1 8 32 128 --words 128 512 6400 --most-read 262144)
    death=(--users 32 --rounds 1)
    swap=(--rounds 4)
fi

say() { printf '%s\n' "$*"; }

# Run a part within the time that is left: its name, and the arguments of Python.
run() {
    local name=$1 began=$SECONDS left=$((deadline - SECONDS)) status=0 words
    shift
    if ((left < 1)); then
        summary+=("$name|left out, no time|")
        return
    fi
    say "== $name: $* (at most $left s)"
    # The benchmark ends its servers when it is interrupted.
    # Python raises KeyboardInterrupt only if SIGINT was not ignored, as it is behind `&`.
    env --default-signal=INT timeout --signal=INT --kill-after=90 "$left" "$python" -u -m "$@" 2>&1 |
        tee "$out/$name.log" || status=$?
    case $status in
        0) words="done" ;;
        124 | 130 | 137) words="interrupted, no time: see its log" ;;
        *)
            words="failed with status $status: see its log"
            failures=$((failures + 1))
            ;;
    esac
    summary+=("$name|$words|$((SECONDS - began)) s")
}

part() {
    case $1 in
        serving-7b)
            run "$1" bench.serving --model mistral-7b "${beside[@]}" "${seven[@]}" "${small[@]}"
            ;;
        serving-8x7b)
            run "$1" bench.serving --model mixtral-8x7b "${beside[@]}" "${mixtral[@]}" "${small[@]}"
            ;;
        death) run "$1" bench.death --to "$out" "${death[@]}" "${small[@]}" ;;
        swap) run "$1" bench.swap --weights dummy --to "$out" "${swap[@]}" "${small[@]}" ;;
        *)
            say "There is no part $1; the parts are serving-7b, death, swap and serving-8x7b." >&2
            exit 2
            ;;
    esac
}

if [[ -z $dry ]] && ! nvidia-smi --list-gpus >/dev/null 2>&1; then
    say "nvidia-smi finds no GPU. DRY_RUN=1 runs on a CPU." >&2
    exit 2
fi
mkdir -p "$out"
found=$("$python" -c 'from bench.streams.machine import vllm_version; print(vllm_version())')
[[ $found == "vllm $wanted" ]] || say "note: this is $found, not vllm $wanted"
if [[ -z $dry ]]; then
    nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
fi

for each in $parts; do part "$each"; done

if [[ -n ${PUBLISH:-} && -z $dry ]]; then
    find "$out" -name 'serving-*.json' -exec cp {} bench/results/ \;
    "$python" -m bench.serving --draw
    summary+=("publish|docs/performance.md is written|")
fi

say "== $found, $SECONDS s${dry:+, dry run}"
for row in "${summary[@]}"; do
    IFS='|' read -r name words took <<<"$row"
    printf '%-14s %-36s %s\n' "$name" "$words" "$took"
done
say "Results and logs: $out"
exit "$((failures > 0))"
