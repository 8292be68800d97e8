package main

import (
	"bytes"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"strings"
)

// File is one generated file.
type File struct {
	Name string
	Text []byte
	Err  error
}

// Files makes every generated file from the tables in dir.
func Files(dir string) []File {
	var files []File
	for _, f := range []struct {
		name, table string
		make        func(*bytes.Buffer, [][]string)
	}{
		{"apis_gen.go", "apis.tsv", apis},
		{"codes_gen.go", "errors.tsv", codes},
		{"records_gen.go", "records.tsv", records},
		{"shapes_gen.go", "messages.tsv", shapes},
	} {
		rows, err := table(filepath.Join(dir, f.table))
		if err != nil {
			files = append(files, File{Name: f.name, Err: err})
			continue
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, "// Code generated from gen/%s by go generate; DO NOT EDIT.\n\npackage wire\n\n", f.table)
		f.make(&b, rows)
		text, err := format.Source(b.Bytes())
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, b.Bytes())
		}
		files = append(files, File{f.name, text, err})
	}
	return files
}

// table reads a file of tab-separated rows and drops its head.
func table(path string) (rows [][]string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for i, line := range strings.Split(strings.TrimRight(string(text), "\n"), "\n") {
		if i > 0 {
			rows = append(rows, strings.Split(line, "\t"))
		}
	}
	return rows, nil
}

func apis(b *bytes.Buffer, rows [][]string) {
	b.WriteString("// apis holds every API key from 0 on, in order.\nvar apis = [...]api{\n")
	for i, r := range rows {
		if r[0] != fmt.Sprint(i) {
			panic("apis.tsv: keys are not consecutive")
		}
		fmt.Fprintf(b, "\t%s: {%q, %s, %s, %s},\n", r[0], r[1], r[2], r[3], r[4])
	}
	b.WriteString("}\n\n// The API keys.\nconst (\n")
	for _, r := range rows {
		fmt.Fprintf(b, "\tKey%s int16 = %s\n", r[1], r[0])
	}
	b.WriteString(")\n")
}

// camel turns OFFSET_OUT_OF_RANGE into OffsetOutOfRange.
func camel(s string) string {
	var b strings.Builder
	for _, w := range strings.Split(s, "_") {
		switch w {
		case "ID", "API":
			b.WriteString(w)
		default:
			b.WriteString(w[:1] + strings.ToLower(w[1:]))
		}
	}
	return b.String()
}

func codes(b *bytes.Buffer, rows [][]string) {
	b.WriteString("// The error codes.\nconst (\n")
	for _, r := range rows {
		note := ""
		if r[2] == "true" {
			note = " // retriable"
		}
		fmt.Fprintf(b, "\t%s Code = %s%s\n", camel(r[1]), r[0], note)
	}
	b.WriteString(")\n\n// codes holds every code from -1 on, in order.\nvar codes = [...]codeFacts{\n")
	for i, r := range rows {
		if r[0] != fmt.Sprint(i-1) {
			panic("errors.tsv: codes are not consecutive")
		}
		fmt.Fprintf(b, "\t{%q, %s},\n", r[1], r[2])
	}
	b.WriteString("}\n")
}
