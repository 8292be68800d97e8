package main

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/client"
	"klamm/core/wire"
	"klamm/host"
)

// A place to begin is read in every form that the help names, and nothing else is.
func TestParseStart(t *testing.T) {
	for s, want := range map[string]client.Start{
		"earliest":              {From: client.FromEarliest},
		"latest":                {From: client.FromLatest},
		"17":                    {From: client.FromOffset, Offset: 17},
		"@1700000000000":        {From: client.FromTime, Timestamp: 1700000000000},
		"@2023-11-14T22:13:20Z": {From: client.FromTime, Timestamp: 1700000000000},
	} {
		got, err := parseStart("--from", s)
		require.NoError(t, err, s)
		require.Equal(t, want, got, s)
	}
	for _, s := range []string{"@1h", "@-1h"} {
		got, err := parseStart("--from", s)
		require.NoError(t, err, s)
		require.WithinDuration(t, time.Now().Add(-time.Hour), time.UnixMilli(got.Timestamp), time.Minute)
	}
	for _, s := range []string{"", "-5", "beginning", "@", "@yesterday"} {
		_, err := parseStart("--from", s)
		require.Error(t, err, s)
	}
}

// A record is printed as the template says, and null is not the empty string.
func TestPrintMessage(t *testing.T) {
	m := client.Message{At: core.TopicPartition{Topic: "t", Partition: 2}, Record: batch.Record{
		Offset: 5, Timestamp: 9, Key: nil, Value: []byte("v"), Headers: []batch.Header{{Key: "a", Value: []byte("b")}, {Key: "n"}},
	}}
	format := "text"
	c := consume{null: "NULL", format: &format}
	show := func(print string) (string, error) {
		var b bytes.Buffer
		w := bufio.NewWriter(&b)
		c.print = print
		err := c.printMessage(w, &m)
		w.Flush()
		return b.String(), err
	}
	for print, want := range map[string]string{
		"{value}":                            "v\n",
		"key,value,offset":                   "NULL\tv\t5\n",
		`{topic}-{partition}@{timestamp}\t!`: "t-2@9\t!\n",
		"{headers}":                          "a=b,n=NULL\n",
	} {
		got, err := show(print)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, print := range []string{"{nonsense}", "{value"} {
		_, err := show(print)
		require.Error(t, err)
	}
	format = "json"
	m.Value = []byte{0xff}
	got, err := show("")
	require.NoError(t, err)
	require.JSONEq(t, `{"topic":"t","partition":2,"offset":5,"timestamp":9,"key":null,"value":{"base64":"/w=="},"headers":[{"key":"a","value":"b"},{"key":"n","value":null}]}`, got)
}

// Lines end at a line feed, with or without a carriage return; the last needs no end; empty ones count.
func TestReadLine(t *testing.T) {
	r := bufio.NewReaderSize(strings.NewReader("a\r\n\n"+strings.Repeat("x", 100)+"\nlast"), 16)
	for _, want := range []string{"a", "", strings.Repeat("x", 100), "last"} {
		line, _ := readLine(r)
		require.NotNil(t, line)
		require.Equal(t, want, string(line))
	}
	line, err := readLine(r)
	require.Nil(t, line)
	require.Error(t, err)
}

// Errors say what happened and what to type next.
func TestExplain(t *testing.T) {
	c := &connection{bootstrap: "127.0.0.1:1", timeout: time.Second}
	_, err := c.open(hostOptions())
	require.ErrorContains(t, err, "connection refused")
	require.ErrorContains(t, err, "dev")
	err = c.explain(client.Failure{Code: wire.UnknownTopicOrPartition, Text: "topic x"})
	require.ErrorContains(t, err, "topic create")
	require.ErrorContains(t, err, "topic x")
	c.bootstrap = "nonsense"
	_, err = c.open(hostOptions())
	require.ErrorContains(t, err, "not an address")
}

func hostOptions() (o host.ClientOptions) { return o }
