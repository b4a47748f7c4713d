# SPDX-License-Identifier: BSD-2-Clause
# Berkeley.  "make help" lists the targets.

VERSION := 0.1.0

BUILD ?= build
prefix ?= /usr/local
sysconfdir ?= /etc
bindir ?= $(prefix)/bin
sbindir ?= $(prefix)/sbin
mandir ?= $(prefix)/share/man
PKG_CONFIG ?= pkg-config
ifeq ($(origin CC),default)
CC := gcc
endif

# systemd reads /usr/local/lib as well as its own directories, but no other prefix.
systemd_directory = $(or $(shell $(PKG_CONFIG) --variable=$(1) systemd 2>/dev/null),/usr/lib/$(2))
ifeq ($(prefix),/usr/local)
unitdir ?= $(prefix)/lib/systemd/system
sysusersdir ?= $(prefix)/lib/sysusers.d
else
unitdir ?= $(call systemd_directory,systemdsystemunitdir,systemd/system)
sysusersdir ?= $(call systemd_directory,sysusersdir,sysusers.d)
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

packages := libsystemd libconfig gnutls json-c
package_cflags := $(shell $(PKG_CONFIG) --cflags $(packages) 2>/dev/null)
package_libs := $(shell $(PKG_CONFIG) --libs $(packages) 2>/dev/null)
cppflags := $(language) -DBERKELEY_VERSION='"$(VERSION)"' \
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
daemon_units := berkeley-master.service berkeley-slave.service
units := $(daemon_units) berkeley-clock@.service berkeley-clock@.socket
manuals := $(wildcard man/*.[1-8])

objects = $(patsubst %.c,$(BUILD)/%.o,$(1))
core_objects := $(call objects,$(wildcard src/core/*.c))
daemon_objects := $(call objects,$(filter-out src/daemon/main.c,$(wildcard src/daemon/*.c)))

.PHONY: all
all: $(core) $(daemon) $(berkeleyd) $(ctl) ## build the daemon and berkeleyctl (default)

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
	$(quiet)$(link) -o $@ $(filter %.o,$^) $(daemon_libs)

$(BUILD)/%.o: %.c $(BUILD)/flags | libraries
	$(say) CC $<
	$(quiet)mkdir -p $(@D)
	$(quiet)$(compile) -MMD -MP -c -o $@ $<

# Whatever the outputs depend on besides files: they are made anew when it changes.
settings = $(compile) | $(link) | $(daemon_libs)
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
	$(quiet)sed -i 's|=\(-*\)$(sbindir)/|=\1$(abspath $(BUILD))/|' $(lint_units)
	systemd-analyze verify --man=no $(lint_units)
	for unit in $(filter %.service,$(lint_units)); do \
		systemd-analyze security --no-pager --offline=true --threshold=$(security_threshold) \
			$$unit > $$unit.score || { cat $$unit.score; exit 1; }; tail -n 1 $$unit.score; done

.PHONY: format
format: ## lay the sources out with clang-format
	find include src tests -name '*.[ch]' | xargs clang-format -i

.PHONY: install
install: all install-units ## install under prefix=/usr/local (DESTDIR for packages)
	install -D -m 755 $(BUILD)/berkeleyd $(DESTDIR)$(sbindir)/berkeleyd
	install -D -m 755 $(BUILD)/berkeleyctl $(DESTDIR)$(bindir)/berkeleyctl
	test -e $(DESTDIR)$(sysconfdir)/berkeley.conf || \
		install -D -m 644 config/berkeley.conf $(DESTDIR)$(sysconfdir)/berkeley.conf
	install -D -m 644 config/sysusers.conf $(DESTDIR)$(sysusersdir)/berkeley.conf
	$(foreach page,$(manuals),install -D -m 644 $(page) $(DESTDIR)$(call manual,$(page)) &&) :
ifeq ($(DESTDIR),)
	if [ "$$(id -u)" = 0 ] && command -v systemd-sysusers >/dev/null; then \
		systemd-sysusers $(sysusersdir)/berkeley.conf; fi
	$(reload)
endif

unit_file = sed -e 's|@sbindir@|$(sbindir)|; s|@role@|$(1)|g; s|@other@|$(2)|g; s|@order@|$(3)|' \
	systemd/berkeley.service.in
manual = $(mandir)/man$(subst .,,$(suffix $(1)))/$(notdir $(1))
reload = if [ "$$(id -u)" = 0 ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
drop_ins = $(patsubst %,$(unitdir)/%.d/10-disciplines.conf,$(daemon_units))

.PHONY: install-units
install-units:
	install -d $(DESTDIR)$(unitdir)
	$(call unit_file,master,slave,Before) > $(DESTDIR)$(unitdir)/berkeley-master.service
	$(call unit_file,slave,master,After) > $(DESTDIR)$(unitdir)/berkeley-slave.service
	sed -e 's|@sbindir@|$(sbindir)|' systemd/berkeley-clock@.service.in \
		> $(DESTDIR)$(unitdir)/berkeley-clock@.service
	install -m 644 systemd/berkeley-clock@.socket $(DESTDIR)$(unitdir)/berkeley-clock@.socket
	$(foreach file,$(drop_ins),install -D -m 644 systemd/10-disciplines.conf $(DESTDIR)$(file) &&) :

.PHONY: uninstall
uninstall: ## remove what install put there; berkeley.key and a changed berkeley.conf stay
	rm -f $(DESTDIR)$(sbindir)/berkeleyd $(DESTDIR)$(bindir)/berkeleyctl
	rm -f $(DESTDIR)$(sysusersdir)/berkeley.conf
	rm -f $(addprefix $(DESTDIR)$(unitdir)/,$(units)) $(addprefix $(DESTDIR),$(drop_ins))
	rm -f $(foreach page,$(manuals),$(DESTDIR)$(call manual,$(page)))
	-rmdir $(dir $(addprefix $(DESTDIR),$(drop_ins))) 2>/dev/null
	if cmp -s config/berkeley.conf $(DESTDIR)$(sysconfdir)/berkeley.conf; then \
		rm $(DESTDIR)$(sysconfdir)/berkeley.conf; fi
ifeq ($(DESTDIR),)
	$(reload)
endif

.PHONY: clean
clean: ## remove everything built
	rm -rf $(BUILD)

.PHONY: help
help: ## this list
	@echo "make [V=1] [CC=gcc|clang] [BUILD=dir] [SANITIZE=address,undefined] [COVERAGE=1] TARGET"
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | \
		while IFS='	' read -r target text; do printf '  %-16s %s\n' "$$target" "$$text"; done
