#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Inside the VM: the series' own kselftest of its block hook, which build-hook.sh
# built on the host.
set -u
. "$TOP/selftests/tap.sh"
[ -n "${BATON_VM:-}" ] || skip_all "not in the VM"
dir=$(dirname "$0")/kselftest
[ -x "$dir/block_hook" ] || skip_all "$(cat "$dir/why" 2>/dev/null || echo 'mend: make in the tree that was meant to build it')"
exec "$dir/block_hook"
