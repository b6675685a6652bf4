// SPDX-License-Identifier: Apache-2.0

// scheduling.go - the questions spawn, yield, pingpong and timers put to Go's
// scheduler, in the same lines: go run perf/peers/scheduling.go [runs]
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"time"
)

const (
	tasks    = 1000000
	yielders = 1000
	yields   = 1000
	rounds   = 100000
	timers   = 1000000
)

var runs = 5

// report prints the median of `runs` runs, each in ns per operation.
func report(question string, parameters string, operations int, run func()) {
	values := make([]float64, runs)
	run()
	for i := range values {
		start := time.Now()
		run()
		values[i] = float64(time.Since(start).Nanoseconds()) / float64(operations)
	}
	sort.Float64s(values)
	fmt.Printf("%s go %s %.2f ns\n", question, parameters, values[runs/2])
	fmt.Printf("# spread %s go %s median %.2f min %.2f max %.2f runs %d\n",
		question, parameters, values[runs/2], values[0], values[runs-1], runs)
}

func spawn() {
	var group sync.WaitGroup
	group.Add(tasks)
	for i := 0; i < tasks; i++ {
		go group.Done()
	}
	group.Wait()
}

func yield() {
	var group sync.WaitGroup
	group.Add(yielders)
	for i := 0; i < yielders; i++ {
		go func() {
			for j := 0; j < yields; j++ {
				runtime.Gosched()
			}
			group.Done()
		}()
	}
	group.Wait()
}

func pingpong() {
	there := make(chan struct{})
	back := make(chan struct{})
	go func() {
		for range there {
			back <- struct{}{}
		}
	}()
	for i := 0; i < rounds; i++ {
		there <- struct{}{}
		<-back
	}
	close(there)
}

func startAndCancel() {
	for i := 0; i < timers; i++ {
		time.AfterFunc(time.Hour+time.Duration(i), func() {}).Stop()
	}
}

func main() {
	if len(os.Args) > 1 {
		if given, err := strconv.Atoi(os.Args[1]); err == nil && given > 0 {
			runs = given
		}
	}
	fmt.Printf("# %s cores %d runs %d\n", runtime.Version(), runtime.NumCPU(), runs)
	for _, loops := range []int{1, 2} {
		runtime.GOMAXPROCS(loops)
		report("spawn", fmt.Sprintf("tasks=%d,loops=%d,gather=group", tasks, loops), tasks, spawn)
		report("yield", fmt.Sprintf("tasks=%d,loops=%d", yielders, loops), yielders*yields, yield)
		report("pingpong", fmt.Sprintf("tasks=2,loops=%d,channel=unbuffered", loops), rounds, pingpong)
	}
	pending := make([]*time.Timer, timers)
	for i := range pending {
		pending[i] = time.AfterFunc(time.Hour+time.Duration(i), func() {})
	}
	report("timers", fmt.Sprintf("start+cancel,pending=%d", timers), timers, startAndCancel)
	runtime.KeepAlive(pending)
}
