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
	"unsafe"
)

var (
	kept     = make([][]byte, 0, 100000)
	dropped  []byte
	lock     sync.Mutex
	heldFor  time.Duration
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

// Holds the lock from before the other wants it until long after that waits: the number of those is
// behind three bits.
//
//go:noinline
func gives_back(us int, held chan bool) {
	lock.Lock()
	held <- true
	for atomic.LoadInt32((*int32)(unsafe.Pointer(&lock)))>>3 == 0 {
		time.Sleep(50 * time.Microsecond)
	}
	begin := time.Now()
	time.Sleep(time.Duration(us) * time.Microsecond)
	heldFor += time.Since(begin)
	lock.Unlock()
}

//go:noinline
func waits_for_it() time.Duration {
	begin := time.Now()
	lock.Lock()
	waited := time.Since(begin)
	lock.Unlock()
	return waited
}

func fight(count, us int) {
	var waited time.Duration
	heldFor = 0
	held := make(chan bool, 1)
	for ; count > 0; count-- {
		ended := make(chan bool)
		go func() {
			gives_back(us, held)
			close(ended)
		}()
		<-held
		waited += waits_for_it()
		<-ended
	}
	fmt.Println("waited", heldFor.Nanoseconds(), waited.Nanoseconds())
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
