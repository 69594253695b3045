#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test-python-asan.sh [pytest options]: the package's tests with engine and extension under the address and
# undefined-behaviour sanitizers, and a look for leaks at the end of each process. The interpreter is the
# system's: its own objects that are never freed are no finding, so of the leak reports those count whose
# allocation went through the extension. Controls: three broken twins of the extension, each of which must be found.
set -euo pipefail
cd "$(dirname "$0")/.."
began=$SECONDS
root=$PWD
out=$root/build/python-asan
scripts/setup.sh build python wheel
[ -x build/inferd ] || scripts/build.sh build -DIFD_TESTS=OFF
python=$root/$(scripts/venv.sh python-test python/requirements-test.txt)
mkdir -p "$out"
if ! { cmake -S python -B "$out" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DIFD_SANITIZE=address,undefined \
         -DPython_EXECUTABLE="$(readlink -f "$python")" && cmake --build "$out" --parallel "${JOBS:-$(nproc)}"; } >"$out/build.log" 2>&1; then
  tail -n 30 "$out/build.log" >&2
  echo "test-python-asan: the build failed" >&2
  exit 1
fi

rm -rf "$out/good"
mkdir -p "$out/good"
cp -r python/inferd "$out/good/inferd"
cp "$out/_engine.abi3.so" "$out/good/inferd/"
preload=$(gcc -print-file-name=libasan.so):$(gcc -print-file-name=libubsan.so)
export PYTHONMALLOC=malloc PYTHONDONTWRITEBYTECODE=1
# run NAME SITE COMMAND...: with the package in SITE; ASan's reports go to $out/NAME.log.PID, UBSan ends the
# process with a message on stderr. Of leaks the reports count, not the exit status:
# an interpreter that imports much leaves much behind.
run() {
  local name=$1 site=$2
  shift 2
  rm -f "$out/$name".log.*
  ASAN_OPTIONS=detect_leaks=1:halt_on_error=1:allocator_may_return_null=1:fast_unwind_on_malloc=0:malloc_context_size=12:log_path=$out/$name.log \
    UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 LSAN_OPTIONS=exitcode=0:max_leaks=0 LD_PRELOAD=$preload PYTHONPATH=$site "$@"
}
# leaks SITE: stacks of memory that the extension left behind
leaks() { python3 scripts/leaks.py "$out/$1".log.*; }

use='import inferd, sys
model = inferd.Model(sys.argv[1], threads=1)
for _ in range(50):
    model.classify(["good film", "bad"], all_scores=True)
model.close()'
golden=$root/engine/tests/model/golden/bert-f32
# twin FILE OLD NEW: prints where the extension with that line made wrong is
twin() {
  "$python" python/tests/twins.py "$out/twin" "$@" "$out/engine/libinferd.a" \
    -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=all
}
# must_find WHAT PATTERN SITE: the twin ends with a report that has it
must_find() {
  run twin "$3" "$python" -c "$use" "$golden" 2>"$out/twin.err" || true
  if ! grep -qs "$2" "$out"/twin.log.* "$out/twin.err"; then
    echo "test-python-asan: $1 was not found" >&2
    exit 1
  fi
}

run good "$out/good" "$python" -c "$use" "$golden"
leaks good
must_find "a write past an array" heap-buffer-overflow "$(twin values.c '(size_t)(n ? n : 1) * sizeof' '(size_t)(n > 1 ? n - 1 : 1) * sizeof')"
must_find "an overflow" 'signed integer overflow' "$(twin results.c 'const bool some = ' 'volatile int most = INT32_MAX; most = most + 1; const bool some = ')"
site=$(twin results.c 'Py_XDECREF(one);' 'if (failed) Py_XDECREF(one);')
run twin "$site" "$python" -c "$use" "$golden"
if leaks twin 2>/dev/null; then
  echo "test-python-asan: a leak was not found" >&2
  exit 1
fi
echo "test-python-asan: controls: a write past an array, a leak and an overflow were found"

# without what runs other programs (type checker, compiler) or looks at the resident set
run good "$out/good" "$python" -m pytest -c python/pyproject.toml --rootdir python -p no:cacheprovider -m 'not ray' \
  python/tests --ignore python/tests/test_types.py --ignore python/tests/test_leak.py --ignore python/tests/conformance \
  --deselect python/tests/test_process.py::test_a_child_that_uses_its_parents_threads_is_seen \
  --deselect python/tests/test_process.py::test_a_subinterpreter_that_gets_in_is_seen "$@"
if grep -s 'ERROR: AddressSanitizer' "$out"/good.log.* >&2; then
  echo "test-python-asan: the sanitizers found something (above)" >&2
  exit 1
fi
leaks good
echo "test-python-asan: passed in $((SECONDS - began)) s"
