#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What `make test-arm64` runs: cross-builds for 64-bit ARM and tests under qemu-user, on processors of
# three generations so that every tier runs, the oldest without the newer instructions. Correctness
# alone: nothing here says how fast an ARM processor is. On an ARM64 machine, `make test` is the test.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "$(uname -m)" = aarch64 ]; then
  echo "test-arm64: this is an ARM64 machine: running its own test suite"
  exec scripts/test.sh
fi
began=$SECONDS
dir=$PWD/build/arm64
model=$PWD/models/sst2-minilm-l6
jobs=${JOBS:-$(nproc)}
scripts/sysroot-arm64.sh
scripts/build.sh "$dir" -DCMAKE_TOOLCHAIN_FILE="$PWD/engine/cmake/arm64-linux.cmake" -DIFD_TESTS=ON
export IFD_TEST_EMULATED=1 IFD_TEST_VARIANT=arm64
fail() { echo "test-arm64: $*" >&2; exit 1; }

# --- objects: each architecture has its own files and no other's ---
rooms=$dir/src
[ -z "$(find "$rooms" -name '*avx*.o' -o -name 'amx*.o' -o -name '*x86*.o')" ] || fail "x86 objects in an ARM64 build"
[ "$(find "$rooms" -name 'neon*.o' | wc -l)" -eq 4 ] || fail "expected four NEON tiers in $rooms"

# --- tests ---
# The newest processor runs the suite; what is left out is named at the end: 872 sentences, and servers
# whose tests rest on how soon they answer. The others get time: a request's, its wait, and a test's beside other jobs.
left_out='^(model\.accuracy|e2e\.(connections|lifecycle|load|metrics|law|swap|swap_refused|shadow|bench)|bench\.scripts)$'
export INFERD_REQUEST_TIMEOUT=300s INFERD_MAX_QUEUE_WAIT=300s
QEMU_CPU=max IFD_TEST_BEST_TIER=neonbf16 ctest --test-dir "$dir" --output-on-failure --parallel "$jobs" -E "$left_out"
# Older ones: their best tier is chosen, and it runs no instruction that they lack.
for cpu in cortex-a57:neon neoverse-n1:neondot; do
  echo "test-arm64: ${cpu%:*}, whose best tier is ${cpu#*:}"
  QEMU_CPU=${cpu%:*} IFD_TEST_BEST_TIER=${cpu#*:} ctest --test-dir "$dir" --output-on-failure --parallel "$jobs" \
    -R '^(base\.cpu|kernels\..*|model\.golden)$'
done

# --- controls: a wrong kernel is caught ---
# caught NAME FROM TO TEST: vec_neon-inl.h with FROM replaced by TO must fail TEST.
caught() {
  local name=$1 from=$2 to=$3 test=$4 wrong=$dir/wrong/$1
  local objects=$rooms/kernels/CMakeFiles/ifd_kernels.dir source=engine/src/kernels
  mkdir -p "$wrong/kernels"
  sed "s/$from/$to/" $source/vec_neon-inl.h >"$wrong/kernels/vec_neon-inl.h"
  ! cmp -s $source/vec_neon-inl.h "$wrong/kernels/vec_neon-inl.h" || fail "control $name changes nothing"
  aarch64-linux-gnu-gcc -std=c11 -D_GNU_SOURCE -O2 -ffp-contract=off -I"$wrong" -Iengine/src -Iengine/include \
    -c $source/neon.c -o "$wrong/neon.o"
  mapfile -t rest < <(find "$objects" "$rooms/base" -name '*.o' ! -name neon.c.o)
  aarch64-linux-gnu-gcc -o "$wrong/test" "$wrong/neon.o" "${rest[@]}" \
    "$dir/tests/kernels/CMakeFiles/test_kernels_$test.dir/test_$test.c.o" \
    -Lbuild/sysroot-arm64/usr/lib/aarch64-linux-gnu -Wl,-rpath,"$PWD/build/sysroot-arm64/usr/lib/aarch64-linux-gnu" \
    -lcmocka -pthread -lm
  if QEMU_CPU=cortex-a57 qemu-aarch64 -L /usr/aarch64-linux-gnu "$wrong/test" >"$wrong/log" 2>&1; then
    fail "control $name: kernels.$test passed with a wrong kernel"
  fi
  echo "test-arm64: control: $name is caught by kernels.$test"
}
caught "bytes-taken-unsigned" 'vdupq_n_u8(0x80)' 'vdupq_n_u8(0)' narrow
caught "sum-in-another-order" 'vaddq_f32(v.q0, v.q2), vaddq_f32(v.q1, v.q3)' 'vaddq_f32(v.q0, v.q1), vaddq_f32(v.q2, v.q3)' vector_bits
caught "load-past-the-end" 'if (n >= 4)$' 'if (n >= 1)' rows

# --- the commands, end to end ---
if ! { cmake -S engine -B build -G Ninja -DIFD_TESTS=ON && cmake --build build --target inferd --parallel "$jobs"; } >"$dir/host.log" 2>&1; then
  fail "the build for this machine failed: $dir/host.log"
fi
texts=("I love this!" "This is awful." "" "naïve café" "$(printf 'a long one, %.0s' {1..60})")
classify() { "$@" classify --json --model "$model" "${texts[@]}"; }
for dtype in fp32 int8; do
  export INFERD_DTYPE=$dtype
  want=$(classify build/inferd)
  for tier in neon neondot neoni8mm neonbf16; do
    got=$(QEMU_CPU=max INFERD_CPU=$tier classify "$dir/inferd-emulated")
    [ "$got" = "$want" ] || fail "classify, $dtype, $tier: $got; this machine's binary says $want"
  done
done
unset INFERD_DTYPE
echo "test-arm64: classify on 4 tiers, fp32 and int8: each score as this machine's binary prints it"
if QEMU_CPU=cortex-a57 INFERD_CPU=neondot classify "$dir/inferd-emulated" >"$dir/refused" 2>&1; then
  fail "a tier that the processor lacks was not refused"
fi
grep -q 'it has: ref, neon$' "$dir/refused" || fail "the refusal does not list the tiers: $(cat "$dir/refused")"

QEMU_CPU=neoverse-n1 "$dir/inferd-emulated" serve --model "$model" --port 0 2>"$dir/serve.log" &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
port=
for _ in $(seq 300); do
  port=$(sed -n 's/.*"event":"ready".*"url":"http:\/\/127\.0\.0\.1:\([0-9]*\).*/\1/p' "$dir/serve.log")
  [ -z "$port" ] || break
  sleep 0.1
done
[ -n "$port" ] || fail "no server: $(cat "$dir/serve.log")"
answer=$(curl -sS --max-time 30 -H 'Content-Type: application/json' -d '{"inputs":["I love this!","This is awful."]}' "http://127.0.0.1:$port/infer")
case $answer in
  '[{"label":"POSITIVE","confidence":0.98'*'},{"label":"NEGATIVE","confidence":0.98'*'}]') ;;
  *) fail "POST /infer answered: $answer" ;;
esac
kill -TERM $server
wait $server || fail "the server did not stop cleanly: $(tail -n 3 "$dir/serve.log")"
trap - EXIT
echo "test-arm64: serve answered a request and stopped cleanly"
echo "test-arm64: all passed in $((SECONDS - began)) s; not run: ${left_out//[\\^\$]/} (minutes of emulation), what tests skip under an emulator (a comparison's time, tune's own server, threads after a fork), the sanitizers' builds, libFuzzer, and any measure of speed"
