package broker

import (
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"klamm/core"
	"klamm/core/client"
	"klamm/core/image"
	"klamm/core/wire"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// tasksOf are the concrete types of Task: an interface hides nothing but these.
var tasksOf = []Task{
	&groupReply{}, &produceTask{}, &fetchTask{}, &listOffsetsTask{}, &metadataTask{}, &findTask{}, &joinTask{}, &syncTask{},
	&deleteRecordsTask{}, &producerIDTask{}, &logDirsTask{}, &proposeTask{}, &forwardTask{}, &quorumTask{}, &upgradeTask{}, &initTxnTask{}, &addOffsetsTask{}, &endTxnTask{},
	&markersTask{}, &txnCommitTask{}, &verifyTask{},
}

// shared are the types that never change after they were made, so that several owners may point to one.
var shared = []reflect.Type{
	reflect.TypeFor[*image.Image](), reflect.TypeFor[*image.Topic](), reflect.TypeFor[*image.Partition](), reflect.TypeFor[*image.Broker](),
	reflect.TypeFor[*image.ConfigSet](), reflect.TypeFor[wire.Record](), reflect.TypeFor[image.Properties](),
}

// messages are interfaces whose values are plain structs of their own: messages that were decoded or are being made.
var messages = []reflect.Type{reflect.TypeFor[kmsg.Request](), reflect.TypeFor[kmsg.Response](), reflect.TypeFor[any]()}

// walkTypes visits every type that a value of type t owns, and names what cannot be cloned, hashed and compared.
func walkTypes(t reflect.Type, path string, seen map[reflect.Type]bool, bad *[]string) {
	if seen[t] || slices.Contains(shared, t) {
		return
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Func, reflect.Chan, reflect.UnsafePointer, reflect.Uintptr, reflect.Float32, reflect.Float64:
		*bad = append(*bad, path+" is a "+t.Kind().String())
	case reflect.Interface:
		switch {
		case t == reflect.TypeFor[Task]():
			for _, task := range tasksOf {
				walkTypes(reflect.TypeOf(task), path+"("+reflect.TypeOf(task).String()+")", seen, bad)
			}
		case t == reflect.TypeFor[any](): // the body of a core.Prepared
			if !strings.HasSuffix(path, "Prepared.Body") {
				*bad = append(*bad, path+" is an interface")
			}
		case !slices.Contains(messages, t):
			*bad = append(*bad, path+" is an interface")
		}
	case reflect.Pointer, reflect.Slice, reflect.Array:
		walkTypes(t.Elem(), path, seen, bad)
	case reflect.Map:
		walkTypes(t.Key(), path+"[key]", seen, bad)
		walkTypes(t.Elem(), path+"[]", seen, bad)
	case reflect.Struct:
		for i := range t.NumField() {
			walkTypes(t.Field(i).Type, t.String()+"."+t.Field(i).Name, seen, bad)
		}
	}
}

// A machine is plain data: no functions, no channels, no hidden types. So it can be cloned, hashed and dumped.
func TestMachinesAreTrees(t *testing.T) {
	for _, m := range []any{Broker{}, client.Producer{}, client.Consumer{}, client.Admin{}} {
		var bad []string
		walkTypes(reflect.TypeOf(m), "", map[reflect.Type]bool{}, &bad)
		require.Empty(t, bad, "%T", m)
	}
	var have []string
	for _, task := range tasksOf {
		have = append(have, reflect.TypeOf(task).Elem().Name())
	}
	advance := regexp.MustCompile(`func \(t \*(\w+)\) Advance\(b \*Broker`)
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range advance.FindAllStringSubmatch(string(text), -1) {
			require.Contains(t, have, m[1], "%s has a Task that this test does not know", file)
		}
	}
}

// cloner makes deep copies. owners are the pointers that were met: a second owner is a fault.
type cloner struct {
	owners map[unsafe.Pointer]string
	faults []string
}

// open gives a value that may be read and set although its field has a small letter.
func open(v reflect.Value) reflect.Value {
	return reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
}

func (c *cloner) owned(p unsafe.Pointer, path string) {
	if first, ok := c.owners[p]; ok {
		c.faults = append(c.faults, path+" and "+first)
	}
	c.owners[p] = path
}

func (c *cloner) copy(to, from reflect.Value, path string) {
	t := from.Type()
	if slices.Contains(shared, t) {
		to.Set(from)
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		if !from.IsNil() {
			if t.Elem().Size() > 0 && t.Elem().Kind() == reflect.Struct {
				c.owned(from.UnsafePointer(), path)
			}
			to.Set(reflect.New(t.Elem()))
			c.copy(to.Elem(), from.Elem(), path)
		}
	case reflect.Interface:
		if !from.IsNil() {
			in := reflect.New(from.Elem().Type()).Elem()
			in.Set(from.Elem())
			out := reflect.New(in.Type()).Elem()
			c.copy(out, in, path+"("+in.Type().String()+")")
			to.Set(out)
		}
	case reflect.Slice:
		if from.IsNil() {
			return
		}
		to.Set(reflect.MakeSlice(t, from.Len(), from.Len()))
		if scalar(t.Elem()) {
			reflect.Copy(to, from)
			return
		}
		if from.Len() > 0 && t.Elem().Size() > 0 {
			c.owned(from.UnsafePointer(), path)
		}
		for i := range from.Len() {
			c.copy(to.Index(i), from.Index(i), path+"[]")
		}
	case reflect.Map:
		if from.IsNil() {
			return
		}
		to.Set(reflect.MakeMapWithSize(t, from.Len()))
		for it := from.MapRange(); it.Next(); {
			v := reflect.New(t.Elem()).Elem()
			v.Set(it.Value())
			w := reflect.New(t.Elem()).Elem()
			c.copy(w, v, path+"[]")
			to.SetMapIndex(it.Key(), w)
		}
	case reflect.Struct:
		for i := range t.NumField() {
			c.copy(open(to.Field(i)), open(from.Field(i)), t.Name()+"."+t.Field(i).Name)
		}
	case reflect.Array:
		for i := range from.Len() {
			c.copy(to.Index(i), from.Index(i), path)
		}
	default:
		to.Set(from)
	}
}

func scalar(t reflect.Type) bool {
	return t.Kind() <= reflect.Complex128 || t.Kind() == reflect.String || t.Kind() == reflect.Array && scalar(t.Elem())
}

// clone makes a machine that shares nothing with b but what never changes.
func clone(b *Broker) (*Broker, []string) {
	c := cloner{owners: map[unsafe.Pointer]string{}}
	n := new(Broker)
	c.copy(reflect.ValueOf(n).Elem(), reflect.ValueOf(b).Elem(), "Broker")
	return n, c.faults
}

// digest is a number of everything that a machine is. Maps count whatever their order.
func digest(v reflect.Value) uint64 {
	h := fnv.New64a()
	if slices.Contains(shared, v.Type()) {
		if img, ok := v.Interface().(*image.Image); ok && img != nil {
			fmt.Fprint(h, img.End(), img.Epoch(), img.TopicCount())
		}
		return h.Sum64()
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			in := v.Elem()
			if v.Kind() == reflect.Interface {
				in = reflect.New(v.Elem().Type()).Elem()
				in.Set(v.Elem())
			}
			fmt.Fprint(h, in.Type().String(), digest(in))
		}
	case reflect.Slice:
		fmt.Fprint(h, v.Len())
		if v.Type().Elem().Kind() == reflect.Uint8 {
			h.Write(v.Bytes())
			break
		}
		for i := range v.Len() {
			fmt.Fprint(h, digest(v.Index(i)))
		}
	case reflect.Array:
		for i := range v.Len() {
			fmt.Fprint(h, digest(v.Index(i)))
		}
	case reflect.Map:
		sum := uint64(0)
		for it := v.MapRange(); it.Next(); {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			key.Set(it.Key())
			value.Set(it.Value())
			x := fnv.New64a()
			fmt.Fprint(x, digest(key), digest(value))
			sum += x.Sum64()
		}
		fmt.Fprint(h, v.Len(), sum)
	case reflect.Struct:
		for i := range v.NumField() {
			fmt.Fprint(h, digest(open(v.Field(i))))
		}
	default:
		fmt.Fprint(h, v.Interface())
	}
	return h.Sum64()
}

// twin is a clone that is stepped beside its original.
type twin struct {
	b     *Broker
	every int // steps from one clone to the next
	steps int
}

// step steps the machine, and its twin with a copy of the event: the effects must be the same.
func (x *twin) step(w *world, ev *core.Event, out *core.Out) {
	if x.b == nil || x.steps%x.every == 0 {
		var faults []string
		if x.b, faults = clone(w.b); len(faults) > 0 {
			w.t.Errorf("a machine is a tree, but two own the same: %v", faults)
		}
	}
	x.steps++
	same := *ev
	if same.Data = slices.Clone(ev.Data); ev.Kind == core.Frame {
		same.Req = Prepare(same.Data, core.FromClient)
	}
	w.b.Step(w.now, ev, out)
	var other core.Out
	x.b.Step(w.now, &same, &other)
	mine, its := withoutReleased(out.Effects), withoutReleased(other.Effects)
	if !reflect.DeepEqual(mine, its) && !(len(mine) == 0 && len(its) == 0) {
		w.t.Errorf("a clone makes other effects, step %d, event %v: %d and %d", x.steps, ev.Kind, len(out.Effects), len(other.Effects))
	}
}

// withoutReleased leaves out what is in buffers that are given back: it is of no meaning to anybody.
func withoutReleased(effects []core.Effect) []core.Effect {
	effects = slices.Clone(effects)
	for i := range effects {
		if e := &effects[i]; e.Kind == core.Release {
			e.Len, e.Data = int64(len(e.Data)), nil
		}
	}
	return effects
}

// A clone goes on as its original does: nothing of it is kept elsewhere, and nothing of it is shared.
func TestClonesGoOnAlike(t *testing.T) {
	for _, every := range []int{11, 97} {
		datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
			if strings.Contains(path, "flood") {
				return // thousands of requests
			}
			s := &script{t: t, w: newWorld(t)}
			s.w.twin = &twin{every: every}
			datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
				s.d, s.w.t = d, t
				return s.command()
			})
			if x := s.w.twin.b; x != nil {
				require.Equal(t, s.w.b.Next(), x.Next()) // and what that computes anew is computed in both
				require.Equal(t, digest(reflect.ValueOf(s.w.b).Elem()), digest(reflect.ValueOf(x).Elem()), "a clone has become what its original has")
			}
		})
	}
}
