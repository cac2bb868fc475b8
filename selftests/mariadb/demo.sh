#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The demo with MariaDB: what is asked of it with batondb.
export DB=mariadb
. "$TOP/selftests/service/demo.sh"
