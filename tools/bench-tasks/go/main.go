// SPDX-License-Identifier: GPL-2.0-or-later

// bench-tasks-go - goroutines, for bench-tasks: THREADS N LOOPS CHILDREN. Prints
// ns of CPU and of time that N of them took, after as many that are not measured
// (at most 20,000). CHILDREN: 0 for a flood, or as many at a time, each time by one that waits.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var loops, sink int64

//go:noinline
func spin(n int64) int64 {
	x := int64(0)
	for i := int64(0); i < n; i++ {
		x += i
	}
	return x
}

func task() {
	if loops != 0 {
		atomic.StoreInt64(&sink, spin(loops))
	}
}

func run(n, children int64) {
	var all sync.WaitGroup

	if children == 0 {
		all.Add(int(n))
		for i := int64(0); i < n; i++ {
			go func() { task(); all.Done() }()
		}
		all.Wait()
		return
	}
	for i := int64(0); i < n/children; i++ {
		all.Add(int(children))
		for k := int64(0); k < children; k++ {
			go func() { task(); all.Done() }()
		}
		all.Wait()
	}
}

func cpu() int64 {
	var u syscall.Rusage

	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

func main() {
	var arg [4]int64

	for i := range arg {
		arg[i], _ = strconv.ParseInt(os.Args[i+1], 10, 64)
	}
	runtime.GOMAXPROCS(int(arg[0]))
	loops = arg[2]
	warm := arg[1]
	if warm > 20000 {
		warm = 20000
	}
	run(warm, arg[3])
	before, begin := cpu(), time.Now()
	run(arg[1], arg[3])
	fmt.Println(cpu()-before, time.Since(begin).Nanoseconds())
}
