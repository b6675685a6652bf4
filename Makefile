# SPDX-License-Identifier: Apache-2.0
# A thin door to CMake; see CONTRIBUTING.md for presets and CI steps.
PREFIX ?= /usr/local
export CMAKE_BUILD_PARALLEL_LEVEL ?= $(shell nproc)

.PHONY: all demo test install bench stress format ci clean

all:
	@cmake/setup demo
	cmake --preset release -DSKUA_BUILD_TESTS=OFF
	cmake --build build/release

demo:
	@cmake/setup demo
	cmake --preset demo
	cmake --build build/demo
	@perf/demo.sh build/demo

test:
	@cmake/setup test
	cmake --preset test
	cmake --build build/test
	ctest --test-dir build/test --output-on-failure -j 2

install:
	@cmake/setup demo
	cmake --preset library -DCMAKE_INSTALL_PREFIX=$(abspath $(PREFIX))
	cmake --build build/library
	cmake --install build/library

bench: all
	@perf/bench.sh build/release

stress:
	.ci/stress

format:
	.ci/format --write

ci:
	.ci/run

clean:
	rm -rf build
