#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# apply.sh and update.sh on a tiny tree: all or nothing, and a round trip.
set -u
. "$TOP/selftests/tap.sh"
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=c GIT_COMMITTER_EMAIL=c@example.org
export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
w=$tap_dir
src=$w/linux
kp=$w/kernel-patch

# A kernel tree with a git history: base, then two commits on the same lines.
make_tree() {
	mkdir -p "$src/kernel" "$src/scripts" && cd "$src" || exit 1
	printf 'VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 99\n' >Makefile
	echo >Kbuild
	seq 1 40 >kernel/futex.c
	echo gone >kernel/old.c
	printf 'open F, $ARGV[-1]; while (<F>) { if (/UGLY/) { print "ugly line\\n"; exit 1 } }\n' >scripts/checkpatch.pl
	git init -q -b master . && git add -A && git commit -qm base && git tag base
	sed -i 's/^20$/twenty/' kernel/futex.c && git commit -qam 'futex: spell 20'
	sed -i 's/^twenty$/TWENTY/; s/^30$/thirty/' kernel/futex.c
	echo new >kernel/swap.c && git rm -q kernel/old.c && git add -A && git commit -qm 'futex: louder'
}
make_tree >/dev/null
mkdir -p "$kp/6.12" && cp "$TOP"/kernel-patch/*.sh "$kp/"
printf 'The subject\n\nThe text of the letter.\n' >"$kp/6.12/cover"
sum() { (cd "$1" && find . -name .git -prune -o -type f -print | sort | xargs md5sum); }
# unchanged DIR: since its sum was put in before.
unchanged() {
	sum "$1" >"$w/after"
	expect diff "$w/before" "$w/after"
}
# fresh DIR: the base, unpacked.
fresh() { rm -rf "$1" && mkdir "$1" && git -C "$src" archive base | tar -x -C "$1"; }

writes_the_series() {
	touch "$kp/6.12/0003-left-over.patch"
	expect_rc 0 "$kp/update.sh" "$src"
	expect [ "$(cd "$kp/6.12" && ls [0-9]*)" = "$(printf '%s\n' 0000-cover-letter.patch 0001-futex-spell-20.patch 0002-futex-louder.patch)" ]
	expect [ "$(cat "$kp/6.12/series")" = "$(printf '%s\n' 0001-futex-spell-20.patch 0002-futex-louder.patch)" ]
	expect grep -qx 'version 6.12.99' "$kp/6.12/BASE"
	expect grep -qx 'Subject: \[PATCH 0/2\] The subject' "$kp/6.12/0000-cover-letter.patch"
	expect grep -qx 'The text of the letter.' "$kp/6.12/0000-cover-letter.patch"
}
# A second series in the same tree has a letter of its own, about its patches alone.
two_letters() {
	printf 'The second\n\nIts text & no more.\n' >"$kp/6.12/cover.2"
	expect_rc 0 "$kp/update.sh" "$src"
	expect grep -qx 'Subject: \[PATCH 0/1\] The subject' "$kp/6.12/0000-cover-letter.patch"
	expect grep -qx 'The text of the letter.' "$kp/6.12/0000-cover-letter.patch"
	expect grep -qx '  futex: spell 20' "$kp/6.12/0000-cover-letter.patch"
	expect grep -qx 'Subject: \[PATCH 0/1\] The second' "$kp/6.12/0000-cover-letter-2.patch"
	expect grep -qx 'Its text & no more.' "$kp/6.12/0000-cover-letter-2.patch"
	expect grep -qx '  futex: louder' "$kp/6.12/0000-cover-letter-2.patch"
	expect [ "$(cat "$kp/6.12/series")" = "$(printf '%s\n' 0001-futex-spell-20.patch 0002-futex-louder.patch)" ]
	rm "$kp/6.12/cover.2"
	expect_rc 0 "$kp/update.sh" "$src"
	expect [ ! -e "$kp/6.12/0000-cover-letter-2.patch" ]
}
writes_the_same_twice() {
	sum "$kp" >"$w/before"
	# The same commit made again, by someone else, later: its hash differs.
	export GIT_COMMITTER_NAME=other GIT_COMMITTER_DATE='2021-01-01T00:00:00Z'
	git -C "$src" commit -q --amend --no-edit
	expect_rc 0 "$kp/update.sh" "$src"
	unchanged "$kp"
}
round_trip() {
	fresh "$w/t"
	expect_rc 0 "$kp/apply.sh" "$w/t"
	git -C "$src" archive HEAD | { rm -rf "$w/head" && mkdir "$w/head" && tar -x -C "$w/head"; }
	expect diff -r "$w/head" "$w/t"
}
knows_an_applied_tree() {
	fresh "$w/t"
	expect_rc 0 "$kp/apply.sh" "$w/t"
	sum "$w/t" >"$w/before"
	expect_rc 3 "$kp/apply.sh" "$w/t"
	unchanged "$w/t"
}
all_or_nothing() {
	fresh "$w/t"
	sed -i 's/^31$/changed by someone/; s/^SUBLEVEL.*/SUBLEVEL = 101/' "$w/t/kernel/futex.c" "$w/t/Makefile"
	sum "$w/t" >"$w/before"
	expect_rc 1 "$kp/apply.sh" "$w/t"
	unchanged "$w/t"
	expect_says '0002-futex-louder.patch does not apply'
	expect_says 'patching file kernel/futex.c'
	expect_says 'Hunk #2 FAILED'
	expect_says 'made for Linux 6.12.99, this tree is 6.12.101'
}
follows_moved_lines() {
	fresh "$w/t"
	sed -i '1i one line more' "$w/t/kernel/futex.c"
	expect_rc 0 "$kp/apply.sh" "$w/t"
	expect grep -qx TWENTY "$w/t/kernel/futex.c"
}
leaves_hard_links_alone() {
	fresh "$w/t"
	rm -rf "$w/links" && cp -al "$w/t" "$w/links"
	sum "$w/t" >"$w/before"
	expect_rc 0 "$kp/apply.sh" "$w/links"
	unchanged "$w/t"
}
wants_a_kernel_tree() {
	mkdir -p "$w/empty"
	expect_rc 2 "$kp/apply.sh" "$w/empty"
	expect_says 'not an unpacked kernel tree'
}
wants_a_base() {
	fresh "$w/t"
	sed -i 's/^PATCHLEVEL.*/PATCHLEVEL = 13/' "$w/t/Makefile"
	sum "$w/t" >"$w/before"
	expect_rc 2 "$kp/apply.sh" "$w/t"
	unchanged "$w/t"
	expect_says 'no series for Linux 6.13.99; there is one for 6.12'
}
has_bases_side_by_side() {
	local other=$w/other
	git clone -q "$src" "$other" 2>/dev/null
	git -C "$other" checkout -q --detach base
	sed -i 's/^PATCHLEVEL.*/PATCHLEVEL = 13/' "$other/Makefile"
	git -C "$other" commit -qam 'another base' && git -C "$other" tag -f base >/dev/null
	git -C "$other" checkout -q -b port
	echo port >"$other/kernel/port.c" && git -C "$other" add -A && git -C "$other" commit -qm 'futex: port'
	cp -r "$kp" "$w/kp3" && mkdir "$w/kp3/6.13" && cp "$kp/6.12/cover" "$w/kp3/6.13/"
	sum "$w/kp3/6.12" >"$w/before"
	expect_rc 0 "$w/kp3/update.sh" "$other"
	unchanged "$w/kp3/6.12"
	expect [ "$(cat "$w/kp3/6.13/series")" = 0001-futex-port.patch ]
	git -C "$other" checkout -q base
	expect_rc 0 "$w/kp3/apply.sh" "$other"
	expect grep -qx port "$other/kernel/port.c"
	fresh "$w/t"
	expect_rc 0 "$w/kp3/apply.sh" "$w/t"
	expect [ ! -e "$w/t/kernel/port.c" ]
}
wants_every_patch() {
	cp -r "$kp" "$w/kp2" && rm "$w/kp2/6.12/0002-futex-louder.patch"
	fresh "$w/t"
	expect_rc 2 "$w/kp2/apply.sh" "$w/t"
	expect_says '0002-futex-louder.patch, which is not here'
}
# refuses PATTERN: update.sh changes nothing and says why.
refuses() {
	sum "$kp" >"$w/before"
	expect_rc 1 "$kp/update.sh" "$src"
	expect_says "$1"
	unchanged "$kp"
}
refuses_a_dirty_tree() {
	echo >>"$src/Kbuild"
	refuses 'uncommitted'
}
refuses_bad_style() {
	git -C "$src" checkout -q Kbuild
	echo UGLY >"$src/kernel/ugly.c" && git -C "$src" add -A && git -C "$src" commit -qm 'futex: ugly'
	refuses '0003-futex-ugly.patch is not clean'
}
takes_the_branch_description() {
	git -C "$src" reset -q --hard HEAD~1
	rm "$kp/6.12/cover"
	refuses 'no cover letter'
	git -C "$src" config branch.master.description "$(printf 'Other subject\n\nother text')"
	expect_rc 0 "$kp/update.sh" "$src"
	expect grep -qx 'Subject: \[PATCH 0/2\] Other subject' "$kp/6.12/0000-cover-letter.patch"
}

for t in writes_the_series two_letters writes_the_same_twice round_trip knows_an_applied_tree all_or_nothing \
	follows_moved_lines leaves_hard_links_alone wants_a_kernel_tree wants_a_base has_bases_side_by_side wants_every_patch \
	refuses_a_dirty_tree refuses_bad_style takes_the_branch_description; do
	check "$t" "$t"
done
finish
