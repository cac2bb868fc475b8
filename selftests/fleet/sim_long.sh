#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A large fleet, and many seeds of small ones.
set -u
. "$TOP/selftests/tap.sh"

sim=${O:-$TOP/build}/selftests/fleet/sim
check "2,000 seeds of each scenario" "$sim" 2000
check "100 nodes, 1,000 tenants" "$sim" -n 100 1000 90 1 2 3
check "1,000 nodes, 10,000 tenants" "$sim" -n 1000 10000 60 1
finish
