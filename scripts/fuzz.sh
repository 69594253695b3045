#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fuzz every target for FUZZ_SECONDS each (libFuzzer with address and undefined-behaviour
# sanitizers), starting from its committed corpus; new inputs go to build/fuzz/work/NAME.
# FUZZ_TARGETS="json http" picks some. Prints executions per target; a finding fails the run.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${FUZZ_SECONDS:-20}
scripts/build.sh build/fuzz -DCMAKE_C_COMPILER=clang-14 -DIFD_FUZZ=ON -DIFD_TESTS=OFF \
  -DCMAKE_BUILD_TYPE=Release -DIFD_SANITIZE=address,undefined
export ASAN_OPTIONS=allocator_may_return_null=1
status=0
for list in engine/fuzz/*.cmake; do
  name=$(basename "$list" .cmake)
  if [ -n "${FUZZ_TARGETS:-}" ] && [[ " $FUZZ_TARGETS " != *" $name "* ]]; then continue; fi
  mkdir -p "build/fuzz/work/$name" "build/fuzz/found/$name"
  log=build/fuzz/$name.log
  if build/fuzz/fuzz/fuzz_"$name" "build/fuzz/work/$name" "engine/fuzz/corpus/$name" \
      -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len="${FUZZ_MAX_LEN:-4096}" \
      -artifact_prefix="build/fuzz/found/$name/" -print_final_stats=1 >"$log" 2>&1; then
    runs=$(awk '/stat::number_of_executed_units/{print $2}' "$log")
    edges=$(grep -oE 'cov: [0-9]+' "$log" | tail -n 1)
    echo "fuzz: $name: $runs executions in $seconds s, $edges, 0 findings"
  else
    status=1
    tail -n 40 "$log" >&2
    echo "fuzz: $name: FINDING, input in build/fuzz/found/$name" >&2
  fi
done
exit $status
