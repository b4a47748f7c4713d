# SPDX-License-Identifier: BSD-2-Clause
# Berkeley.  "make help" lists the targets.

VERSION := 0.1.0

BUILD ?= build
PKG_CONFIG ?= pkg-config
ifeq ($(origin CC),default)
CC := gcc
endif

CFLAGS ?= -O2 -g
warnings := -Wall -Wextra -Wconversion -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Werror
language := -std=gnu17 -D_GNU_SOURCE -Iinclude
ifdef SANITIZE
protection := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
else ifdef COVERAGE
CFLAGS := -O0 -g
protection := --coverage
else
protection := -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif

packages := libsystemd libconfig gnutls json-c libmicrohttpd smartcols
library_flags = $(shell $(PKG_CONFIG) --libs $(1) 2>/dev/null)
package_cflags := $(shell $(PKG_CONFIG) --cflags $(packages) 2>/dev/null)
package_libs := $(call library_flags,$(filter-out smartcols,$(packages)))
ctl_libs := $(call library_flags,smartcols)
cppflags = $(language) -DBERKELEY_VERSION='"$(VERSION)"' \
	-DCONFIG_FILE='"$(sysconfdir)/berkeley.conf"' -DKEY_FILE='"$(sysconfdir)/berkeley.key"' \
	$(package_cflags) $(CPPFLAGS)
compile = $(CC) $(cppflags) $(warnings) $(protection) -fPIE $(CFLAGS)
link = $(CC) $(protection) $(CFLAGS) -pie -Wl,-z,relro,-z,now $(LDFLAGS)

ifeq ($(V),1)
say = @:
quiet =
else
say = @printf '  %-7s %s\n'
quiet = @
endif

core := $(BUILD)/libberkeley-core.a
daemon := $(BUILD)/libberkeley-daemon.a
daemon_libs := $(daemon) $(core) $(package_libs) -lm -lpthread
# Only what is there: a room still without sources does not break the others.
berkeleyd := $(patsubst src/daemon/main.c,$(BUILD)/berkeleyd,$(wildcard src/daemon/main.c))
ctl := $(if $(wildcard src/ctl/*.c),$(BUILD)/berkeleyctl)

objects = $(patsubst %.c,$(BUILD)/%.o,$(1))
core_objects := $(call objects,$(wildcard src/core/*.c))
daemon_objects := $(call objects,$(filter-out src/daemon/main.c,$(wildcard src/daemon/*.c)))

.PHONY: all
all: $(core) $(daemon) $(berkeleyd) $(ctl) ## build the daemon and berkeleyctl (default)

include config/packaging/install.mk
include config/packaging/packaging.mk
include tests/tests.mk
include tests/fuzz/fuzz.mk

# The directories are prerequisites so that a source taken away leaves the archive too.
$(core): $(core_objects) src/core
$(daemon): $(daemon_objects) src/daemon
$(core) $(daemon):
	$(say) AR $@
	$(quiet)mkdir -p $(@D) && rm -f $@
	$(quiet)ar rcs $@ $(filter %.o,$^)

$(BUILD)/berkeleyd: $(BUILD)/src/daemon/main.o $(daemon) $(core)
	$(say) LINK $@
	$(quiet)$(link) -o $@ $< $(daemon_libs)

$(BUILD)/berkeleyctl: $(call objects,$(wildcard src/ctl/*.c)) src/ctl $(daemon) $(core)
	$(say) LINK $@
	$(quiet)$(link) -o $@ $(filter %.o,$^) $(daemon_libs) $(ctl_libs)

$(BUILD)/%.o: %.c $(BUILD)/flags | libraries
	$(say) CC $<
	$(quiet)mkdir -p $(@D)
	$(quiet)$(compile) -MMD -MP -c -o $@ $<

# Whatever the outputs depend on besides files: they are made anew when it changes.
settings = $(compile) | $(link) | $(daemon_libs) $(ctl_libs)
$(BUILD)/flags: always
	$(quiet)mkdir -p $(BUILD)
	$(quiet)printf '%s\n' '$(subst ','\'',$(settings))' > $@.new
	$(quiet)if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

.PHONY: always libraries
always:
libraries:
	@$(PKG_CONFIG) --exists $(packages) || { \
		echo "$(packages): not installed; sh .ci/deps build installs them" >&2; exit 1; }

-include $(shell find $(BUILD)/src $(BUILD)/tests -name '*.d' 2>/dev/null)

.PHONY: demo
demo: ## install what the build needs, then show a group on this machine's loopback
	@sh .ci/deps build
	@$(MAKE) --no-print-directory run-demo

.PHONY: lint
lint: all lint-c lint-man lint-units ## clang-tidy, cppcheck, mandoc, systemd-analyze

# One file at a time: clang-tidy 14 sees uninitialised va_lists in the second of several.
.PHONY: lint-c
lint-c:
	find src tests -name '*.c' | xargs -P "$$(nproc)" -n 1 \
		sh -c 'clang-tidy --quiet "$$@" -- $(subst ','\'',$(cppflags)) 2>/dev/null' clang-tidy
	cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 -j "$$(nproc)" \
		--enable=warning,performance,portability \
		--suppress=varFuncNullUB -D_GNU_SOURCE -Iinclude src tests

.PHONY: lint-man
lint-man:
	$(if $(manuals),mandoc -T lint -W warning $(manuals))

# Verified as installed together, with a daemon that is there.
security_threshold := 15
lint_units := $(addprefix $(BUILD)/lint/,$(units))
.PHONY: lint-units
lint-units: $(berkeleyd)
	$(quiet)rm -rf $(BUILD)/lint
	$(quiet)$(MAKE) --no-print-directory install-units DESTDIR= unitdir=$(BUILD)/lint
	$(quiet)sed -i -E 's,=(-*)($(sbindir)|$(bindir))/,=\1$(abspath $(BUILD))/,' $(lint_units)
	systemd-analyze verify --man=no $(lint_units)
	for unit in $(filter %.service,$(lint_units)); do \
		systemd-analyze security --no-pager --offline=true --threshold=$(security_threshold) \
			$$unit > $$unit.score || { cat $$unit.score; exit 1; }; tail -n 1 $$unit.score; done

.PHONY: format
format: ## lay the sources out with clang-format
	find include src tests -name '*.[ch]' | xargs clang-format -i

.PHONY: clean
clean: ## remove everything built
	rm -rf $(BUILD)

.PHONY: help
help: ## this list
	@echo "make [V=1] [CC=gcc|clang] [BUILD=dir] [SANITIZE=address,undefined] [COVERAGE=1] TARGET"
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | \
		while IFS='	' read -r target text; do printf '  %-16s %s\n' "$$target" "$$text"; done
