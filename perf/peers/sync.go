// SPDX-License-Identifier: Apache-2.0

// sync.go - the questions of perf/sync.c put to Go, in the same lines:
// go run perf/peers/sync.go [runs]
//
// What Go has no type for is what its users write instead: a semaphore and an
// event are a buffered channel, gather is a WaitGroup with a slot per result.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"time"
)

const (
	operations = 1000000
	children   = 1000
	capacity   = 1024
)

var runs = 5

// report prints the median of `runs` runs, each in ns per operation.
func report(parameters string, run func()) {
	values := make([]float64, runs)
	parameters += fmt.Sprintf(",loops=%d", runtime.GOMAXPROCS(0))
	run()
	for i := range values {
		start := time.Now()
		run()
		values[i] = float64(time.Since(start).Nanoseconds()) / operations
	}
	sort.Float64s(values)
	median := (values[(runs-1)/2] + values[runs/2]) / 2
	fmt.Printf("sync go %s %.2f ns\n", parameters, median)
	fmt.Printf("# spread sync go %s median %.2f min %.2f max %.2f runs %d\n",
		parameters, median, values[0], values[runs-1], runs)
}

// together runs every function in a goroutine of its own.
func together(functions ...func()) {
	var group sync.WaitGroup
	group.Add(len(functions))
	for _, function := range functions {
		function := function
		go func() {
			function()
			group.Done()
		}()
	}
	group.Wait()
}

func lock(mutex *sync.Mutex, times int) {
	for i := 0; i < times; i++ {
		mutex.Lock()
		mutex.Unlock()
	}
}

// lockYielding lets the others run while it holds the mutex, so that they
// have to wait for it.
func lockYielding(mutex *sync.Mutex, times int) {
	for i := 0; i < times; i++ {
		mutex.Lock()
		runtime.Gosched()
		mutex.Unlock()
	}
}

func semaphore(permits chan struct{}, times int) {
	for i := 0; i < times; i++ {
		permits <- struct{}{}
		<-permits
	}
}

// measureAlone is for what one goroutine does without ever waiting.
func measureAlone() {
	var mutex sync.Mutex
	permits := make(chan struct{}, 1)
	event := make(chan struct{}, 1)
	queue := make(chan uintptr, capacity)
	report("op=lock,tasks=1", func() { lock(&mutex, operations) })
	report("op=semaphore,tasks=1", func() { semaphore(permits, operations) })
	report("op=event,tasks=1", func() {
		for i := 0; i < operations; i++ {
			event <- struct{}{}
			<-event
		}
	})
	report("op=queue,tasks=1,capacity=1024", func() {
		for i := uintptr(0); i < operations; i++ {
			queue <- i
			<-queue
		}
	})
}

// measureContended is for two goroutines at one object.
func measureContended() {
	var mutex sync.Mutex
	permits := make(chan struct{}, 1)
	hammer := func() { lock(&mutex, operations/2) }
	holder := func() { lockYielding(&mutex, operations/2) }
	taker := func() { semaphore(permits, operations/2) }
	report("op=lock,tasks=2", func() { together(hammer, hammer) })
	report("op=lock+yield,tasks=2", func() { together(holder, holder) })
	report("op=semaphore,tasks=2", func() { together(taker, taker) })
}

// pass moves the items of one goroutine to another.
func pass(queue chan uintptr) {
	together(
		func() {
			for i := uintptr(0); i < operations; i++ {
				queue <- i
			}
		},
		func() {
			for i := 0; i < operations; i++ {
				<-queue
			}
		})
}

// bounce sends one item to and fro.
func bounce(there chan uintptr, back chan uintptr) {
	together(
		func() {
			for i := uintptr(0); i < operations/2; i++ {
				there <- i
				<-back
			}
		},
		func() {
			for i := 0; i < operations/2; i++ {
				back <- <-there
			}
		})
}

func measureQueues() {
	for _, size := range []int{0, 1, capacity} {
		name := strconv.Itoa(size)
		if size == 0 {
			name = "unbuffered" // a queue of asyncio with 0 is unbounded
		}
		queue := make(chan uintptr, size)
		report("op=queue,tasks=2,capacity="+name, func() { pass(queue) })
		if size <= 1 {
			back := make(chan uintptr, size)
			report("op=bounce,tasks=2,capacity="+name,
				func() { bounce(queue, back) })
		}
	}
}

func gather() {
	var results [children]int
	var group sync.WaitGroup
	group.Add(children)
	for i := 0; i < children; i++ {
		i := i
		go func() {
			results[i] = i
			group.Done()
		}()
	}
	group.Wait()
}

func taskGroup() {
	var group sync.WaitGroup
	group.Add(children)
	for i := 0; i < children; i++ {
		go group.Done()
	}
	group.Wait()
}

// timeout waits with a limit for what is there already.
func timeout(ready chan struct{}) {
	limit, cancel := context.WithTimeout(context.Background(), time.Hour)
	select {
	case <-ready:
	case <-limit.Done():
	}
	cancel()
}

// times repeats `run`, which does `each` operations, until all are done.
func times(each int, run func()) func() {
	return func() {
		for i := 0; i < operations/each; i++ {
			run()
		}
	}
}

func measureGroups() {
	ready := make(chan struct{})
	close(ready)
	report("op=gather,children=1000", times(children, gather))
	report("op=group,children=1000", times(children, taskGroup))
	report("op=timeout,tasks=1", times(1, func() { timeout(ready) }))
}

func main() {
	if len(os.Args) > 1 {
		if given, err := strconv.Atoi(os.Args[1]); err == nil && given > 0 {
			runs = given
		}
	}
	fmt.Printf("# %s cores %d runs %d\n", runtime.Version(), runtime.NumCPU(),
		runs)
	for loops := 1; loops <= 2; loops++ {
		runtime.GOMAXPROCS(loops)
		measureAlone()
		measureContended()
		measureQueues()
		measureGroups()
	}
}
