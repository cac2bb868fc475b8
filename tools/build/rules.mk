# SPDX-License-Identifier: GPL-2.0-or-later
#
# The rules that every directory shares. A directory's Makefile sets some of
# the variables below and includes this file as its last line.
#
#   PROGS        programs; each NAME is linked from NAME.c and NAME_SRCS
#   TESTS_CHECK  tests that need no root and no VM (`make check`)
#   TESTS_ROOT   tests on the running kernel that may use root
#   TESTS_VM     tests run in the patched kernel in QEMU
#   TESTS_DEBUG  tests run in the patched debug kernel (lockdep, KASAN)
#                A name may be in several lists. NAME is a program (NAME.c) or
#                a script (NAME.sh, NAME.py).
#   TIMEOUT_NAME seconds for that test (default: the runner's)
#   DATA         files that scripts need beside them
#   VARIANTS_NAME  extra builds of test NAME, from the list below; the test
#                NAME-VARIANT may then be listed like any other
#                  tsan    -fsanitize=thread, library sources included
#                  asan    -fsanitize=address,undefined, likewise
#                  inject  -DBTN_INJECT, library sources included
#                  tsan-inject  both
#   NAME_SRCS NAME_CFLAGS NAME_LDLIBS   per program or test
#
# Sources elsewhere are named from the top of the tree, as lib/src/park.c.

# Now: the last makefile is another one after the next include.
ifndef TOP
TOP := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))/../..)
endif
O   ?= $(TOP)/build
export TOP O
include $(O)/config.mk

DIR := $(patsubst $(TOP)/%,%,$(CURDIR))
OD  := $(O)/$(DIR)
V   ?=
Q   := $(if $(V),,@)
say  = $(if $(V),@:,@printf '  %-7s %s\n' '$(1)' '$(patsubst $(O)/%,%,$(2))')

CFLAGS   ?= -O2 -g
override CFLAGS += -std=gnu11 -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes \
	-Wno-unused-parameter -fno-omit-frame-pointer -pthread
CXXFLAGS ?= -O2 -g
override CXXFLAGS += -Wall -Wextra -Wno-unused-parameter -pthread
override CPPFLAGS += -D_GNU_SOURCE -I$(TOP)/lib/include -I$(O) -I$(TOP)/selftests

# Hardening, for all that is built without a sanitizer, which looks closer. HARDEN_CC= HARDEN_LD= leave it out.
FORTIFY   := $(if $(and $(HARDEN_CC),$(filter-out -O0,$(filter -O%,$(CFLAGS)))),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
harden     = $(if $(findstring san,$(1)),,$(HARDEN_CC) $(FORTIFY))

LIBBATON := $(O)/lib/libbaton.a
LIBSRCS  := $(patsubst $(TOP)/%,%,$(wildcard $(TOP)/lib/src/*.c $(TOP)/lib/src/*/*.c))

FLAGS_tsan        := -fsanitize=thread -DBTN_TSAN
FLAGS_asan        := -fsanitize=address,undefined -fno-sanitize-recover=undefined
FLAGS_inject      := -DBTN_INJECT
FLAGS_tsan-inject := -fsanitize=thread -DBTN_TSAN -DBTN_INJECT
VARIANTS          := tsan-inject tsan asan inject

TESTS := $(sort $(TESTS_CHECK) $(TESTS_ROOT) $(TESTS_VM) $(TESTS_DEBUG))
LISTS := $(addprefix $(OD)/list.,check root vm debug)

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all
all: $(addprefix $(OD)/,$(PROGS) $(TESTS) $(DATA)) $(LISTS) $(ALL)

# Objects: plain ones live at $(O)/PATH.o, those of a variant at
# $(O)/VARIANT/PATH.o, so library sources are built once per variant.
obj = $(patsubst %,$(O)/$(if $(2),$(2)/)%.o,$(basename $(1)))

define variant_rules
$(O)/$(1)$(if $(1),/)%.o: $(TOP)/%.c $(O)/config.mk
	$$(call say,CC,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CPPFLAGS) $$(CFLAGS) $$(call harden,$(1)) $$(FLAGS_$(1)) $$(OBJ_CFLAGS) -MMD -MP -MT $$@ -c -o $$@ $$<
$(O)/$(1)$(if $(1),/)%.o: $(TOP)/%.cc $(O)/config.mk
	$$(call say,CXX,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CXX) $$(CPPFLAGS) $$(CXXFLAGS) $$(call harden,$(1)) $$(FLAGS_$(1)) $$(OBJ_CFLAGS) -MMD -MP -MT $$@ -c -o $$@ $$<
endef
$(foreach v,$(VARIANTS),$(eval $(call variant_rules,$(v))))
$(eval $(call variant_rules,))

# program(NAME, VARIANT): NAME or NAME-VARIANT, from NAME.c and NAME_SRCS.
# A variant links the library's sources built the same way.
define program_rules
$(1)$(if $(2),-$(2))_OBJS := $$(call obj,$(if $(wildcard $(1).cc),$(DIR)/$(1).cc,$(DIR)/$(1).c) $$($(1)_SRCS) $(if $(2),$(LIBSRCS)),$(2))
$$($(1)$(if $(2),-$(2))_OBJS): OBJ_CFLAGS += $$(if $$(findstring lib/src/,$$@),,$$($(1)_CFLAGS))
$(OD)/$(1)$(if $(2),-$(2)): $$($(1)$(if $(2),-$(2))_OBJS) $(if $(2),,$(LIBBATON))
	$$(call say,LD,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$(if $(wildcard $(1).cc),$$(CXX),$$(CC)) $$(CFLAGS) $$(HARDEN_LD) $$(FLAGS_$(2)) $$($(1)_LDFLAGS) -o $$@ $$($(1)$(if $(2),-$(2))_OBJS) $(if $(2),,$(LIBBATON)) $$($(1)_LDLIBS) $$(LIB_LDLIBS)
-include $$($(1)$(if $(2),-$(2))_OBJS:.o=.d)
endef

C_NAMES := $(foreach n,$(PROGS) $(TESTS),$(if $(wildcard $(n).c $(n).cc),$(n)))
$(foreach n,$(sort $(C_NAMES) $(foreach v,$(VARIANTS),$(patsubst %-$(v),%,$(filter %-$(v),$(TESTS))))),\
  $(if $(wildcard $(n).c $(n).cc),\
    $(eval $(call program_rules,$(n),))\
    $(foreach v,$(VARIANTS_$(n)),$(eval $(call program_rules,$(n),$(v))))))

$(OD)/%: %.sh
	$(Q)mkdir -p $(@D) && cp $< $@ && chmod 755 $@
$(OD)/%: %.py
	$(Q)mkdir -p $(@D) && cp $< $@ && chmod 755 $@
$(addprefix $(OD)/,$(DATA)): $(OD)/%: %
	$(Q)mkdir -p $(@D) && cp -a $< $@

# list.GROUP: one line a test, "PATH TIMEOUT" (0: the runner's default), and "single"
# (of SINGLE: it uses one CPU only), "beside" (of BESIDE: one CPU at most and no clock, so that it
# can run beside another one) or "clock" (of CLOCK: a busy machine may make it fail).
$(LISTS): Makefile
	$(Q)mkdir -p $(@D)
	$(Q)printf '%s\n' $(foreach t,$(TESTS_$(shell echo $(patsubst .%,%,$(suffix $@)) | tr a-z A-Z)),'$(OD)/$(t) $(or $(TIMEOUT_$(t)),0)$(if $(filter $(t),$(SINGLE)), single)$(if $(filter $(t),$(BESIDE)), beside)$(if $(filter $(t),$(CLOCK)), clock)') | sed '/^$$/d' >$@
