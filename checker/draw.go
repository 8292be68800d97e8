package checker

import (
	"strconv"
	"strings"

	"github.com/anishathalye/porcupine"
)

// DrawRegister is porcupine's picture of a register's history, as an HTML page that needs nothing else: each operation from its start to
// its end, and the longest orders that explain a part of them.
func DrawRegister(history []Register) string {
	m := registerModel
	m.DescribeOperation = func(input, _ any) string {
		in := input.(Register)
		switch {
		case in.Write && in.Outcome == Unknown:
			return "write " + valueText(in.Value) + ", unknown"
		case in.Write:
			return "write " + valueText(in.Value)
		}
		return "read " + valueText(in.Value)
	}
	return drawn(m, registerOps(history))
}

func valueText(v int64) string {
	if v == None {
		return "nothing"
	}
	return strconv.FormatInt(v, 10)
}

// DrawTopic is the same of the operations on one topic name.
func DrawTopic(history []TopicOp) string {
	m := topicModel
	m.DescribeOperation = func(input, _ any) string {
		in := input.(TopicOp)
		text := [...]string{"create", "delete", "grow", "describe"}[in.Kind]
		if in.ID != "" {
			text += " " + in.ID
		}
		if in.Partitions > 0 {
			text += " " + strconv.Itoa(int(in.Partitions)) + " partitions"
		}
		switch {
		case in.Refused:
			text += ", refused"
		case in.Outcome == Unknown:
			text += ", unknown"
		}
		return text
	}
	return drawn(m, topicOps(history))
}

func drawn(m porcupine.NondeterministicModel, ops []porcupine.Operation) string {
	model := m.ToModel()
	_, info := porcupine.CheckOperationsVerbose(model, ops, 0)
	var b strings.Builder
	if err := porcupine.Visualize(model, info, &b); err != nil { // its data are no JSON: there is nothing to show
		return ""
	}
	return b.String()
}
