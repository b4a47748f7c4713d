# SPDX-License-Identifier: BSD-2-Clause
# Tarball and packages; included by the Makefile.

tarball = $(BUILD)/berkeley-$(VERSION).tar.gz

.PHONY: dist
dist: ## build/berkeley-VERSION.tar.gz, the same from the same commit wherever it is made
	@mkdir -p $(BUILD)
	@sh config/packaging/dist $(VERSION) $(tarball)
	@echo $(tarball)

.PHONY: deb
deb: dist ## build/berkeley_VERSION_ARCH.deb, by the tools of Debian
	@sh .ci/deps deb
	@sh config/packaging/build-deb $(tarball) $(BUILD)

.PHONY: rpm
rpm: dist ## build/berkeley-VERSION.ARCH.rpm, by rpmbuild
	@sh .ci/deps rpm
	@sh config/packaging/build-rpm $(tarball) $(BUILD)

.PHONY: check-package
check-package: deb ## as root: install, upgrade, remove and purge the .deb in a root of its own
	@sh tests/run $(BUILD)/log packages: tests/packaging/clean-root
