package checker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The picture shows what was done, and needs nothing from anywhere.
func TestPictures(t *testing.T) {
	history := []Register{{Client: 1, Invoke: 1, Return: 2, Outcome: OK, Write: true, Value: 7}, {Client: 2, Invoke: 3, Return: 4, Outcome: OK, Value: None}}
	require.NotEmpty(t, CheckRegister("I50", "x", history))
	page := DrawRegister(history)
	require.Contains(t, page, "write 7")
	require.Contains(t, page, "read nothing")
	page = DrawTopic([]TopicOp{{Client: 1, Invoke: 1, Return: 2, Outcome: OK, Kind: CreateTopic, ID: "a", Partitions: 2}, {Client: 1, Invoke: 3, Return: 4, Outcome: OK, Kind: CreateTopic, ID: "b", Partitions: 1}})
	require.Contains(t, page, "create a 2 partitions")
	for _, bad := range []string{"src=\"http", "href=\"http", "@import"} {
		require.NotContains(t, page, bad)
	}
}
