#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tools/vm/kernel on a tree that only pretends to be a kernel: the cache, its
# keys, and what an interrupted build leaves.
set -u
. "$TOP/selftests/tap.sh"
w=$tap_dir
unset BATON_KERNEL
export BATON_CACHE=$w/cache LINUX_TARBALL=$w/linux.tar.xz MAKELOG=$w/made
# The tools under test, with fragments that a test may change.
mkdir -p "$w/top/tools" "$w/top/kernel-patch/6.12" "$w/src/init"
cp -r "$TOP/tools/vm" "$w/top/tools/"
cp "$TOP/Kconfig.snippet" "$w/top/"
: >"$w/top/kernel-patch/6.12/series"
kernel() { "$w/top/tools/vm/kernel" "$@"; }
image() { kernel "$@" | tail -n 1; }
made() { grep -c vmlinux "$MAKELOG"; }

# The tree's make takes every option but those in the file `refuses`.
cat >"$w/src/Makefile" <<'MAKE'
allnoconfig olddefconfig:
	sed 's/^\(.*\)=n$$/# \1 is not set/' $(KCONFIG_ALLCONFIG) | grep -vxFf refuses >$(O)/.config
vmlinux:
	echo vmlinux >>$(MAKELOG)
	echo $(O) >>$(MAKELOG).path
	for i in $$(seq 200); do [ ! -e $(MAKELOG).wait ] || sleep 0.1; done
	echo finished >>$(MAKELOG)
	cp /bin/true $(O)/vmlinux
	mkdir -p $(O)/kernel/sched && cp /bin/true $(O)/kernel/sched/core.o
	echo >$(O)/System.map
MAKE
touch "$w/src/Kbuild"
echo 'CONFIG_FUTEX_SWAP=y' >"$w/src/refuses"
mkdir -p "$w/src/kernel" "$w/src/lib" "$w/src/arch/x86"
echo one >"$w/src/file"
tar -C "$w" -cf "$LINUX_TARBALL" src
printf -- '--- a/file\n+++ b/file\n@@ -1 +1 @@\n-one\n+two\n' >"$w/a.patch"
sed 's/two/three/' "$w/a.patch" >"$w/b.patch"

builds_once() {
	local i
	: >"$MAKELOG"
	i=$(image unpatched) || exit 1
	expect [ -f "$i" ]
	expect [ -f "${i%/*}/config" ]
	expect [ "$(cat "${i%/*}/sched-text")" -gt 0 ]
	expect [ "$(image unpatched)" = "$i" ]
	expect [ "$(made)" -eq 1 ]
}
# The kinds of preemption are one choice of Kconfig's: of two that are wanted, one is not taken.
one_preemption() {
	mkdir -p "$w/top/kernel-patch/7.3"
	: >"$w/top/kernel-patch/7.3/series"
	for base in 6.12 7.3; do
		for kind in plain debug trace kcsan; do
			i=$(BATON_KERNEL=$base image $kind) || exit 1
			grep -E '^CONFIG_PREEMPT(_NONE|_VOLUNTARY|_LAZY)?=y' "${i%/*}/config" >"$w/preemption"
			expect [ "$base $kind $(wc -l <"$w/preemption")" = "$base $kind 1" ]
		done
	done
	rm -rf "$BATON_CACHE/kernel" "$w/top/kernel-patch/7.3"
}
# ccache tells objects apart by the path they are built in.
builds_a_kind_at_one_path() {
	rm -f "$MAKELOG.path"
	image naive "$w/a.patch" >"$w/one"
	image naive "$w/b.patch" >"$w/two"
	expect [ "$(cat "$w/one")" != "$(cat "$w/two")" ]
	expect [ "$(wc -l <"$MAKELOG.path")" -eq 2 ]
	expect [ "$(sort -u "$MAKELOG.path" | wc -l)" -eq 1 ]
	rm -rf "$BATON_CACHE/kernel"
}
tells_kernels_apart() {
	local a
	a=$(kernel --key naive "$w/a.patch")
	expect [ "$a" != "$(kernel --key naive "$w/b.patch")" ]
	expect [ "$(kernel --key plain)" != "$(kernel --key debug)" ]
	echo '# only a comment' >>"$w/top/tools/vm/vm.config"
	expect [ "$a" = "$(kernel --key naive "$w/a.patch")" ]
	echo 'CONFIG_ANYTHING=y' >>"$w/top/tools/vm/vm.config"
	expect [ "$a" != "$(kernel --key naive "$w/a.patch")" ]
}
has_bases_side_by_side() {
	local a
	a=$(kernel --key plain)
	expect_rc 1 env BATON_KERNEL=6.13 "$w/top/tools/vm/kernel" --key plain
	expect_says 'no series for Linux 6.13'
	mkdir "$w/top/kernel-patch/6.13" && : >"$w/top/kernel-patch/6.13/series"
	expect [ "$(BATON_KERNEL=6.13 kernel --key plain)" = "$a" ]
	# A fragment of that base's own, and patches of its own.
	echo 'CONFIG_OF_6_13=y' >"$w/top/tools/vm/vm-6.13.config"
	expect [ "$(BATON_KERNEL=6.13 kernel --key plain)" != "$a" ]
	rm "$w/top/tools/vm/vm-6.13.config"
	cp "$w/a.patch" "$w/top/kernel-patch/6.13/" && echo a.patch >"$w/top/kernel-patch/6.13/series"
	expect [ "$(BATON_KERNEL=6.13 kernel --key plain)" != "$a" ]
	expect [ "$(kernel --key plain)" = "$a" ]
}
finds_the_source() {
	expect [ "$("$w/top/tools/vm/source" 6.13)" = "$LINUX_TARBALL" ]
	expect_rc 1 env LINUX_TARBALL= "$w/top/tools/vm/source" 0.1
	expect_says 'no linux-source-0.1'
	mkdir -p "$BATON_CACHE/source" && : >"$BATON_CACHE/source/linux-source-0.1.tar.xz"
	expect [ "$(LINUX_TARBALL='' "$w/top/tools/vm/source" 0.1)" = "$BATON_CACHE/source/linux-source-0.1.tar.xz" ]
	expect_rc 2 "$w/top/tools/vm/source" newest
}
names_an_option_that_does_not_take() {
	mkdir "$w/tree" && cp -r "$w/src/." "$w/tree"
	echo CONFIG_SMP=y >>"$w/tree/refuses"
	expect_rc 1 kernel --tree "$w/tree" plain
	expect_says 'did not take: CONFIG_SMP=y \('
	# An option that belongs to the series may be unknown, but not known and refused.
	echo 'CONFIG_FUTEX_SWAP=y' >"$w/tree/refuses"
	expect_rc 0 kernel --tree "$w/tree" plain
	echo 'config FUTEX_SWAP' >"$w/tree/init/Kconfig"
	rm -r "$BATON_CACHE"/tree-*
	expect_rc 1 kernel --tree "$w/tree" plain
	expect_says 'did not take: CONFIG_FUTEX_SWAP=y \('
}
refuses_a_patch_that_does_not_apply() {
	sed 's/one/nothing like it/' "$w/a.patch" >"$w/c.patch"
	expect_rc 1 kernel naive "$w/c.patch"
	expect [ -z "$(ls -d "$BATON_CACHE"/work.* 2>/dev/null)" ]
}
leaves_nothing_when_interrupted() {
	local pid rc=0
	: >"$MAKELOG" && touch "$MAKELOG.wait"
	env --default-signal=INT "$w/top/tools/vm/kernel" naive "$w/a.patch" 2>"$w/err" &
	pid=$!
	until [ -s "$MAKELOG" ]; do sleep 0.1; done
	kill -INT $pid
	wait $pid || rc=$?
	rm "$MAKELOG.wait"
	expect [ $rc -eq 130 ]
	expect [ -z "$(ls -d "$BATON_CACHE"/work.* "$BATON_CACHE"/kernel/naive-* 2>/dev/null)" ]
	expect [ "$(tail -n 1 "$MAKELOG")" = vmlinux ]
}
# SIGKILL to the build and all that it started, as at the end of a machine's memory: no trap runs. The next call, which
# finds its kernel in the cache and is of another kind, takes the folder away; but not that of a build that goes on.
takes_away_what_a_killed_build_left() {
	local session left
	image unpatched >"$w/one"
	: >"$MAKELOG" && touch "$MAKELOG.wait"
	setsid "$w/top/tools/vm/kernel" naive "$w/a.patch" 2>"$w/err" &
	until [ -s "$MAKELOG" ]; do sleep 0.1; done
	image unpatched >"$w/two"
	expect [ -d "$BATON_CACHE/work.naive" ]
	session=$!
	# The build's make is in a process group of its own, but in the session; and what is killed may have started another just before.
	while left=$(ps -o pid=,stat= -s $session | awk '$2 !~ /^Z/ { print $1 }') && [ -n "$left" ]; do
		# shellcheck disable=SC2086
		kill -KILL $left 2>/dev/null
		sleep 0.1
	done
	wait
	rm "$MAKELOG.wait"
	expect [ -d "$BATON_CACHE/work.naive" ]
	image unpatched >"$w/two"
	expect cmp "$w/one" "$w/two"
	expect [ -z "$(ls -d "$BATON_CACHE"/work.* 2>/dev/null)" ]
}
two_build_it_once() {
	local pid
	: >"$MAKELOG" && touch "$MAKELOG.wait"
	image naive "$w/b.patch" >"$w/one" 2>"$w/err1" &
	pid=$!
	until [ -s "$MAKELOG" ]; do sleep 0.1; done
	image naive "$w/b.patch" >"$w/two" 2>"$w/err2" &
	until grep -q waiting "$w/err2" || [ "$(made)" -gt 1 ]; do sleep 0.1; done
	rm "$MAKELOG.wait"
	wait
	expect [ -f "$(cat "$w/one")" ]
	expect cmp "$w/one" "$w/two"
	expect [ "$(made)" -eq 1 ]
}
bounds_the_cache() {
	local i
	for i in $(seq 20); do
		mkdir -p "$BATON_CACHE/kernel/plain-$i" && touch -d "-$i days" "$BATON_CACHE/kernel/plain-$i"
	done
	image naive "$w/a.patch" >"$w/one"
	expect [ -f "$(cat "$w/one")" ]
	expect [ "$(ls "$BATON_CACHE/kernel" | wc -l)" -eq 8 ]
	expect [ ! -e "$BATON_CACHE/kernel/plain-20" ]
}

for t in builds_once one_preemption builds_a_kind_at_one_path tells_kernels_apart has_bases_side_by_side finds_the_source names_an_option_that_does_not_take refuses_a_patch_that_does_not_apply \
	leaves_nothing_when_interrupted takes_away_what_a_killed_build_left two_build_it_once bounds_the_cache; do
	check "$t" "$t"
done
finish
