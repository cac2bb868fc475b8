#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The simulation of a fleet with hundreds of seeds of each scenario.
set -u
. "$TOP/selftests/tap.sh"

check "490 seeds of each scenario" "${O:-$TOP/build}/selftests/fleet/sim" 490
finish
