package image

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"klamm/core/wire"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
)

// Every table is sorted, since look-ups search by halves; every default is valid; every synonym is known.
func TestDefinitionsAreSound(t *testing.T) {
	for _, defs := range [][]Def{TopicDefs(), BrokerDefs(), GroupDefs()} {
		require.NotEmpty(t, defs)
		require.True(t, slices.IsSortedFunc(defs, func(a, b Def) int { return strings.Compare(a.Name, b.Name) }))
		for i := range defs {
			d := &defs[i]
			if !d.Null && !d.Required && d.Rule.Kind != NotEmpty {
				require.Empty(t, d.Validate(d.Default), d.Name)
				canon, _ := d.Canonical(d.Default)
				require.Equal(t, d.Default, canon, d.Name)
			}
			for _, s := range d.Synonyms {
				require.NotNil(t, BrokerDef(s), "%s: %s", d.Name, s)
			}
			if d.Topic != "" {
				require.NotNil(t, TopicDef(d.Topic), d.Name)
			}
		}
	}
	require.Len(t, TopicDefs(), 34)
	require.Len(t, BrokerDefs(), 363)
	require.Len(t, GroupDefs(), 17)
	require.True(t, slices.IsSortedFunc(topicDocs, func(a, b Property) int { return strings.Compare(a.Name, b.Name) }))
	for i := range TopicDefs() {
		if d := &TopicDefs()[i]; !d.Internal {
			require.NotEmpty(t, Doc(d.Name), d.Name)
		}
	}
}

func TestConfigScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/config", func(t *testing.T, path string) {
		v := View{Image: Empty(), Node: 1}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var b strings.Builder
			lines := strings.Split(strings.TrimSpace(d.Input), "\n")
			switch d.Cmd {
			case "properties":
				props, problems := ParseProperties(d.Input)
				for _, kv := range props {
					fmt.Fprintf(&b, "%q = %q\n", kv.Name, kv.Value)
				}
				for _, p := range problems {
					fmt.Fprintf(&b, "line %d: %s\n", p.Line, p.Text)
				}
			case "static":
				v.Static, _ = ParseProperties(d.Input)
			case "set":
				var records []wire.Record
				for _, line := range lines {
					records = append(records, script(t, d, "config "+line))
				}
				img, _, err := v.Image.Apply(records, v.Image.End()+1, 1)
				require.NoError(t, err)
				v.Image = img
			case "topic":
				for _, name := range lines {
					value := v.Topic("t", name)
					fmt.Fprintf(&b, "%s = %s from %s (%d)\n", name, value.Text, value.Name, value.Source)
				}
			case "broker":
				for _, name := range lines {
					value := v.Broker(name)
					fmt.Fprintf(&b, "%s = %s (%d)", name, value.Text, value.Source)
					for _, o := range v.BrokerValues(BrokerDef(name)) {
						fmt.Fprintf(&b, " [%s %d]", o.Text, o.Source)
					}
					b.WriteByte('\n')
				}
			case "valid":
				for _, line := range lines {
					name, value, _ := strings.Cut(line, "=")
					canon, wrong := TopicDef(name).Canonical(value)
					if wrong != "" {
						fmt.Fprintf(&b, "%s\n", wrong)
						continue
					}
					fmt.Fprintf(&b, "%s = %s\n", name, canon)
				}
			case "nearest":
				for _, name := range lines {
					fmt.Fprintf(&b, "%s: %s, %s\n", name, NearestBroker(name), NearestTopic(name))
				}
			}
			return b.String()
		})
	})
}

// Whatever the text, reading properties and values neither panics nor hangs.
func FuzzConfigText(f *testing.F) {
	for _, s := range []string{"a=b\\\n c", "\\u12", "a:b", "retention.ms=1e3", "0.5", "*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		props, _ := ParseProperties(text)
		require.True(t, slices.IsSortedFunc(props, func(a, b Property) int { return strings.Compare(a.Name, b.Name) }))
		for i := range TopicDefs() {
			canon, wrong := TopicDefs()[i].Canonical(text)
			if wrong == "" {
				again, wrong := TopicDefs()[i].Canonical(canon)
				require.Empty(t, wrong)
				require.Equal(t, canon, again)
			}
		}
		if len(text) < 100 {
			NearestBroker(text)
		}
	})
}
