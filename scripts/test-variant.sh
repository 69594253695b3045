#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test-variant.sh NAME [cmake options]: the test suite in another build (a sanitizer, a compiler).
set -euo pipefail
cd "$(dirname "$0")/.."
name=$1
shift
began=$SECONDS
scripts/build.sh "build/$name" -DIFD_TESTS=ON "$@"
# A sanitizer's report must fail its test, also in a child process of one.
export ASAN_OPTIONS=detect_leaks=1:halt_on_error=1:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
export IFD_TEST_VARIANT=$name
ctest --test-dir "build/$name" --output-on-failure --parallel "${JOBS:-$(nproc)}"
echo "test-$name: all passed in $((SECONDS - began)) s"
