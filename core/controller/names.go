package controller

import "slices"

// Names of topics that the cluster itself makes.
const (
	OffsetsTopic      = "__consumer_offsets"
	TransactionsTopic = "__transaction_state"
	ShareStateTopic   = "__share_group_state"
	metadataTopic     = "__cluster_metadata"
)

var internalTopics = []string{OffsetsTopic, ShareStateTopic, TransactionsTopic}

// Internal reports whether a topic belongs to the cluster itself, so that clients may not write to it.
func Internal(topic string) bool { return slices.Contains(internalTopics, topic) }

const topicNameMax = 249

// BadTopicName says what is wrong with a topic's name, in Kafka's words, or nothing.
func BadTopicName(name string) string {
	const prefix = "Topic name is invalid: "
	switch {
	case name == "":
		return prefix + "the empty string is not allowed"
	case name == "." || name == "..":
		return prefix + "'" + name + "' is not allowed"
	case len(name) > topicNameMax:
		return prefix + "the length of '" + name + "' is longer than the max allowed length 249"
	}
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return prefix + "'" + name + "' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
		}
	}
	return ""
}

// tally counts how often each name of a request is given, and tells the first row of each: a name given twice is answered
// once, as a mistake.
type tally struct{ count, first map[string]int }

func tallied(n int, name func(i int) string) tally {
	t := tally{count: make(map[string]int, n), first: make(map[string]int, n)}
	for i := range n {
		s := name(i)
		if t.count[s]++; t.count[s] == 1 {
			t.first[s] = i
		}
	}
	return t
}

// repeated reports whether row i names what an earlier row named, and whether the name is given more than once.
func (t tally) repeated(i int, name string) (told, several bool) {
	return t.first[name] < i, t.count[name] > 1
}
