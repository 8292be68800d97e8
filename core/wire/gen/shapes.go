package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// layout lays the structures of all messages one behind the other and remembers where each begins.
type layout struct {
	parts  []string
	shapes map[string]string // by kind: the entries of a table by key
}

// member is one row of a message.
type member struct{ path, name, typ, versions, nullable, tag string }

func shapes(b *bytes.Buffer, rows [][]string) {
	l := layout{shapes: map[string]string{}}
	of := map[string][][]string{}
	for _, r := range rows {
		of[r[0]] = append(of[r[0]], r)
	}
	for _, r := range rows {
		if r[3] == "" {
			l.message(r, of[r[0]])
		}
	}
	fmt.Fprintf(b, "// parts are the fields of all structures of all messages, those of one structure side by side.\nvar parts = [...]part{\n%s}\n\n", strings.Join(l.parts, ""))
	for _, kind := range []string{"request", "response"} {
		fmt.Fprintf(b, "// %sShapes says for each API key where the parts of its %s lie.\nvar %sShapes = [...]shape{\n%s}\n\n", kind, kind, kind, l.shapes[kind])
	}
}

func (l *layout) message(head []string, rows [][]string) {
	under := map[string][]member{}
	for _, r := range rows {
		if r[3] == "" || r[4] == "struct" {
			continue
		}
		parent, name := "", r[3]
		if i := strings.LastIndex(name, "."); i >= 0 {
			parent, name = name[:i], name[i+1:]
		}
		under[parent] = append(under[parent], member{r[3], name, r[4], r[5], r[6], r[8]})
	}
	from, to := l.structure(under, "")
	least, most := bounds(head[4])
	flexible := 1<<15 - 1
	if head[5] != "none" {
		flexible, _ = bounds(head[5])
	}
	l.shapes[head[2]] += fmt.Sprintf("\t%s: {%d, %d, %d, %d, %d}, // %s\n", head[1], from, to, least, most, flexible, head[0])
}

// bounds reads a range of versions; an open one ends at the greatest int16.
func bounds(s string) (from, to int) {
	if v, open := strings.CutSuffix(s, "+"); open {
		from, _ = strconv.Atoi(v)
		return from, 1<<15 - 1
	}
	a, b, isRange := strings.Cut(s, "-")
	from, _ = strconv.Atoi(a)
	if to = from; isRange {
		to, _ = strconv.Atoi(b)
	}
	return from, to
}

var widths = map[string]int{"bool": 1, "int8": 1, "int16": 2, "uint16": 2, "int32": 4, "int64": 8, "float64": 8, "uuid": 16}

// structure lays out the structure at a path, inner ones first.
func (l *layout) structure(under map[string][]member, path string) (from, to int) {
	var lines []string
	for _, m := range under[path] {
		elem, array := strings.CutPrefix(m.typ, "[]")
		kind, inner := "fixed", "0, 0"
		switch {
		case widths[elem] > 0:
			inner = fmt.Sprintf("%d, 0", widths[elem])
		case elem == "string":
			kind = "text"
		case elem == "bytes" || elem == "records":
			kind = "blob"
		default:
			kind = "inner"
			where := m.path
			if under[where] == nil {
				where = "@" + elem
			}
			a, b := l.structure(under, where)
			inner = fmt.Sprintf("%d, %d", a, b)
		}
		tag := "-1"
		if m.tag != "" {
			tag = m.tag
		}
		first, last := bounds(m.versions)
		lines = append(lines, fmt.Sprintf("\t{%s, %t, %t, %s, %d, %d, %s}, // %s.%s\n", kind, array, m.nullable != "" && !array, tag, first, last, inner, path, m.name))
	}
	from = len(l.parts)
	l.parts = append(l.parts, lines...)
	return from, len(l.parts)
}
