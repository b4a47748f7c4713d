# SPDX-License-Identifier: BSD-2-Clause
# What is installed, and where; included by the Makefile.

prefix ?= /usr/local
sysconfdir ?= /etc
bindir ?= $(prefix)/bin
sbindir ?= $(prefix)/sbin
includedir ?= $(prefix)/include
mandir ?= $(prefix)/share/man
docdir ?= $(prefix)/share/doc/berkeley
ufwdir ?= $(sysconfdir)/ufw/applications.d
completiondir ?= $(prefix)/share/bash-completion/completions

# systemd reads /usr/local/lib as well as its own directories, but no other prefix;
# firewalld reads what is local in /etc only.
systemd_directory = $(or $(shell $(PKG_CONFIG) --variable=$(1) systemd 2>/dev/null),/usr/lib/$(2))
ifeq ($(prefix),/usr/local)
unitdir ?= $(prefix)/lib/systemd/system
presetdir ?= $(prefix)/lib/systemd/system-preset
catalogdir ?= $(prefix)/lib/systemd/catalog
sysusersdir ?= $(prefix)/lib/sysusers.d
firewalldir ?= $(sysconfdir)/firewalld/services
else
unitdir ?= $(call systemd_directory,systemdsystemunitdir,systemd/system)
presetdir ?= $(call systemd_directory,systemdsystempresetdir,systemd/system-preset)
catalogdir ?= $(call systemd_directory,catalogdir,systemd/catalog)
sysusersdir ?= $(call systemd_directory,sysusersdir,sysusers.d)
firewalldir ?= /usr/lib/firewalld/services
endif

daemon_units := berkeley-master.service berkeley-slave.service
manuals := $(wildcard man/*.[1-8])
manual = $(mandir)/man$(subst .,,$(suffix $(1)))/$(notdir $(1))

# SOURCE=DESTINATION; in sources that end in .in the names between two @ are filled in.
drop_ins = $(daemon_units:%=$(unitdir)/%.d/10-disciplines.conf)
unit_files = \
	$(daemon_units:%=systemd/berkeley.service.in=$(unitdir)/%) \
	systemd/berkeley-clock@.service.in=$(unitdir)/berkeley-clock@.service \
	systemd/berkeley-clock@.socket=$(unitdir)/berkeley-clock@.socket \
	systemd/berkeley-wait.service.in=$(unitdir)/berkeley-wait.service \
	$(drop_ins:%=systemd/10-disciplines.conf=%)
programs = \
	$(BUILD)/berkeleyd=$(sbindir)/berkeleyd \
	$(BUILD)/berkeleyctl=$(bindir)/berkeleyctl
files = \
	systemd/50-berkeley.preset=$(presetdir)/50-berkeley.preset \
	config/sysusers.conf=$(sysusersdir)/berkeley.conf \
	config/berkeley.catalog=$(catalogdir)/berkeley.catalog \
	config/firewalld.xml=$(firewalldir)/berkeley.xml \
	config/berkeley.ufw=$(ufwdir)/berkeley \
	config/berkeleyctl.bash-completion=$(completiondir)/berkeleyctl \
	config/grafana-dashboard.json=$(docdir)/examples/grafana-dashboard.json \
	config/prometheus-alerts.yml=$(docdir)/examples/prometheus-alerts.yml \
	include/berkeley.h=$(includedir)/berkeley.h \
	$(foreach page,$(manuals),$(page)=$(call manual,$(page)))
configuration = $(DESTDIR)$(sysconfdir)/berkeley.conf

source = $(firstword $(subst =, ,$(1)))
destination = $(DESTDIR)$(lastword $(subst =, ,$(1)))
own_directories = $(dir $(drop_ins)) $(docdir)/examples $(docdir) $(sysconfdir)/berkeley.conf.d
units := $(daemon_units) berkeley-wait.service berkeley-clock@.service berkeley-clock@.socket

role = $(patsubst berkeley-%.service,%,$(notdir $(1)))
other_master := slave
other_slave := master
order_master := Before
order_slave := After
exclude_master := Conflicts=berkeley-slave.service
fill = sed -e 's|@bindir@|$(bindir)|; s|@sbindir@|$(sbindir)|; s|@role@|$(role)|g' \
	-e 's|@other@|$(other_$(role))|g; s|@order@|$(order_$(role))|' \
	-e '$(if $(exclude_$(role)),s|@exclude@|$(exclude_$(role))|,/@exclude@/d)'

define put
install -D -m $(1) $(call source,$(2)) $(call destination,$(2))
$(if $(filter %.in,$(call source,$(2))),$(call fill,$(call destination,$(2))) -i $(call destination,$(2)))

endef

# Only on the running system, and only as root.
as_root = if [ -z '$(DESTDIR)' ] && [ "$$(id -u)" = 0 ]; then $(1); fi
have = ! command -v $(1) >/dev/null || $(1)
reload = $(call as_root,$(call have,journalctl) --update-catalog; \
	[ ! -d /run/systemd/system ] || systemctl daemon-reload)

.PHONY: install
install: all install-units ## install under prefix=/usr/local (DESTDIR for packages)
	$(foreach file,$(programs),$(call put,755,$(file)))
	$(foreach file,$(files),$(call put,644,$(file)))
	install -d $(configuration).d
	test -e $(configuration) || install -m 644 config/berkeley.conf $(configuration)
	$(call as_root,$(call have,systemd-sysusers) $(sysusersdir)/berkeley.conf)
	$(reload)

.PHONY: install-units
install-units:
	$(foreach file,$(unit_files),$(call put,644,$(file)))

.PHONY: uninstall
uninstall: ## remove what install put there; berkeley.key and a changed berkeley.conf stay
	rm -f $(foreach file,$(programs) $(files) $(unit_files),$(call destination,$(file)))
	if cmp -s config/berkeley.conf $(configuration); then rm $(configuration); fi
	rmdir $(addprefix $(DESTDIR),$(own_directories)) 2>/dev/null || :
	$(reload)
