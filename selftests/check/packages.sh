#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Each package that make may ask for, on a machine that has none of them, together.
set -u
. "$TOP/selftests/tap.sh"
command -v apt-get >/dev/null || skip_all "not a Debian system"

packages() {
	# shellcheck disable=SC2046
	expect_rc 0 apt-get -s -o Dir::State::status=/dev/null --no-install-recommends install \
		$("$TOP/tools/build/deps" --names $(sed -n 's/^\([a-z]*\):.*/\1/p' "$TOP/tools/build/deps.list"))
	expect_says '^Inst gcc '
}
check packages packages
finish
