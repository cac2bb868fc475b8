#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# update.sh [--no-check] TREE: regenerate the series from the git tree TREE, in
# which the tag `base` is Debian's source as unpacked and each commit after it
# up to HEAD is one patch. The patches are never edited by hand. They go to the
# folder of that base, whose name is the first two numbers of its version.
#
# The cover letter's subject and text are those of the file `cover` there (first
# line, empty line, text) or else of TREE's branch description. A file `cover.N` there is
# the letter for the patches from the Nth on, which are a series of their own, and the
# letters before it are for those before: 0000-cover-letter-N.patch. Nothing is replaced
# unless everything is in order: TREE has no uncommitted change, each patch is
# clean by TREE's own scripts/checkpatch.pl --strict, and the patches applied
# to `base` give exactly HEAD.
#
# Exit status: 0 done; 1 not in order, nothing changed; 2 usage.
set -euo pipefail
case ${1:-} in
-h | --help) sed -n '4,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
check=y
if [ "${1:-}" = --no-check ]; then
	check=
	shift
fi
if [ $# -ne 1 ]; then
	echo "usage: update.sh [--no-check] TREE" >&2
	exit 2
fi
die() {
	echo "update.sh: $*; nothing was changed" >&2
	exit 1
}
tree=$(cd "$1" && pwd) || exit 2
git() {
	command git -C "$tree" -c core.abbrev=12 "$@"
}
git rev-parse -q --verify 'base^{commit}' >/dev/null 2>&1 ||
	die "$1 is not a git tree with the tag 'base' on Debian's source"
git diff --quiet HEAD -- || die "$1 has uncommitted changes"
git merge-base --is-ancestor base HEAD || die "HEAD of $1 does not descend from 'base'"
n=$(git rev-list --count base..HEAD)
[ "$n" -gt 0 ] || die "$1 has no commit after 'base'"
[ -z "$(git rev-list --merges base..HEAD)" ] || die "$1 has merges after 'base'"

version=$(git show base:Makefile | sed -n '1,6s/^\(VERSION\|PATCHLEVEL\|SUBLEVEL\) = *//p' | paste -sd.)
base=$(cut -d. -f 1,2 <<<"$version")
here=$here/$base

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# --- write -------------------------------------------------------------------

branch=$(git symbolic-ref -q --short HEAD) || die "$1 is not on a branch"
cover=()
if [ -f "$here/cover" ]; then
	cover=(-c "branch.$branch.description=$(cat "$here/cover")")
elif ! git config --get "branch.$branch.description" >/dev/null; then
	die "no cover letter: write kernel-patch/$base/cover, or git branch --edit-description in $1"
fi
# The same commits, made again, give the same files: no git version, no hash of
# a commit, and the last commit's author and date on the cover.
GIT_COMMITTER_NAME=$(git log -1 --format=%an) GIT_COMMITTER_EMAIL=$(git log -1 --format=%ae) \
GIT_COMMITTER_DATE=$(git log -1 --format=%aD) \
git ${cover[@]+"${cover[@]}"} format-patch --quiet --output-directory "$work" --base=base \
	--cover-letter --cover-from-description=subject --no-signature --zero-commit \
	--no-renames base..HEAD
(cd "$work" && printf '%s\n' 0*.patch | grep -v '^0000-') >"$work/series"

# letter FIRST LAST TEXT FILE [ARG]...: the cover letter of these patches alone.
letter() {
	local first=$1 last=$2 text=$3 file=$4
	shift 4
	GIT_COMMITTER_NAME=$(git log -1 --format=%an) GIT_COMMITTER_EMAIL=$(git log -1 --format=%ae) \
	GIT_COMMITTER_DATE=$(git log -1 --format=%aD) \
	git format-patch --quiet --output-directory "$work/part" --cover-letter --no-signature \
		--zero-commit --no-renames "$@" "HEAD~$((n - first + 1))..HEAD~$((n - last))"
	awk -v text="$text" '
		BEGIN { getline subject < text }
		sub(/\*\*\* SUBJECT HERE \*\*\*/, "") { print $0 subject; next }
		/^\*\*\* BLURB HERE \*\*\*$/ {
			getline line < text
			while ((getline line < text) > 0)
				print line
			next
		}
		{ print }' "$work/part/0000-cover-letter.patch" >"$work/$file"
	rm -rf "$work/part"
}
mapfile -t firsts < <(cd "$here" && for f in cover.[1-9]*; do [ ! -f "$f" ] || echo "${f#cover.}"; done | sort -n)
if [ ${#firsts[@]} -gt 0 ]; then
	letter 1 $((firsts[0] - 1)) "$here/cover" 0000-cover-letter.patch --base=base
	for ((i = 0; i < ${#firsts[@]}; i++)); do
		letter "${firsts[i]}" $((${firsts[i + 1]:-$((n + 1))} - 1)) "$here/cover.${firsts[i]}" \
			"0000-cover-letter-${firsts[i]}.patch"
	done
fi

# --- check --------------------------------------------------------------------

export GIT_INDEX_FILE=$work/index
git read-tree base
while read -r p; do
	git apply --cached "$work/$p" || die "$p does not apply on the patches before it"
done <"$work/series"
[ "$(git write-tree)" = "$(git rev-parse 'HEAD^{tree}')" ] ||
	die "the patches do not give HEAD when applied to 'base'"
unset GIT_INDEX_FILE
if [ -n "$check" ]; then
	# New files are all under patterns that MAINTAINERS has already.
	while read -r p; do
		(cd "$tree" && perl scripts/checkpatch.pl --strict --quiet --no-summary \
			--ignore FILE_PATH_CHANGES "$work/$p") >"$work/check" 2>&1 || {
			cat "$work/check" >&2
			die "$p is not clean by checkpatch --strict"
		}
	done <"$work/series"
fi

# --- replace ------------------------------------------------------------------

package=linux-source-$base
debian=$(dpkg-query -W -f '${Package} ${Version}' "$package" 2>/dev/null) || debian="$package unknown"
case $debian in
*" $version"*) ;;
*) debian="$package $version" ;;
esac
printf 'version %s\ndebian %s\n' "$version" "$debian" >"$work/BASE"
mkdir -p "$here"
rm -f "$here"/[0-9][0-9][0-9][0-9]-*.patch
cp "$work"/[0-9][0-9][0-9][0-9]-*.patch "$work/series" "$work/BASE" "$here/"
echo "update.sh: $n patches for Linux $version"
