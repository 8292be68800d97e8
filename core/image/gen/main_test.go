package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is committed is what the tables give.
func TestOutputIsCurrent(t *testing.T) {
	want, err := generate()
	require.NoError(t, err)
	got, err := os.ReadFile("../configs_gen.go")
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "type: go generate ./core/image")
}
