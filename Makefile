# SPDX-License-Identifier: GPL-2.0-or-later
#
# baton: kernel-assisted scheduling in user space.
#
#   make            build the library, the tool and the tests
#   make demo       the main job, with a picture at the end; DB=mariadb: with Debian's MariaDB; FLEET=3: a fleet of nodes
#   make test       every test, the patched kernel included (root, QEMU)
#   make check      the tests that need no root and no VM, under two minutes
#   make fuzz       libFuzzer against each parser and batondb, for FUZZ_SECONDS=600 altogether, from a new seed
#   make bench      every benchmark; JSON lines in build/bench/
#   make vm         a shell in the patched kernel
#   make vm-arm64   the tests of futexes and parking on arm64, with the series (long)
#   make vm-storm   tasks that block in anything, and a loader that dies, on the debug kernel (long); STORM_SECONDS=20
#   make kernel     build (or find in the cache) the kernels the VM runs
#   make mariadb    the plugin for MariaDB, its client and tests
#   make deb        Debian packages, in build/deb/; make check-deb: and tries them in a chroot (root)
#   make install    library, headers, man pages, tool (DESTDIR=, PREFIX=)
#
#   O=DIR  build there (default: build)    V=1  show the commands    -jN  default: the CPUs
#   BATON_CACHE=DIR  kernels and other slow things (default: ~/.cache/baton)
#   KERNEL=7.3  the base of the patched kernel, a folder of kernel-patch/ (default: 6.12)

TOP := $(CURDIR)
export TOP
O ?= build
override O := $(abspath $(O))
export O
export BATON_CACHE ?= $(HOME)/.cache/baton
KERNEL ?= $(or $(BATON_KERNEL),6.12)
export BATON_KERNEL := $(KERNEL)

MAKEFLAGS += --no-print-directory
# As parallel as there are CPUs, unless told.
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc)
endif
SUBDIRS := lib bpf tools service $(filter-out selftests/mariadb,$(patsubst %/Makefile,%,$(wildcard selftests/*/Makefile)))

.PHONY: all check test demo deb check-deb fuzz bench vm vm-arm64 vm-storm kernel install uninstall install-service uninstall-service mariadb install-mariadb uninstall-mariadb clean distclean deps $(SUBDIRS) help
.DELETE_ON_ERROR:
# Directories are made one at a time, each as parallel as -j says: they share the objects
# of the library's variants.
.NOTPARALLEL:

all: $(SUBDIRS)

# Everything below the top is built by tools/build/rules.mk from a list of
# variables in each directory's Makefile.
$(SUBDIRS): $(O)/config.mk
	@$(MAKE) -C $@ all

tools: lib bpf
service: lib
$(filter selftests/%,$(SUBDIRS)): lib tools service

# Probes: what this machine has, as make variables and as C macros.
$(O)/config.mk: tools/build/configure | deps
	@mkdir -p $(O)
	@tools/build/configure $(O)

# Packages are looked for once in each make: installs only what is missing, or names it.
deps:
	@tools/build/deps build

check: all
	@tools/build/deps check
	@$(MAKE) -C selftests/model
	@selftests/run check

test: all mariadb
	@tools/build/deps check test vm service demo
	@$(MAKE) -C selftests/model
	@$(MAKE) -C selftests/vm all
	@selftests/run check root vm debug

# Not in `all`: MariaDB's headers are needed, and its packages for the tests.
mariadb: lib tools
	@tools/build/deps mariadb
	@$(MAKE) -C service/mariadb
	@$(MAKE) -C selftests/mariadb

demo: lib tools $(if $(filter mariadb,$(DB)),mariadb,service)
	@tools/build/deps demo $(if $(filter 1,$(VM)),vm) $(if $(FLEET),fleet)
	@$(if $(FLEET),FLEET=$(FLEET) tools/demo_fleet.py,DB=$(or $(DB),batondb) tools/demo)

# The corpus and the finds stay in $(O)/fuzz. FUZZ="config scram": these alone.
fuzz: lib service
	@tools/build/deps test service
	@selftests/fuzz/fuzz.sh $(or $(FUZZ_SECONDS),600) $(FUZZ)

# These have rows of MariaDB's, too.
bench bench-service bench-mariadb: mariadb

bench: all
	@tools/build/deps bench vm service
	@tools/bench

bench-%: all
	@tools/build/deps bench vm
	@tools/bench $*

vm:
	@tools/build/deps vm
	@tools/vm/shell

vm-arm64:
	@tools/vm/arm64

vm-storm: all
	@tools/build/deps vm
	@selftests/vm/storm.sh

kernel:
	@tools/build/deps vm
	@tools/vm/kernel plain
	@tools/vm/kernel debug

deb:
	@tools/build/deps build deb
	@tools/build/deb

# RELEASE=bookworm or trixie: not this machine's.
check-deb:
	@tools/build/check-deb $(RELEASE)

install uninstall: lib tools
	@$(MAKE) -C lib $@
	@$(MAKE) -C tools $@

# These go to the same PREFIX as the library; the plugin itself where the server looks for it.
install-service uninstall-service: service
	@$(MAKE) -C service/batondb $(@:-service=)

install-mariadb uninstall-mariadb: mariadb
	@$(MAKE) -C service/mariadb $(@:-mariadb=)

clean distclean:
	rm -rf $(O)

help:
	@sed -n '3,/^$$/s/^# \{0,1\}//p' Makefile
