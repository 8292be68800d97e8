package quorum

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"klamm/core"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// spoil changes a few fields of a message, whatever they are.
func spoil(rnd *rand.Rand, v reflect.Value, odds int) {
	hit := rnd.IntN(odds) == 0
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			spoil(rnd, v.Elem(), odds)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() && v.Type().Field(i).Name != "Version" && v.Type().Field(i).Name != "UnknownTags" {
				spoil(rnd, f, odds)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			if b := v.Bytes(); hit && len(b) > 0 {
				c := append([]byte(nil), b...)
				c[rnd.IntN(len(c))] ^= byte(1 + rnd.IntN(255))
				v.SetBytes(c[:len(c)-rnd.IntN(2)*rnd.IntN(len(c))])
			}
			return
		}
		for i := range v.Len() {
			spoil(rnd, v.Index(i), odds)
		}
		if hit && v.Len() > 0 {
			v.Set(v.Slice(0, v.Len()-1))
		}
	case reflect.Array:
		if hit {
			v.Index(0).SetUint(uint64(rnd.IntN(256)))
		}
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if hit {
			x := []int64{-1, 0, 1, 2, 3, math.MaxInt32, math.MaxInt64, math.MinInt64, v.Int() + 1, v.Int() - 1, rnd.Int64N(1000)}[rnd.IntN(11)]
			if v.OverflowInt(x) {
				x = 99
			}
			v.SetInt(x)
		}
	case reflect.Uint16:
		if hit {
			v.SetUint(uint64(rnd.IntN(65536)))
		}
	case reflect.Bool:
		if hit {
			v.SetBool(!v.Bool())
		}
	case reflect.String:
		if hit {
			v.SetString("x")
		}
	}
}

// However wrong requests and answers are, a node does not panic: it refuses, or stops and says why.
func TestHostilePeers(t *testing.T) {
	failed := 0
	for seed := range uint64(40) {
		c := newCluster(seed, 3, 1)
		c.late = core.Millisecond
		rnd := rand.New(rand.NewPCG(seed, 1))
		c.deaf = true // what such peers do to each other proves nothing
		c.tamper = func(r kmsg.Response) { spoil(rnd, reflect.ValueOf(r), 40) }
		c.tamperAsk = func(q kmsg.Request) { spoil(rnd, reflect.ValueOf(q), 60) }
		for _, m := range c.members {
			c.start(m)
		}
		for range 300 {
			c.run2(c.now + 20*core.Millisecond)
			c.work()
			if rnd.IntN(60) == 0 {
				c.isolate(c.members[rnd.IntN(4)], rnd.IntN(2) == 0)
			}
		}
		for _, m := range c.members {
			if m.node.Failed() != "" {
				failed++
			}
		}
	}
	require.Less(t, failed, 80, "most nodes go on, and those that stop say why")
}
