package image

import (
	"slices"
	"strconv"
	"strings"

	"klamm/core"
)

// Property is one setting: a name and its value as text.
type Property struct{ Name, Value string }

// Properties are settings sorted by name, each name once.
type Properties []Property

func (p Properties) find(name string) (int, bool) {
	lo, hi := 0, len(p)
	for lo < hi { // by hand: a function of two properties would be called for each comparison
		if m := (lo + hi) / 2; p[m].Name < name {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo, lo < len(p) && p[lo].Name == name
}

// Get returns the value of that name.
func (p Properties) Get(name string) (string, bool) {
	if at, ok := p.find(name); ok {
		return p[at].Value, true
	}
	return "", false
}

// With returns the properties with name set to value.
func (p Properties) With(name, value string) Properties {
	at, ok := p.find(name)
	q := slices.Clone(p)
	if ok {
		q[at].Value = value
		return q
	}
	return slices.Insert(q, at, Property{name, value})
}

// Source says where a value comes from; the numbers are the protocol's.
type Source int8

// The sources of values, and unknown.
const (
	SourceUnknown        Source = 0
	SourceTopic          Source = 1
	SourceDynamicBroker  Source = 2
	SourceDynamicDefault Source = 3
	SourceStatic         Source = 4
	SourceDefault        Source = 5
	SourceLogger         Source = 6
	SourceClientMetrics  Source = 7
	SourceGroup          Source = 8
)

// Value is a value and where it comes from.
type Value struct {
	Name   string // under which it was found, which may be a synonym's
	Text   string // canonical
	Null   bool
	Source Source
}

// View finds effective values at one broker: what the image says over what the broker was started with.
type View struct {
	Image  *Image
	Node   core.NodeID
	Static Properties // the broker's own configuration file

	held          bool // own and everyone are looked up
	own, everyone Properties
}

// Held is the view with what is set for brokers looked up: for one who asks for many values of one image.
func (v View) Held() View {
	v.own, v.everyone, v.held = v.Own(), v.Everyone(), true
	return v
}

// Topic is the effective value of a topic's configuration (KIP-226): the topic's own, else that of the broker
// configuration that stands in for it. The name must be a topic configuration's.
func (v View) Topic(topic, name string) Value {
	return v.TopicOf(v.Image.Config(Resource{TopicResource, topic}), name)
}

// TopicOf is Topic for a topic whose own settings the caller has at hand.
func (v View) TopicOf(own Properties, name string) Value {
	d := TopicDef(name)
	core.Must(d != nil, "a known topic configuration is asked for")
	if text, ok := own.Get(name); ok {
		return Value{Name: name, Text: d.Shown(text), Source: SourceTopic}
	}
	return v.Inherited(d)
}

// TopicDefault is the value that a topic has which sets nothing itself.
func (v View) TopicDefault(name string) Value {
	d := TopicDef(name)
	core.Must(d != nil, "a known topic configuration is asked for")
	return v.Inherited(d)
}

// Inherited is the value of the nearest synonym that has one, in the units of d; or d's own default.
func (v View) Inherited(d *Def) Value {
	for _, name := range d.Synonyms {
		got := v.Broker(name)
		if got.Null {
			continue
		}
		if factor := millisPer(name); factor != 1 && d.Type == Long {
			got.Text = scale(got.Text, factor)
		}
		got.Name = name
		return got
	}
	return Value{Name: d.Name, Text: d.Default, Null: d.Null, Source: SourceDefault}
}

// millisPer is the length in milliseconds of the unit in a name.
func millisPer(name string) int64 {
	switch {
	case strings.HasSuffix(name, ".hours"):
		return core.Hour.Millis()
	case strings.HasSuffix(name, ".minutes"):
		return core.Minute.Millis()
	}
	return 1
}

// scale multiplies; a negative number is Kafka's "for ever" and becomes -1.
func scale(text string, factor int64) string {
	n, _ := strconv.ParseInt(text, 10, 64)
	if n < 0 {
		return "-1"
	}
	if n > (1<<63-1)/factor {
		return strconv.FormatInt(1<<63-1, 10)
	}
	return strconv.FormatInt(n*factor, 10)
}

// Broker is the effective value of a broker configuration at this broker. The name must be known.
func (v View) Broker(name string) Value {
	d := BrokerDef(name)
	core.Must(d != nil, "a known broker configuration is asked for")
	if d.Mode != ReadOnly {
		if text, ok := v.Own().Get(name); ok {
			return Value{Name: name, Text: d.Shown(text), Source: SourceDynamicBroker}
		}
		if text, ok := v.Everyone().Get(name); ok && d.Mode == ClusterWide {
			return Value{Name: name, Text: d.Shown(text), Source: SourceDynamicDefault}
		}
	}
	if text, ok := v.Static.Get(name); ok {
		return Value{Name: name, Text: d.Shown(text), Source: SourceStatic}
	}
	return Value{Name: name, Text: d.Default, Null: d.Null || d.Required, Source: SourceDefault}
}

// Own is what is set for the view's own broker. Not to be written to.
func (v View) Own() Properties {
	if v.held {
		return v.own
	}
	return v.Image.Config(v.self())
}

// Everyone is what is set for all brokers. Not to be written to.
func (v View) Everyone() Properties {
	if v.held {
		return v.everyone
	}
	return v.Image.Config(Resource{BrokerResource, ""})
}

func (v View) self() Resource { return Resource{BrokerResource, strconv.Itoa(int(v.Node))} }

// Group is the effective value of a group's configuration. The name must be known.
func (v View) Group(group, name string) Value {
	d := GroupDef(name)
	core.Must(d != nil, "a known group configuration is asked for")
	if text, ok := v.Image.Config(Resource{GroupResource, group}).Get(name); ok {
		return Value{Name: name, Text: d.Shown(text), Source: SourceGroup}
	}
	return v.Inherited(d)
}

// BrokerValues are all values that are set for a broker configuration, the one in force first: for the broker, for all
// brokers, in the file, and the default.
func (v View) BrokerValues(d *Def) (values []Value) {
	add := func(text string, ok bool, from Source) {
		if ok {
			values = append(values, Value{Name: d.Name, Text: d.Shown(text), Source: from})
		}
	}
	if d.Mode != ReadOnly {
		text, ok := v.Own().Get(d.Name)
		add(text, ok, SourceDynamicBroker)
		text, ok = v.Everyone().Get(d.Name)
		add(text, ok && d.Mode == ClusterWide, SourceDynamicDefault)
	}
	text, ok := v.Static.Get(d.Name)
	add(text, ok, SourceStatic)
	add(d.Default, !d.Null && !d.Required, SourceDefault)
	return values
}

// Shown is the canonical form of a value that is in force; what does not parse (an older release let it in) is shown as it is.
func (d *Def) Shown(text string) string {
	if canon, wrong := d.Canonical(text); wrong == "" {
		return canon
	}
	return text
}

// Int reads a value of type short, int or long; 0 for null and for what is no number.
func (v Value) Int() int64 {
	n, _ := strconv.ParseInt(v.Text, 10, 64)
	return n
}

// Bool reads a boolean.
func (v Value) Bool() bool { return v.Text == "true" }

// List reads a list.
func (v Value) List() []string { return SplitList(v.Text) }
