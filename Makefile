# Pocket: `make run` and `make test` are the two commands a newcomer needs.
BUILD := build
JOBS := $(shell nproc)

.DEFAULT_GOAL := help
.PHONY: help setup models build run demo-keep chaos test test-all bench install check tidy sanitize fuzz format clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## Install every package Pocket needs (Debian 12; root or sudo)
	@tools/setup

models: setup ## Build the demonstration's models and fetch its pictures
	@tools/make-models

build: setup ## Build the release programs into build/bin
	@cmake --preset release >/dev/null
	@cmake --build $(BUILD) -j$(JOBS) --target programs

run: build models ## The main job: five apps through Pocket and monolithically
	@tools/demo

demo-keep: build models ## As run, but leave the service running
	@tools/demo --keep

bench: build models ## The measurements whose figures the README shows
	@build/bin/pocket bench ipc
	@build/bin/pocket bench latency
	@build/bin/pocket bench lend
	@build/bin/pocket bench latency --load burst --budget equal --clients 10 --seconds 5 \
	  --policy none --policy func,ratio,0.5 --policy adaptive,ratio,0.7 --policy conn,ratio,0.7

MINUTES ?= 10
chaos: build ## Kill, stop and squeeze everything under 50 clients for MINUTES (default 10)
	@cmake --build $(BUILD) -j$(JOBS) --target chaos-client
	@POCKET_PROGRAM=$(abspath $(BUILD))/bin/pocket python3 -B tests/chaos/chaos.py --seconds $$(( $(MINUTES) * 60 ))

test: models ## Build everything, then run the tests (but the slow ones: test-all) and each fuzzer for a second
	@tools/setup --tests tools/packages-fuzz.txt
	@tools/setup-tensorflow
	@tools/make-test-models
	@tools/make-app-models
	@cmake --preset release >/dev/null
	@cmake --build $(BUILD) -j$(JOBS)
	@ctest --test-dir $(BUILD) --output-on-failure -j$(JOBS) -LE slow
	@tools/fuzz 1

test-all: test ## As test, then the slow tests
	@ctest --test-dir $(BUILD) --output-on-failure -j$(JOBS) -L slow

format: ## Format all C and C++ sources
	@git ls-files '*.h' '*.hpp' '*.cc' '*.c' | xargs clang-format-16 -i

check: ## Formatting
	@git ls-files '*.h' '*.hpp' '*.cc' '*.c' | xargs clang-format-16 --dry-run -Werror

tidy: build ## clang-tidy, and clang's check of what mutexes guard
	@tools/setup tools/packages-tidy.txt
	@tools/tidy

sanitize: setup ## Unit and service tests with ASan and UBSan, then with TSan (null engine)
	@tools/sanitize

SECONDS_EACH ?= 600
fuzz: setup ## Fuzz each parser of what strangers send for SECONDS_EACH (600) seconds
	@tools/setup tools/packages-fuzz.txt
	@tools/fuzz $(SECONDS_EACH)

clean: ## Remove what was built
	@rm -rf $(BUILD)

PREFIX ?= /usr/local
install: build ## Install below PREFIX (default /usr/local)
	@cmake --install $(BUILD) --prefix $(PREFIX) >/dev/null && echo "installed below $(PREFIX)"
