#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# configs.sh [OPTION]... [NAME]...: does the series compile in each configuration that
# it can be in, and does each of its patches by itself? Objects only, of the
# directories that it touches, with warnings as errors. TAP on stdout.
#
#   --list     the names, and stop
#   --base V   the series for this base (default: 6.12)
#   --keep     leave the trees and the objects where they are
#
# A name is COMPILER/CONFIGURATION, or patch/NUMBER; without one all are done. A
# pattern of the shell is a name, too: 'clang/*'.
#
# It needs the base's source (LINUX_TARBALL, or Debian's package), gcc, clang, and for
# arm64 gcc-aarch64-linux-gnu; what is not there is skipped, and said. Work is done
# in TMPDIR. CCACHE_DIR is used if there is a ccache.
#
# Exit status: 0 all compile; 1 one does not; 2 usage, or no source.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
base=6.12 list='' keep=

die() {
	echo "configs.sh: $*" >&2
	exit 2
}
while [ $# -gt 0 ]; do
	case $1 in
	--list) list=y ;;
	--keep) keep=y ;;
	--base) [ $# -gt 1 ] || die "--base needs a version"; base=$2; shift ;;
	-h | --help) sed -n '4,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;;
	-*) die "no option $1" ;;
	*) break ;;
	esac
	shift
done
[ -f "$here/$base/series" ] || die "no series for $base"
mapfile -t patches < <(sed 's/#.*//;/^$/d' "$here/$base/series")

# --- what is compiled ----------------------------------------------------------

# Each configuration is allnoconfig, what it says, and the test VM's options unless it
# begins with "only". The last word on an option counts.
declare -A configs=(
	[vm]=''
	[tiny]='only 64BIT=y EXPERT=y FUTEX=y FUTEX_SWAP=y'
	[tiny-off]='only 64BIT=y EXPERT=y FUTEX=y'
	[up]='SMP=n'
	[up-off]='SMP=n FUTEX_SWAP=n SCHED_BLOCK_HOOK=n'
	[rt]='PREEMPT_VOLUNTARY=n PREEMPT_DYNAMIC=n PREEMPT_RT=y SCHED_BLOCK_HOOK=n'
	[preempt]='PREEMPT_VOLUNTARY=n PREEMPT_DYNAMIC=n PREEMPT=y'
	[no-core]='SCHED_CORE=n'
	[no-groups]='FAIR_GROUP_SCHED=n CFS_BANDWIDTH=n'
	[no-bandwidth]='CFS_BANDWIDTH=n'
	[no-ext]='SCHED_CLASS_EXT=n'
	[no-stats]='SCHED_DEBUG=n SCHEDSTATS=n PSI=n UCLAMP_TASK=n UCLAMP_TASK_GROUP=n'
	[numa]='NUMA=y ACPI_NUMA=y X86_64_ACPI_NUMA=y MIGRATION=y NUMA_BALANCING=y'
	[swap-only]='SCHED_BLOCK_HOOK=n'
	[hook-only]='FUTEX_SWAP=n'
	[off]='FUTEX_SWAP=n SCHED_BLOCK_HOOK=n'
	[debug]='debug.config'
)
# Options of x86 have no meaning there.
arm64='only 64BIT=y EXPERT=y SMP=y FUTEX=y FUTEX_SWAP=y CGROUPS=y CGROUP_SCHED=y FAIR_GROUP_SCHED=y
	CFS_BANDWIDTH=y SCHED_SMT=y SCHED_CORE=y DEBUG_FS=y MODULES=y BPF_SYSCALL=y BPF_JIT=y DEBUG_KERNEL=y
	DEBUG_INFO_DWARF5=y DEBUG_INFO_BTF=y SCHED_BLOCK_HOOK=y PROC_FS=y SYSFS=y'

names=()
for cc in gcc clang; do
	for c in $(printf '%s\n' "${!configs[@]}" | sort); do names+=("$cc/$c"); done
done
names+=(arm64/vm)
for ((i = 1; i <= ${#patches[@]}; i++)); do names+=("patch/$i"); done

if [ $# -gt 0 ]; then
	chosen=()
	for pattern; do
		n=${#chosen[@]}
		for name in "${names[@]}"; do
			# shellcheck disable=SC2053
			[[ $name != $pattern ]] || chosen+=("$name")
		done
		[ ${#chosen[@]} -gt "$n" ] || die "no name '$pattern'; --list says which there are"
	done
	names=("${chosen[@]}")
fi
if [ -n "$list" ]; then
	printf '%s\n' "${names[@]}"
	exit
fi

# --- the trees -------------------------------------------------------------------

tarball=${LINUX_TARBALL:-/usr/src/linux-source-$base.tar.xz}
[ -r "$tarball" ] || die "no $tarball (Debian: apt-get install linux-source-$base)"
work=$(mktemp -d)
[ -n "$keep" ] || trap 'rm -rf "$work"' EXIT
[ -z "$keep" ] || echo "# $work"

mkdir "$work/tree"
tar -C "$work/tree" --strip-components=1 -xf "$tarball"
# The second tree shares its files with the first: apply.sh and patch replace, and do not write into.
whole() {
	[ ! -e "$work/whole" ] || return 0
	cp -al "$work/tree" "$work/whole.part"
	"$here/apply.sh" "$work/whole.part" >/dev/null
	mv "$work/whole.part" "$work/whole"
}

objects=(kernel/sched/ kernel/futex/ kernel/fork.o kernel/exit.o kernel/entry/ fs/exec.o)
failed=0 number=0
result() {
	number=$((number + 1))
	echo "$1 $number - $2"
}

# last_words: of the lines about an option the last one.
last_words() {
	sed '/^#/d;/^$/d' | awk -F= '{ v[$1] = $2 } END { for (o in v) print o "=" v[o] }' | sort
}

# compile TREE OBJ WORDS MAKEARG...: configured and compiled? What failed is said.
compile() {
	local tree=$1 obj=$2 words=$3 common='' line opt bad=''
	shift 3
	mkdir -p "$obj"
	if [ "${words%% *}" = only ]; then
		words=${words#only}
	else
		common=y
	fi
	# The options that the configuration is about have to take; the others as far as they then can.
	{
		[ -z "$common" ] || grep -A 1 '^# series:' "$top/Kconfig.snippet"
		for word in $words; do
			case $word in
			*.config) cat "$top/tools/vm/$word" ;;
			*) echo "CONFIG_$word" ;;
			esac
		done
		echo CONFIG_WERROR=y
	} | grep -v '^--' | last_words >"$obj/musts"
	{
		[ -z "$common" ] || cat "$top/Kconfig.snippet" "$top/tools/vm/vm.config"
		cat "$obj/musts"
	} | last_words >"$obj/wanted"
	nice make -s -C "$tree" O="$obj" "$@" KCONFIG_ALLCONFIG="$obj/wanted" allnoconfig >"$obj/log" 2>&1 || {
		sed 's/^/# /' "$obj/log" | tail -n 5
		return 1
	}
	while read -r line; do
		opt=${line%%=*}
		case $line in
		*=n) ! grep -q "^$opt=" "$obj/.config" || bad+=" $line" ;;
		*)
			grep -qxF "$line" "$obj/.config" || ! grep -qrE "^(menu)?config ${opt#CONFIG_}\$" --include='Kconfig*' \
				"$tree/init" "$tree/kernel" "$tree/lib" "$tree/arch/x86" || bad+=" $line" ;;
		esac
	done <"$obj/musts"
	if [ -n "$bad" ]; then
		echo "# the configuration did not take:$bad"
		return 1
	fi
	nice make -s -j"$(nproc)" -C "$tree" O="$obj" "$@" prepare "${objects[@]}" >"$obj/log" 2>&1 || {
		grep -E 'error|warning|\*\*\*' "$obj/log" | head -n 10 | sed 's/^/# /'
		return 1
	}
}

cache=
! command -v ccache >/dev/null || cache='ccache '
export CCACHE_NOHASHDIR=1 CCACHE_BASEDIR=$work
have() {
	command -v "$1" >/dev/null
}

# --- one after the other -----------------------------------------------------------

echo "1..${#names[@]}"
last=0
for name in "${names[@]}"; do
	what=${name#*/}
	case $name in
	patch/*)
		# In their order, on one tree: what a patch does not touch is not compiled again.
		while [ "$last" -lt "$what" ]; do
			patch -s -d "$work/tree" -p1 --fuzz=0 --no-backup-if-mismatch -i "$here/$base/${patches[last]}"
			last=$((last + 1))
		done
		if compile "$work/tree" "$work/patch" '' "CC=${cache}gcc" &&
			compile "$work/tree" "$work/patch-off" "${configs[off]}" "CC=${cache}gcc"; then
			result ok "$name, ${patches[what - 1]}"
		else
			result 'not ok' "$name, ${patches[what - 1]}"
			failed=1
		fi
		continue ;;
	arm64/*)
		have aarch64-linux-gnu-gcc || {
			result ok "$name # SKIP mend: apt-get install gcc-aarch64-linux-gnu"
			continue
		}
		words=$arm64
		args=(ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- "CC=${cache}aarch64-linux-gnu-gcc") ;;
	*)
		have "${name%/*}" || {
			result ok "$name # SKIP mend: apt-get install ${name%/*}"
			continue
		}
		words=${configs[$what]}
		args=("CC=$cache${name%/*}") ;;
	esac
	whole
	# A directory for each compiler, for what the kernel's build makes for itself.
	if compile "$work/whole" "$work/${name%/*}" "$words" "${args[@]}"; then
		result ok "$name"
	else
		result 'not ok' "$name"
		failed=1
	fi
done
exit $failed
