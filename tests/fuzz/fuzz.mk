# SPDX-License-Identifier: BSD-2-Clause
# Fuzzing and the thread sanitizer; included by the Makefile.

fuzz_names := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
fuzz_targets := $(fuzz_names:%=$(BUILD)/tests/fuzz/fuzz_%)
fuzz_life := $(call objects,$(wildcard tests/unit/machine_*.c) tests/unit/model_clock.c \
	tests/unit/wire_fields.c)

# A build for a fuzzer brings its main(); any other gets one that replays files.
fuzz_sanitizers := address,undefined,fuzzer-no-link
fuzz_main = $(if $(findstring fuzzer,$(SANITIZE)),-fsanitize=fuzzer,$(fuzz_replay))
fuzz_replay := $(BUILD)/tests/fuzz/standalone.o
fuzz_libs := -lcmocka $(daemon_libs)

tests: $(fuzz_targets)
$(BUILD)/tests/fuzz/fuzz_master $(BUILD)/tests/fuzz/fuzz_slave: $(fuzz_life)
$(fuzz_targets): $(BUILD)/%: $(BUILD)/%.o $(fuzz_replay) $(daemon) $(core)
	$(say) LINK $@
	$(quiet)$(link) -o $@ $(filter-out $(fuzz_replay),$(filter %.o,$^)) $(fuzz_main) $(fuzz_libs)

.PHONY: fuzz-targets
fuzz-targets: $(fuzz_targets)

FUZZ ?= $(fuzz_names)
FUZZ_SECONDS ?= 60
fuzz_build = $(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CC=$(fuzz_compiler) \
	SANITIZE=$(fuzz_sanitizers)
fuzz_compiler := clang
.PHONY: fuzz
fuzz: ## FUZZ_SECONDS=60 of each target in tests/fuzz (or of those in FUZZ="wire key")
	@sh .ci/deps ci
	@$(fuzz_build) $(FUZZ:%=$(BUILD)/fuzz/tests/fuzz/fuzz_%) fuzz-selfcheck
	@sh tests/fuzz/run $(BUILD)/fuzz $(FUZZ_SECONDS) $(FUZZ)

# Planted bugs, which it must find; in a build for a fuzzer.
.PHONY: fuzz-selfcheck
fuzz-selfcheck: export fuzz_compile = $(compile)
fuzz-selfcheck: export fuzz_link = $(link) -fsanitize=fuzzer
fuzz-selfcheck: export fuzz_libs := $(fuzz_libs)
fuzz-selfcheck: export fuzz_life := $(fuzz_life)
fuzz-selfcheck: fuzz-targets
	@sh tests/fuzz/selfcheck $(BUILD)

corpus := corpus: tests/fuzz/replay
.PHONY: check-corpus
check-corpus: ## every file of tests/fuzz/corpus once through its target
	@sh .ci/deps check
	@$(MAKE) --no-print-directory fuzz-targets
	@sh tests/run $(BUILD)/log $(corpus)

fuzz_covered := $(addprefix src/,core/wire.c $(addprefix daemon/,config_text.c config_tree.c \
	config_value.c duration.c state.c keyring.c keyring_parse.c \
	prefix.c control_words.c tls.c transport_handshake.c clock_policy.c \
	clock_server.c))
.PHONY: fuzz-coverage
fuzz-coverage: ## lines of the parsers that the corpora run, those grown by make fuzz included
	@find $(BUILD)/fuzz-coverage -name '*.gcda' -delete 2>/dev/null || :
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz-coverage COVERAGE=1 fuzz-targets
	@sh tests/fuzz/coverage $(BUILD)/fuzz-coverage $(BUILD)/fuzz/corpus $(fuzz_covered)

# The one thread besides the main one is the resolver's.
tsan_tests := unit/test_resolver unit/test_transport_connect process/test_hurry
.PHONY: check-tsan run-tsan
check-tsan: ## what has to do with the resolver's thread, under the thread sanitizer
	@sh .ci/deps ci
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan SANITIZE=thread all \
		$(tsan_tests:%=$(BUILD)/tsan/tests/%)
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan SANITIZE=thread run-tsan
run-tsan: export BERKELEY_TEST_SCALE ?= 4
run-tsan: export TSAN_OPTIONS := halt_on_error=1 $(TSAN_OPTIONS)
run-tsan:
	@sh tests/run $(BUILD)/log tsan: $(tsan_tests:%=$(BUILD)/tests/%)
