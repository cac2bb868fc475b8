#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tools/vm/splats: what is a kernel bug and what only looks like one.
set -u
. "$TOP/selftests/tap.sh"
found() { printf '%s\n' "$1" | "$TOP/tools/vm/splats"; }
not_found() { ! found "$1"; }
n=0
while IFS= read -r line; do
	n=$((n + 1))
	check "bug_$n" found "[    3.141592] $line"
done <<'BUGS'
WARNING: CPU: 1 PID: 77 at kernel/sched/fair.c:5432 enqueue_task_fair+0x12/0x34
WARNING: possible circular locking dependency detected
WARNING: suspicious RCU usage
WARNING: bad unlock balance detected!
------------[ cut here ]------------
BUG: KASAN: slab-use-after-free in futex_wake+0x1a/0x90
BUG: KCSAN: data-race in futex_swap / futex_wake
BUG: kernel NULL pointer dereference, address: 0000000000000010
BUG: unable to handle page fault for address: ffffc90000000000
BUG: scheduling while atomic: swap/123/0x00000002
BUG: sleeping function called from invalid context at kernel/locking/mutex.c:585
BUG: using smp_processor_id() in preemptible [00000000] code: swap/123
BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 130s!
BUG: spinlock bad magic on CPU#0, swap/12
watchdog: BUG: soft lockup - CPU#1 stuck for 130s! [swap:77]
kernel BUG at kernel/futex/core.c:600!
Oops: general protection fault, probably for non-canonical address 0xdead: 0000 [#1] PREEMPT SMP
Oops: Oops: 0000 [#1] PREEMPT SMP NOPTI
rcu: INFO: rcu_preempt self-detected stall on CPU
rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
INFO: task swap:123 blocked for more than 120 seconds.
INFO: trying to register non-static key.
Kernel panic - not syncing: Fatal exception
list_add corruption. next->prev should be prev (ffff888), but was ffff889. (next=ffff88a).
refcount_t: underflow; use-after-free.
UBSAN: shift-out-of-bounds in kernel/sched/fair.c:1:2
ODEBUG: free active (active state 0) object: 00000000 object type: hrtimer hint: hrtimer_wakeup
DEBUG_LOCKS_WARN_ON(lock->magic != lock)
BUGS
n=0
while IFS= read -r line; do
	n=$((n + 1))
	check "no_bug_$n" not_found "[    3.141592] $line"
done <<'OTHERS'
swap[77]: segfault at 0 ip 00005555 sp 00007fff error 4 in swap[5555+1000]
traps: swap[77] general protection fault ip:401136 sp:7ffe error:0 in swap[401000+1000]
FAULT_INJECTION: forcing a failure.
Call Trace:
sched: RT throttling activated
sysrq: Show Blocked State
smpboot: CPU 1 is now offline
lockdep is turned off in this configuration
Booting kernel with debug options; these debug messages are no BUGs
warning: `a.out' uses 32-bit capabilities (legacy support in use)
perf: interrupt took too long (2503 > 2500), lowering kernel.perf_event_max_sample_rate to 79000
hrtimer: interrupt took 4000000 ns
OTHERS
finish
