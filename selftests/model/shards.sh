#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Idle slots and shards' inboxes, and waits that several may end; each mistake must be found.
set -u
. "$TOP/selftests/tap.sh"
. "$TOP/selftests/model/model.sh"

check "shards" model_holds shards
check "shards, tasks that do not end" model_holds shards -DLONG
check "shards, two submitters, tasks that do not end" model_holds shards -DLONG -DTWO_SUBMITTERS
for mistake in LOOKS_BEFORE_PUSH LOOKS_FIRST CLAIM_BY_STORE STAYS_ON_THE_BOARD LOOKS_LOCKED DOES_NOT_LOOK LEAVES_THE_INBOX \
	PUBLISHES_LATE; do
	check "shards rejects BROKEN_$mistake" model_fails shards -DLONG -DTWO_SUBMITTERS "-DBROKEN_$mistake"
done
check "waits" model_holds waits
for mistake in TAKES_BY_STORE NO_TICKET DROPS_THE_EVENT ARMS_LATE GIVES_UP_BY_STORE; do
	check "waits rejects BROKEN_$mistake" model_fails waits "-DBROKEN_$mistake"
done
finish
