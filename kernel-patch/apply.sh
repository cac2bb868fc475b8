#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# apply.sh [TREE]: apply the series for its base to an unpacked kernel tree
# (default: the current directory), all of it or nothing. A base is a folder
# here, named as the first two numbers of its kernel's version.
#
# Exit status: 0 applied; 1 does not apply, nothing changed; 2 TREE is not a
# kernel tree, of no base, or a patch is missing; 3 the tree has the series already.
set -euo pipefail
case ${1:-} in
-h | --help) sed -n '4,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
tree=${1:-.}

die() {
	echo "apply.sh: $*" >&2
	exit 2
}
[ $# -le 1 ] || die "usage: apply.sh [TREE]"
if [ ! -f "$tree/Kbuild" ] || [ ! -f "$tree/Makefile" ]; then
	die "'$tree' is not an unpacked kernel tree"
fi
this=$(sed -n '1,6s/^\(VERSION\|PATCHLEVEL\|SUBLEVEL\) = *//p' "$tree/Makefile" | paste -sd.)
base=$(cut -d. -f 1,2 <<<"$this")
if [ ! -f "$here/$base/series" ]; then
	die "no series for Linux $this; there is one for $(cd "$here" && printf '%s\n' */series | sed 's,/series,,' | paste -sd' ')"
fi
here=$here/$base
made_for=$(sed -n 's/^version //p' "$here/BASE")

patches=()
while read -r p; do
	[ -n "$p" ] || continue
	[ -f "$here/$p" ] || die "series names $p, which is not here"
	patches+=("$p")
done < <(sed 's/#.*//' "$here/series")
if [ ${#patches[@]} -eq 0 ]; then
	echo "apply.sh: the series is empty: nothing to do"
	exit 0
fi

# Later patches build on earlier ones, so a dry run of each alone says nothing:
# the series is applied to copies of the files it touches, which replace the
# tree's own only once the last hunk is in.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed -n 's,^diff --git a/\(.*\) b/\(.*\)$,\1\n\2,p' "${patches[@]/#/$here/}" | sort -u >"$work/files"
mkdir "$work/tree"
copy() {
	local f
	rm -rf "$work/tree" && mkdir "$work/tree"
	while IFS= read -r f; do
		[ -f "$tree/$f" ] || continue
		mkdir -p "$work/tree/$(dirname "$f")"
		cp -p "$tree/$f" "$work/tree/$f"
	done <"$work/files"
}
# No fuzz: a hunk may have moved, but it must find its own surroundings.
try() {
	patch -d "$work/tree" -p1 --fuzz=0 --force --no-backup-if-mismatch -r - "$@" >"$work/out" 2>&1
}

copy
for p in "${patches[@]}"; do
	try -i "$here/$p" && continue
	cp "$work/out" "$work/why"
	# Taken off from the last to the first: is it all there already?
	copy
	for ((i = ${#patches[@]} - 1; i >= 0; i--)); do
		try -R -i "$here/${patches[i]}" || break
	done
	if [ "$i" -lt 0 ]; then
		echo "apply.sh: $tree has the series already" >&2
		exit 3
	fi
	{
		echo "apply.sh: $p does not apply; nothing was changed. What fails:"
		grep -E "^patching file|FAILED|can't find|malformed|already exists|ignored" "$work/why" |
			grep -B 1 -vE '^patching file' | grep -v '^--$' | sed 's/^/  /' || sed 's/^/  /' "$work/why"
		echo "apply.sh: the series was made for Linux $made_for, this tree is $this"
	} >&2
	exit 1
done

# Through a new file each time: the tree may share its files by hard links.
while IFS= read -r f; do
	if [ -f "$work/tree/$f" ]; then
		mkdir -p "$tree/$(dirname "$f")"
		cp -p "$work/tree/$f" "$tree/$f.baton-new"
		mv -f "$tree/$f.baton-new" "$tree/$f"
	else
		rm -f "$tree/$f"
	fi
done <"$work/files"
echo "apply.sh: ${#patches[@]} patches applied to Linux $this (made for $made_for)"
