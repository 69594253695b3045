# SPDX-License-Identifier: Apache-2.0
# The front door. `make help` lists the verbs; scripts/ holds what they call.
SHELL := /bin/bash
BUILD ?= build
MODEL ?= models/sst2-minilm-l6
ARGS ?=
CMAKE_FLAGS ?=
SCRIPT ?= overhead
JOBS ?= $(shell nproc)

.DEFAULT_GOAL := help
.PHONY: help setup build run test test-protocols test-asan test-tsan test-clang test-arm64 test-ui lint format fuzz parity \
        bench bench-kernels bench-pass bench-serving bench-ray model install wheel test-python test-python-asan \
        test-ray serve-ray faults-ray clean distclean

help: ## List the verbs
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install the Debian packages that building and testing need (once)
	@scripts/setup.sh build test

build: ## Build build/inferd, build/libinferd.a and .so
	@scripts/setup.sh build
	@scripts/build.sh $(BUILD) -DIFD_TESTS=OFF $(CMAKE_FLAGS)

run: build ## Build and serve the bundled model on 127.0.0.1:8000 (ARGS="--port 9000 ...")
	@$(BUILD)/inferd serve --model $(MODEL) $(ARGS)

test: ## Set up, build, and run the whole test suite
	@scripts/test.sh

test-ui: build ## The page at / in headless Chromium (INFERD_SHOTS=DIR keeps screenshots)
	@scripts/test-ui.sh

test-asan: ## All tests under the address and undefined-behaviour sanitizers
	@scripts/setup.sh build test
	@scripts/test-variant.sh asan -DCMAKE_BUILD_TYPE=Debug -DIFD_SANITIZE=address,undefined

test-tsan: ## All tests under the thread sanitizer
	@scripts/setup.sh build test
	@scripts/test-variant.sh tsan -DCMAKE_BUILD_TYPE=Debug -DIFD_SANITIZE=thread

test-clang: ## All tests built by clang
	@scripts/setup.sh build test fuzz
	@scripts/test-variant.sh clang -DCMAKE_C_COMPILER=clang-14

test-arm64: ## Cross-build for 64-bit ARM and run tests on each of its tiers under qemu-user
	@scripts/setup.sh build test arm64
	@scripts/test-arm64.sh

lint: ## House rules, formatting, shell scripts
	@scripts/setup.sh lint
	@scripts/lint.sh

format: ## Format the C sources in place
	@scripts/setup.sh lint
	@git ls-files '*.c' '*.h' | xargs clang-format-14 -i

fuzz: ## Fuzz each parser for FUZZ_SECONDS (default 20) with clang's libFuzzer
	@scripts/setup.sh build fuzz
	@scripts/fuzz.sh

parity: ## Compare ids and logits with PyPI tokenizers and transformers (own venv, minutes)
	@scripts/parity.sh

bench: build ## Speed beside onnxruntime, OpenVINO, CTranslate2 and torch (own venv, interleaved)
	@scripts/bench.sh $(ARGS)

bench-kernels: ## GOP/s per shape, dtype and tier beside this core's measured peak
	@scripts/setup.sh build test
	@scripts/build.sh $(BUILD) -DIFD_TESTS=ON
	@$(BUILD)/bench/bench_kernels

bench-pass: ## A forward pass by steps, share of peak, lengths and two cores (ARGS="steps amx int8")
	@scripts/setup.sh build test
	@scripts/build.sh $(BUILD) -DIFD_TESTS=ON
	@$(BUILD)/bench/bench_pass $(ARGS)

bench-serving: build ## The server under load: SCRIPT=overhead, overload, fairness, swap, drain, ...
	@scripts/bench-serving.sh $(SCRIPT) $(ARGS)

wheel: build ## Build the wheel (abi3, Linux) and the sdist into dist/, and try both in clean environments
	@scripts/wheel-check.sh
	@scripts/sdist-check.sh

test-python: build ## The Python package's tests (ARGS="-k async"; INFERD_TEST_CALLS=1000000 for the long leak test)
	@scripts/test-python.sh $(ARGS)

test-python-asan: build ## The Python package under the address and undefined-behaviour sanitizers, leaks counted
	@scripts/test-python-asan.sh $(ARGS)

serve-ray: build ## Serve on a local Ray behind its HAProxy (ARGS="--port 8000 --proxy default")
	@scripts/serve-ray.sh $(ARGS)

test-protocols: build ## tritonclient, an OpenAPI validator and schemathesis against the server (own venv)
	@scripts/test-protocols.sh $(ARGS)

test-ray: build ## The Ray Serve application and the conformance suite on a local Ray (own venv, minutes)
	@scripts/test-ray.sh $(ARGS)

faults-ray: build ## Kills, drains, upgrades under load on a local Ray; SCRIPT=autoscale: replicas over time
	@scripts/faults-ray.sh $(or $(filter faults autoscale,$(SCRIPT)),faults) $(ARGS)

bench-ray: build ## k6's ramps and a saturation search: torch baseline (TORCH=1), Ray, HAProxy, C server
	@scripts/bench-ray.sh $(ARGS)

model: ## Train the default model again (own venv; TRAIN=train.tsv, hours on two cores)
	@models/recipe/run.sh

install: build ## Install into PREFIX (default /usr/local)
	@cmake --install $(BUILD) --prefix $(or $(PREFIX),/usr/local)

clean: ## Remove what was built
	@rm -rf build

distclean: clean ## And the Python environments
	@rm -rf .venv .cache

include platform/platform.mk
