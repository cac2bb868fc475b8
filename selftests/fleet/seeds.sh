#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# seeds.sh [SMALL [MEDIUM [LARGE [FIRST]]]] - a simulated fleet with many seeds, as many at once as there are CPUs: SMALL of each scenario (2 to 4 nodes),
# MEDIUM of 30 nodes with 100 tenants, LARGE of 100 nodes with 1,000 tenants. Seeds of MEDIUM and LARGE begin with FIRST (1). Lines of what was played, and what was
# found; the exit status is 1 where anything was.
#
# seeds.sh huge N [FIRST] - N of 1,000 nodes with 10,000 tenants, each of which has load for a tenth of the time. An end by a signal says what was played until then.
#
# JOBS: how many at once.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
sim=${O:-$top/build}/selftests/fleet/sim
if [ "${1:-}" = huge ]; then
	small=0 medium=0 large=0 huge=$2 first=${3:-1}
else
	small=${1:-2000} medium=${2:-1000} large=${3:-8} huge=0 first=${4:-1}
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
trap : INT TERM

# A line for each part: a name, and the arguments of sim. Parts of many seeds are cut into runs of a moderate length.
parts() {
	local i
	[ "$small" -eq 0 ] || echo "small -f $small"
	for ((i = 0; i < medium; i += 100)); do
		echo "medium -n 30 100 45 $(seq -s ' ' $((first + i)) $((first + (i + 100 < medium ? i + 100 : medium) - 1)))"
	done
	for ((i = 0; i < large; i++)); do
		echo "large -n 100 1000 45 $((first + i))"
	done
	for ((i = 0; i < huge; i++)); do
		echo "huge -l 1000 10000 45 $((first + i))"
	done
}

began=$SECONDS
# A seed has hundreds of MB in many small pieces.
export sim out GLIBC_TUNABLES=${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1}
parts | xargs -P "${JOBS:-$(nproc)}" -d '\n' -I LINE bash -c '
	read -r name args <<<"LINE"
	"$sim" $args >"$out/$name.$$" 2>&1
	case $? in
	0 | 130 | 143) ;;
	*) echo "$name $args" >>"$out/failed" && grep -v "^# node" "$out/$name.$$" ;;
	esac'
for name in small medium large huge; do
	cat "$out/$name".* 2>/dev/null | awk -v name=$name '/^# [0-9]+ seeds/ {
		seeds += $2; seconds += $4; nodes += $8; uses += $11; fences += $17 }
		END { if (seeds) printf "%s: %d seeds, %d s of fleets, %d of nodes; %.0f uses, each within its second; %d fences\n", name, seeds, seconds, nodes, uses, fences }'
done
echo "$((SECONDS - began)) s"
[ ! -e "$out/failed" ]
