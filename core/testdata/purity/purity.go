// Package purity holds one line of each kind that the determinism check must find, and lines that it must not.
package purity

import (
	"fmt"
	"maps"
	"reflect"
)

var written int
var table = map[string]int{"a": 1}
var buffer counter
var names = []string{"x"}

type counter struct{ n int }

func (c *counter) add()    { c.n++ }
func (c counter) get() int { return c.n }

type named struct{}

func (*named) String() string { return "named" }

func bad(m map[int]int, f func()) {
	go f()         // want "starts a goroutine"
	var c chan int // want "has a channel"
	c <- 1         // want "sends on a channel"
	_ = <-c        // want "receives from a channel"
	select {}      // want "selects"
}

func bad2(m map[int]int) {
	for range m { // want "ranges over a map"
	}
	for range maps.Keys(m) { // want "ranges over a map"
	}
	_ = reflect.ValueOf(m).MapRange() // want "ranges over a map"
	written = 1                       // want "writes package variable written"
	written++                         // want "writes package variable written"
	table["b"] = 2                    // want "writes package variable table"
	names[0] = "y"                    // want "writes package variable names"
	buffer.n = 3                      // want "writes package variable buffer"
	buffer.add()                      // want "takes the address of package variable buffer"
	p := &written                     // want "takes the address of package variable written"
	_ = p
	fmt.Println(&counter{}) // want "prints an address"
	fmt.Printf("%v", bad)   // want "prints an address"
	var x float64           // want "uses float64"
	_ = x
}

func good(m map[int]int, s []int) {
	_ = m[1]
	for range s {
	}
	_ = table["a"] + buffer.get() + written
	fmt.Println(&named{}, fmt.Errorf("e"), m)
	n := 0
	_, _ = fmt.Sscan("1", &n)
	written := 2
	written++
	_ = written
}
