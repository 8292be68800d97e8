package image

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

//go:generate go run ./gen

// Type is the type of a configuration; the numbers are the protocol's (KIP-569).
type Type int8

// The types of configurations.
const (
	Boolean  Type = 1
	String   Type = 2
	Int      Type = 3
	Short    Type = 4
	Long     Type = 5
	Double   Type = 6
	List     Type = 7
	Class    Type = 8
	Password Type = 9
)

var typeNames = [...]string{"UNKNOWN", "BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS", "PASSWORD"}

func (t Type) String() string {
	if t < 0 || int(t) >= len(typeNames) {
		t = 0
	}
	return typeNames[t]
}

// Mode says where and when a configuration can be changed (KIP-226).
type Mode int8

// The modes of change.
const (
	ReadOnly    Mode = iota // with a restart
	PerBroker               // while running, broker by broker
	ClusterWide             // while running, for one broker or for all
	PerTopic
	PerGroup
)

// RuleKind is the shape of a rule.
type RuleKind int8

// The shapes of rules.
const (
	Anything RuleKind = iota
	Within
	OneOf
	OneOfFold // whatever the case of letters
	NotEmpty
	ThrottledReplicas
	OffsetReset
)

// Rule says which values are valid beyond the type. Numbers are text, since some belong to doubles.
type Rule struct {
	Kind     RuleKind
	Min, Max string // inclusive; empty: no bound
	Or       string // valid although outside
	Choices  []string
}

// Def defines one configuration.
type Def struct {
	Name       string
	Type       Type
	Default    string
	Null       bool // the default is null
	Required   bool // there is no default
	Rule       Rule
	Importance string
	Internal   bool // settable, but left out of descriptions and of the documentation
	Mode       Mode
	Synonyms   []string // broker configurations that stand in for a topic's or group's, nearest first
	Topic      string   // the topic configuration that a broker's stands in for
}

// TopicDef is the definition of a topic configuration, or nil.
func TopicDef(name string) *Def { return topicsByName[name] }

// BrokerDef is the definition of a broker configuration, or nil.
func BrokerDef(name string) *Def { return brokersByName[name] }

// GroupDef is the definition of a group configuration, or nil.
func GroupDef(name string) *Def { return groupsByName[name] }

// TopicDefs are all topic configurations by name. Not to be written to.
func TopicDefs() []Def { return topicDefs }

// BrokerDefs are all broker configurations by name. Not to be written to.
func BrokerDefs() []Def { return brokerDefs }

// GroupDefs are all group configurations by name. Not to be written to.
func GroupDefs() []Def { return groupDefs }

// The definitions by name, for looking up.
var topicsByName, brokersByName, groupsByName = byName(topicDefs), byName(brokerDefs), byName(groupDefs)

func byName(defs []Def) map[string]*Def {
	m := make(map[string]*Def, len(defs))
	for i := range defs {
		m[defs[i].Name] = &defs[i]
	}
	return m
}

// Canonical gives a value as Kafka shows it: trimmed, numbers and booleans in their plain form. The second
// result says what is wrong with the value, in Kafka's words, or is empty.
func (d *Def) Canonical(value string) (text, wrong string) {
	text = strings.TrimSpace(value)
	switch d.Type {
	case Boolean:
		if text = strings.ToLower(text); text != "true" && text != "false" {
			return "", invalid(value, d.Name, "Expected value to be either true or false")
		}
	case Int, Short, Long:
		n, err := strconv.ParseInt(text, 10, bitsOf(d.Type))
		if err != nil {
			return "", invalid(value, d.Name, "Not a number of type "+d.Type.String())
		}
		text = strconv.FormatInt(n, 10)
	case Double:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return "", invalid(value, d.Name, "Not a number of type DOUBLE")
		}
		text = javaDouble(strconv.FormatFloat(f, 'e', -1, 64))
	case List:
		text = strings.Join(SplitList(text), ",")
	case Password, Class, String:
	}
	if wrong = d.broken(text); wrong != "" {
		return "", wrong
	}
	return text, ""
}

// Validate says what is wrong with a value, in Kafka's words, or nothing.
func (d *Def) Validate(value string) string {
	_, wrong := d.Canonical(value)
	return wrong
}

func invalid(value, name, why string) string {
	return "Invalid value " + value + " for configuration " + name + ": " + why
}

func bitsOf(t Type) int {
	switch t {
	case Short:
		return 16
	case Int:
		return 32
	}
	return 64
}

// broken says how a canonical value breaks the rule.
func (d *Def) broken(text string) string {
	switch d.Rule.Kind {
	case Within:
		return d.outside(text)
	case OneOf, OneOfFold:
		parts := []string{text}
		if d.Type == List {
			parts = SplitList(text)
		}
		for _, p := range parts {
			if !slices.ContainsFunc(d.Rule.Choices, func(c string) bool { return c == p || d.Rule.Kind == OneOfFold && strings.EqualFold(c, p) }) {
				return invalid(p, d.Name, "String must be one of: "+strings.Join(d.Rule.Choices, ", "))
			}
		}
	case NotEmpty:
		if text == "" {
			return invalid(text, d.Name, "must be non-empty")
		}
	case ThrottledReplicas:
		return d.badThrottle(text)
	case OffsetReset:
		if text != "latest" && text != "earliest" && !strings.HasPrefix(text, "by_duration:P") {
			return invalid(text, d.Name, "must be latest, earliest or by_duration:PnDTnHnMn.nS")
		}
	case Anything:
	}
	return ""
}

func (d *Def) outside(text string) string {
	r := &d.Rule
	if text == r.Or && r.Or != "" {
		return ""
	}
	low, high := r.Min != "" && lessNumber(text, r.Min), r.Max != "" && lessNumber(r.Max, text)
	switch {
	case (low || high) && r.Or != "":
		return invalid(text, d.Name, "Value must be between "+r.Min+" and "+r.Max+" or equal to "+r.Or)
	case low:
		return invalid(text, d.Name, "Value must be at least "+r.Min)
	case high:
		return invalid(text, d.Name, "Value must be no more than "+r.Max)
	}
	return ""
}

func lessNumber(a, b string) bool {
	x, errX := strconv.ParseInt(a, 10, 64)
	y, errY := strconv.ParseInt(b, 10, 64)
	if errX == nil && errY == nil {
		return x < y
	}
	f, _ := strconv.ParseFloat(a, 64)
	g, _ := strconv.ParseFloat(b, 64)
	return cmp.Less(f, g)
}

func (d *Def) badThrottle(text string) string {
	if text == "*" {
		return ""
	}
	for _, p := range SplitList(text) {
		partition, broker, ok := strings.Cut(p, ":")
		if !ok || !digits(partition) || !digits(broker) {
			return invalid("["+strings.ReplaceAll(text, ",", ", ")+"]", d.Name, d.Name+" must be the literal '*' or a list of replicas "+
				"in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...")
		}
	}
	return ""
}

func digits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// SplitList splits the value of a list: on commas, without the blanks around the parts. Empty text is no part.
func SplitList(text string) []string {
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	parts := strings.Split(text, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// javaDouble turns "d.ddde±xx" into the form in which Java prints a double.
func javaDouble(s string) string {
	mantissa, exponent, ok := strings.Cut(s, "e")
	if !ok {
		return s // Inf, NaN
	}
	exp, _ := strconv.Atoi(exponent)
	sign := ""
	if strings.HasPrefix(mantissa, "-") {
		sign, mantissa = "-", mantissa[1:]
	}
	whole, part, _ := strings.Cut(mantissa, ".")
	figures := whole + part
	if figures == "0" {
		return sign + "0.0"
	}
	if exp < -3 || exp >= 7 {
		if part == "" {
			part = "0"
		}
		return sign + whole + "." + part + "E" + strconv.Itoa(exp)
	}
	if exp < 0 {
		return sign + "0." + strings.Repeat("0", -exp-1) + figures
	}
	if len(figures) <= exp+1 {
		return sign + figures + strings.Repeat("0", exp+1-len(figures)) + ".0"
	}
	return sign + figures[:exp+1] + "." + figures[exp+1:]
}

// nearestMax is how many letters may differ between an unknown name and the known one that is offered for it.
const nearestMax = 6

// NearestBroker names the known broker configuration that is nearest to an unknown one, or "" if none is near.
func NearestBroker(name string) string { return nearest(brokerDefs, name) }

// NearestTopic is NearestBroker for topic configurations.
func NearestTopic(name string) string { return nearest(topicDefs, name) }

// NearestGroup is NearestBroker for group configurations.
func NearestGroup(name string) string { return nearest(groupDefs, name) }

func nearest(defs []Def, name string) string {
	best, found := min(nearestMax, (len(name)+2)/3)+1, ""
	for i := range defs {
		if d := distance(name, defs[i].Name, best); d < best {
			best, found = d, defs[i].Name
		}
	}
	return found
}

// distance counts the letters to change, add, remove or swap with the next one (optimal string alignment); it may stop at limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(change, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
