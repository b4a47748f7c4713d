# SPDX-License-Identifier: BSD-2-Clause
# Tests, demo and what measures them; included by the Makefile.

named = $(patsubst %.c,$(BUILD)/%,$(wildcard $(1)))
unit_tests := $(call named,tests/unit/test_*.c)
process_tests := $(call named,tests/process/test_*.c)
tools := $(call named,tests/tools/*.c)
simulator := $(BUILD)/tests/sim/sim
sim_tests := $(call named,tests/sim/test_*.c)
demo := $(if $(wildcard tests/demo/*.c),$(BUILD)/tests/demo/demo)
shims := $(addsuffix .so,$(call named,tests/process/*_shim.c))
test_programs := $(unit_tests) $(process_tests) $(sim_tests) $(tools) $(shims)

# What the test programs of a directory share.
unit_helpers := $(call objects,$(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c)))
process_helpers := $(call objects,$(filter-out tests/process/test_% %_shim.c,\
	$(wildcard tests/process/*.c)))

.PHONY: tests
tests: all $(test_programs) $(simulator) $(demo) ## build the test programs, tools and the demo too

# A test of a core room has nothing but the core to call.
core_rooms := $(notdir $(basename $(wildcard include/core/*.h)))
core_tests := $(foreach room,$(core_rooms),$(filter $(BUILD)/tests/unit/test_$(room) \
	$(BUILD)/tests/unit/test_$(room)_%,$(unit_tests)))
$(core_tests): libs := $(core) -lm
$(filter-out $(core_tests),$(unit_tests)): libs := $(daemon_libs)
$(filter-out $(core_tests),$(unit_tests)): $(daemon)
$(process_tests) $(tools) $(demo): libs := $(daemon_libs)
$(process_tests) $(tools) $(demo): $(daemon)

$(unit_tests): $(unit_helpers)
$(process_tests): $(process_helpers)
$(unit_tests) $(process_tests) $(tools): $(BUILD)/%: $(BUILD)/%.o $(core)
	$(say) LINK $@
	$(quiet)$(link) -o $@ $(filter %.o,$^) $(if $(filter $(tools),$@),,-lcmocka) $(libs)

# The demo can do without what the tests are installed for.
$(demo): $(call objects,$(wildcard tests/demo/*.c tests/process/harness*.c)) $(core)
	$(say) LINK $@
	$(quiet)$(link) -o $@ $(filter %.o,$^) $(libs)

sim_parts := $(filter-out tests/sim/main.c tests/sim/test_%,$(wildcard tests/sim/*.c))
$(simulator): $(BUILD)/tests/sim/main.o
$(sim_tests): $(BUILD)/%: $(BUILD)/%.o
$(simulator) $(sim_tests): $(call objects,$(sim_parts)) $(daemon) $(core)
	$(say) LINK $@
	$(quiet)$(link) -o $@ $(filter %.o,$^) $(if $(filter $(sim_tests),$@),-lcmocka) $(daemon_libs)

stamps_probe := $(BUILD)/tests/bench/stamps_probe
tls_cost := $(BUILD)/tests/bench/tls_cost
bounded_time := $(BUILD)/tests/bench/bounded_time
$(stamps_probe) $(tls_cost) $(bounded_time): $(BUILD)/%: $(BUILD)/%.o $(daemon) $(core)
	$(say) LINK $@
	$(quiet)$(link) -o $@ $< $(daemon_libs)

# Preloaded into programs that may not be instrumented: free of sanitizers.
$(shims): $(BUILD)/%.so: %.c $(BUILD)/flags | libraries
	$(say) LINK $@
	$(quiet)mkdir -p $(@D)
	$(quiet)$(CC) $(cppflags) $(warnings) $(CFLAGS) -MMD -MP -MT $@ -fPIC -shared -o $@ $<

# Where the tests find the programs.
export BERKELEY_BUILD = $(abspath $(BUILD))
structure_environment = CC='$(CC)' language='$(language) $(package_cflags)' warnings='$(warnings)' \
	core=$(core) instrumented='$(SANITIZE)$(COVERAGE)'
unit := unit: $(unit_tests)
process := process: $(process_tests)
structure := structure: tests/structure/check tests/structure/documents tests/structure/units \
	tests/structure/catalog tests/structure/header \
	tests/structure/packages
sim := sim: $(sim_tests) tests/sim/simulations

.PHONY: check check-unit check-process check-structure check-sim
check: ## install what the tests need if it is missing, then run them all
check-unit: ## the rooms one by one
check-process: ## the real programs on loopback
check-structure: ## what the sources may contain, and whether the documents are true
check-sim: ## whole groups in virtual time: a slice of the simulations
check check-unit check-process: built := tests
check-structure: built := all
check-sim: built := $(simulator) $(sim_tests)
check check-unit check-process check-structure check-sim:
	@sh .ci/deps check
	@$(MAKE) --no-print-directory $(built)
	@$(MAKE) --no-print-directory run-$@

.PHONY: run-check run-check-unit run-check-process run-check-structure run-check-sim \
	run-instrumented run-demo
run-check: kinds = $(unit) $(process) $(sim) $(corpus) $(structure)
run-check-sim: kinds = $(sim)
run-check-unit: kinds = $(unit)
run-check-process: kinds = $(process)
run-check-structure: kinds = $(structure)
run-instrumented: kinds = $(unit) $(process) $(sim) $(corpus)
run-instrumented: export SIM_SEEDS ?= 1
run-instrumented: export BERKELEY_TEST_SCALE ?= 4
run-check run-check-unit run-check-process run-check-structure run-check-sim run-instrumented:
	@$(structure_environment) sh tests/run $(BUILD)/log $(kinds)

run-demo: all $(demo)
	@$(demo)

.PHONY: bench-stamps
bench-stamps: $(stamps_probe) ## what the kernel's timestamps are worth, idle and under load
	@sh tests/bench/stamps $<

.PHONY: bench-tls
bench-tls: $(tls_cost) ## what a handshake, a frame and a session cost
	@$<

.PHONY: bench-now
bench-now: $(bounded_time) ## what it costs a program to read the time with its bound
	@$<

.PHONY: check-asan
check-asan: ## the same tests under the address and undefined behaviour sanitizers
	@sh .ci/deps check
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SANITIZE=address,undefined tests
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SANITIZE=address,undefined run-instrumented

.PHONY: check-clang
check-clang: ## build everything with clang
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/clang CC=clang tests

# A test program leaves its counters only when it ends by itself.
.PHONY: coverage
coverage: ## lines run by the tests; fails below 95 % of src/core or 85 % of src
	@find $(BUILD)/coverage -name '*.gcda' -delete 2>/dev/null || :
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/coverage COVERAGE=1 tests
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/coverage COVERAGE=1 run-instrumented
	@sh tests/coverage $(BUILD)/coverage src/core:95 src:85

VALGRIND_TEST ?= $(BUILD)/tests/process/test_journald
.PHONY: valgrind
valgrind: tests ## one process test with all its programs under valgrind
	@sh tests/valgrind $(BUILD)/valgrind $(VALGRIND_TEST)

.PHONY: check-vm
check-vm: deb ## virtual machines with systemd and a kernel clock; SUITES="lifecycle ..." for some
	@sh .ci/deps vm
	@tests/vm/run $(BUILD)/vm "$$(ls -t $(BUILD)/berkeley_*.deb | head -n 1)" $(SUITES)

.PHONY: check-faults
check-faults: $(simulator) ## SEEDS=1000 simulations over all fault scenarios
	@tests/sim/faults

.PHONY: bench-accuracy
bench-accuracy: $(simulator) ## the tables of tests/bench, SEEDS=5 runs a cell: accuracy, convergence
	@tests/bench/accuracy tests/bench/accuracy.tsv
	@tests/bench/convergence tests/bench/convergence.tsv

# The seeds of one share follow those of the one before.
SEQUENCES ?= 1000000
fuzz_machines = $(BUILD)/asan/tests/unit/test_machine_fuzz
.PHONY: check-fuzz-machines
check-fuzz-machines: export ASAN_OPTIONS := abort_on_error=1
check-fuzz-machines: export UBSAN_OPTIONS := abort_on_error=1
check-fuzz-machines: ## SEQUENCES=1000000 random lives of both machines, sanitized, on all cores
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SANITIZE=address,undefined $(fuzz_machines)
	@share=$$((($(SEQUENCES) + $$(nproc) - 1) / $$(nproc))); \
	seq 1 $$share $(SEQUENCES) | BERKELEY_TEST_SEQUENCES=$$share \
		xargs -P $$(nproc) -I @ env BERKELEY_TEST_SEED=@ $(fuzz_machines)
flood := $(BUILD)/tests/bench/flood
flood_parts := aside attack frames sealed setup siege witness
$(flood): $(call objects,tests/bench/flood.c $(flood_parts:%=tests/process/%.c) \
	$(wildcard tests/process/harness*.c)) $(daemon) $(core)
	$(say) LINK $@
	$(quiet)$(link) -o $@ $(filter %.o,$^) $(daemon_libs)

.PHONY: bench-flood
bench-flood: all $(flood) ## what attacks on a master cost it and its slaves
	@sh tests/bench/flooded $(flood)
