// A Go server with net/http/pprof, so that the tests of the wire contract are proven on the original.
// It does what does_as_told.c does, by functions of the same names: see there.
package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"
)

var (
	kept     = make([][]byte, 0, 100000)
	dropped  []byte
	lock     sync.Mutex
	spinning atomic.Bool
	spinners sync.WaitGroup
	never    = make(chan bool)
	last     atomic.Uint64 // so that the loop is not left out
)

//go:noinline
func keep_one(size int) {
	kept = append(kept, make([]byte, size))
}

//go:noinline
func keep_blocks(count, size int) {
	for ; count > 0; count-- {
		keep_one(size)
	}
}

func keep_inlined(size int) {
	keep_one(size)
}

//go:noinline
func late_blocks(count, size int) {
	for ; count > 0; count-- {
		keep_inlined(size)
	}
}

//go:noinline
func drop_blocks(count, size int) {
	for ; count > 0; count-- {
		dropped = make([]byte, size)
	}
	dropped = nil
}

// Holds the lock from before the other wants it until long after.
//
//go:noinline
func gives_back(us int, held, wanted chan bool) {
	lock.Lock()
	held <- true
	<-wanted
	time.Sleep(time.Duration(us) * time.Microsecond)
	lock.Unlock()
}

//go:noinline
func waits_for_it(wanted chan bool) time.Duration {
	wanted <- true
	begin := time.Now()
	lock.Lock()
	waited := time.Since(begin)
	lock.Unlock()
	return waited
}

func fight(count, us int) {
	var waited time.Duration
	held, wanted := make(chan bool, 1), make(chan bool, 1)
	for ; count > 0; count-- {
		ended := make(chan bool)
		go func() {
			gives_back(us, held, wanted)
			close(ended)
		}()
		<-held
		waited += waits_for_it(wanted)
		<-ended
	}
	fmt.Println("waited", waited.Nanoseconds())
}

//go:noinline
func spin_here() {
	x := uint64(1)
	for spinning.Load() {
		for i := 0; i < 10000; i++ {
			x = x*3 + 1
		}
	}
	last.Store(x)
	spinners.Done()
}

//go:noinline
func waits_for_ever() {
	<-never
}

func do_as_told(what string, a, b int) bool {
	switch {
	case what == "keep":
		keep_blocks(a, b)
	case what == "late":
		late_blocks(a, b)
	case what == "drop":
		drop_blocks(a, b)
	case what == "fight":
		fight(a, b)
	case what == "fraction": // of the mutex profile; ours has an address for it
		runtime.SetMutexProfileFraction(a)
	case what == "spin" && !spinning.Load():
		spinning.Store(true)
		for n := max(a, 1); n > 0; n-- {
			spinners.Add(1)
			go spin_here()
		}
	case what == "rest" && spinning.Load():
		spinning.Store(false)
		spinners.Wait()
	default:
		return false
	}
	runtime.GC() // what the heap profile shows is as old as the last one
	return true
}

func main() {
	pprof.NewProfile("example.com/kept").Add(&kept, 0)
	runtime.SetBlockProfileRate(1)
	runtime.SetMutexProfileFraction(1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	go http.Serve(l, nil)
	go waits_for_ever()
	fmt.Println("listening on", l.Addr())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var what string
		var a, b int
		n, _ := fmt.Sscan(in.Text(), &what, &a, &b)
		if n >= 1 && do_as_told(what, a, b) {
			fmt.Println("done")
		} else {
			fmt.Println("what?")
		}
	}
}
