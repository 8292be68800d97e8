package main

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// record is one message of records.tsv.
type record struct {
	name, key, kind string
	most            int // newest version
	fields          []field
	structs         []structure
}

type structure struct {
	name   string
	fields []field
}

type field struct {
	name, typ string // as in the table
	from      int    // first version
	nullable  bool
	tag       int // or -1
	def       string
	entity    string
}

// renamed gives the shared structs names that say whose they are.
var renamed = map[string]string{
	"LeaderChangeMessage.Voter": "LeaderChangeVoter", "VotersRecord.Endpoint": "VoterEndpoint", "ClientQuotaRecord.EntityData": "QuotaEntity",
	"ConsumerGroupTargetAssignmentMemberValue.TopicPartition": "TargetPartitions", "ConsumerGroupCurrentMemberAssignmentValue.TopicPartitions": "CurrentPartitions",
	"ConsumerGroupMemberMetadataValue.ClassicMemberMetadata": "ClassicMemberMetadata",
}

func records(b *bytes.Buffer, rows [][]string) {
	all := parse(rows)
	b.WriteString("import \"klamm/core\"\n\n")
	for _, r := range all {
		r.write(b)
	}
	b.WriteString("// NewRecord makes a metadata record with its defaults, or nil for an unknown key.\nfunc NewRecord(key int16) Record {\n\tswitch key {\n")
	for _, r := range all {
		if r.kind == "metadata" {
			fmt.Fprintf(b, "\tcase %s:\n\t\treturn New%s()\n", r.key, r.name)
		}
	}
	b.WriteString("\t}\n\treturn nil\n}\n")
}

func parse(rows [][]string) (all []*record) {
	byName := map[string]*record{}
	for _, row := range rows {
		r := byName[row[0]]
		if r == nil {
			r = &record{name: row[0], key: row[1], kind: row[2]}
			byName[row[0]], all = r, append(all, r)
		}
		r.add(row[3], row)
	}
	slices.SortStableFunc(all, func(a, c *record) int { return a.order() - c.order() })
	return all
}

func (r *record) order() int {
	if r.key == "" {
		return 1000 // control records come last
	}
	n, _ := strconv.Atoi(r.key)
	return n
}

func (r *record) add(path string, row []string) {
	from, open := strings.CutSuffix(row[5], "+")
	if !open {
		from, _, _ = strings.Cut(from, "-")
	}
	f := field{typ: row[4], nullable: row[6] != "", tag: -1, def: row[9], entity: row[10]}
	f.from, _ = strconv.Atoi(from)
	if row[8] != "" {
		f.tag, _ = strconv.Atoi(row[8])
	}
	r.most = max(r.most, f.from)
	if path == "" || row[4] == "struct" {
		return
	}
	parent, name := "", path
	if i := strings.LastIndex(path, "."); i >= 0 {
		parent, name = path[:i], path[i+1:]
	}
	f.name = goName(name)
	if elem := strings.TrimPrefix(f.typ, "[]"); elem[0] >= 'A' && elem[0] <= 'Z' {
		f.typ = strings.Replace(f.typ, elem, r.structName(elem), 1)
	}
	if parent == "" {
		r.fields = append(r.fields, f)
		return
	}
	owner := r.ownerOf(parent)
	for i := range r.structs {
		if r.structs[i].name == owner {
			r.structs[i].fields = append(r.structs[i].fields, f)
			return
		}
	}
	r.structs = append(r.structs, structure{owner, []field{f}})
}

func (r *record) structName(s string) string {
	if n := renamed[r.name+"."+s]; n != "" {
		return n
	}
	return s
}

// ownerOf finds the struct type of the field at a dotted path; "@Name" is a shared struct itself.
func (r *record) ownerOf(path string) string {
	if name, shared := strings.CutPrefix(path, "@"); shared {
		return r.structName(name)
	}
	fields := r.fields
	var typ string
	for _, step := range strings.Split(path, ".") {
		for _, f := range fields {
			if f.name == goName(step) {
				typ = strings.TrimPrefix(f.typ, "[]")
			}
		}
		for _, s := range r.structs {
			if s.name == typ {
				fields = s.fields
			}
		}
	}
	return typ
}

func goName(s string) string {
	if s == "Key" { // the method's name
		return "QuotaKey"
	}
	for _, p := range [][2]string{{"Ids", "IDs"}, {"Id", "ID"}, {"Isr", "ISR"}, {"Elr", "ELR"}} {
		if rest, ok := strings.CutSuffix(s, p[0]); ok {
			return rest + p[1]
		}
	}
	return s
}

// goType is the Go type of a field; scalars that the core has a type for get it.
func (f field) goType() string {
	elem, array := strings.CutPrefix(f.typ, "[]")
	g := elem
	switch {
	case elem == "uuid" && f.name == "TopicID":
		g = "core.TopicID"
	case elem == "uuid":
		g = "UUID"
	case elem == "float64":
		g = "uint64"
	case elem == "bytes":
		g = "[]byte"
	case elem == "int32" && (f.entity == "brokerId" || f.name == "ISR" || f.name == "VoterID" || f.name == "ControllerID"):
		g = "core.NodeID"
	case elem == "int32" && f.name == "LeaderEpoch":
		g = "core.Epoch"
	case elem == "int32" && f.name == "PartitionEpoch":
		g = "core.PartitionEpoch"
	case elem == "int64" && (f.name == "BrokerEpoch" || f.name == "Epoch"):
		g = "core.BrokerEpoch"
	case elem == "string" && f.nullable && !array:
		g = "*string"
	case isStruct(elem) && f.nullable && !array:
		g = "*" + elem
	}
	if array {
		return "[]" + g
	}
	return g
}

func (r *record) write(b *bytes.Buffer) {
	what := "control record"
	switch r.kind {
	case "metadata":
		what = "metadata record " + r.key
	case "group":
		what = "value of a record of a group (KIP-848)"
	}
	fmt.Fprintf(b, "// %s is the %s, versions 0 to %d.%s\ntype %s struct {\n", r.name, what, r.most, r.defaultsNote(), r.name)
	writeFields(b, r.fields)
	b.WriteString("}\n\n")
	fmt.Fprintf(b, "// New%s makes one with Kafka's defaults.\nfunc New%s() *%s { return &%s{%s} }\n\n", r.name, r.name, r.name, r.name, r.defaults())
	if r.kind == "metadata" {
		fmt.Fprintf(b, "// Key is the record's type.\nfunc (*%s) Key() int16 { return %s }\n\n", r.name, r.key)
	}
	fmt.Fprintf(b, "// MaxVersion is the newest version known.\nfunc (*%s) MaxVersion() int16 { return %d }\n\n", r.name, r.most)
	recv := "m"
	if len(r.fields) == 0 {
		recv = "_"
	}
	fmt.Fprintf(b, "// AppendTo appends the body; fields that the version lacks are left out.\nfunc (%s *%s) AppendTo(b []byte, version int16) []byte {\n", recv, r.name)
	writeAppend(b, r.fields)
	b.WriteString("}\n\n")
	fmt.Fprintf(b, "// ReadFrom reads what AppendTo writes, into a record with its defaults.\nfunc (m *%s) ReadFrom(b []byte, version int16) error {\n\tif version < 0 || version > m.MaxVersion() {\n\t\treturn UnknownRecord{%s, version}\n\t}\n\tr := reader{b: b}\n", r.name, cmp.Or(r.key, "-1"))
	if len(r.fields) == 0 {
		b.WriteString("\treadTags(&r)\n\treturn r.end()\n}\n\n")
	} else {
		b.WriteString("\tm.read(&r, version)\n\treturn r.end()\n}\n\n")
		writeRead(b, r.name, r.fields)
	}
	for _, s := range r.structs {
		fmt.Fprintf(b, "// %s is a part of %s.\ntype %s struct {\n", s.name, r.name, s.name)
		writeFields(b, s.fields)
		fmt.Fprintf(b, "}\n\nfunc (m *%s) appendTo(b []byte, version int16) []byte {\n", s.name)
		writeAppend(b, s.fields)
		b.WriteString("}\n\n")
		writeRead(b, s.name, s.fields)
	}
}

func (r *record) defaults() string {
	var d []string
	for _, f := range r.fields {
		if f.hasDefault() {
			d = append(d, f.name+": "+f.def)
		}
	}
	return strings.Join(d, ", ")
}

func (r *record) defaultsNote() string {
	if r.defaults() == "" {
		return ""
	}
	return fmt.Sprintf(" Its defaults are not\n// all zero: make it by New%s.", r.name)
}

func (f field) hasDefault() bool {
	return f.def != "" && f.def != "0" && f.def != "false" && f.def != "null"
}

func writeFields(b *bytes.Buffer, fields []field) {
	for _, f := range fields {
		var notes []string
		if f.from > 0 {
			notes = append(notes, fmt.Sprintf("v%d+", f.from))
		}
		if f.tag >= 0 {
			notes = append(notes, fmt.Sprintf("tag %d", f.tag))
		}
		if f.nullable {
			notes = append(notes, "nil is null")
		}
		if f.hasDefault() {
			notes = append(notes, "default "+f.def)
		}
		if f.typ == "float64" {
			notes = append(notes, "the bits of an IEEE 754 double")
		}
		note := ""
		if len(notes) > 0 {
			note = " // " + strings.Join(notes, ", ")
		}
		fmt.Fprintf(b, "\t%s %s%s\n", f.name, f.goType(), note)
	}
}

func since(b *bytes.Buffer, f field, body string) {
	if f.from == 0 {
		b.WriteString(body)
		return
	}
	fmt.Fprintf(b, "\tif version >= %d {\n%s\t}\n", f.from, body)
}

func isStruct(elem string) bool { return elem[0] >= 'A' && elem[0] <= 'Z' }

// appendOne is the statement that appends the value v of an element type.
func appendOne(elem, v string, nullable bool) string {
	switch elem {
	case "bool":
		return "b = appendBool(b, " + v + ")\n"
	case "int8":
		return "b = append(b, byte(" + v + "))\n"
	case "int16", "uint16":
		return "b = append16(b, uint16(" + v + "))\n"
	case "int32":
		return "b = append32(b, uint32(" + v + "))\n"
	case "int64", "float64":
		return "b = append64(b, uint64(" + v + "))\n"
	case "uuid":
		return "b = append(b, " + v + "[:]...)\n"
	case "string":
		if nullable {
			return "b = appendNullString(b, " + v + ")\n"
		}
		return "b = appendString(b, " + v + ")\n"
	case "bytes":
		return "b = appendBytes(b, " + v + ")\n"
	}
	return "b = " + v + ".appendTo(b, version)\n"
}

func appendField(f field) string {
	elem, array := strings.CutPrefix(f.typ, "[]")
	if !array && isStruct(elem) && f.nullable { // only tagged ones are known, which are left out when null
		return "b = append(b, 1)\n" + appendOne(elem, "m."+f.name, false)
	}
	if !array {
		return appendOne(elem, "m."+f.name, f.nullable)
	}
	null := "false"
	if f.nullable {
		null = "m." + f.name + " == nil"
	}
	return fmt.Sprintf("b = appendLen(b, len(m.%s), %s)\nfor i := range m.%s {\n%s}\n", f.name, null, f.name, appendOne(elem, "m."+f.name+"[i]", false))
}

// isDefault is the condition under which a tagged field is left out.
func (f field) isDefault() string {
	v := "m." + f.name
	switch {
	case strings.HasPrefix(f.typ, "[]") && f.nullable, f.typ == "string" && f.nullable, isStruct(f.typ) && f.nullable:
		return v + " == nil"
	case strings.HasPrefix(f.typ, "[]"):
		return "len(" + v + ") == 0"
	case f.def == "":
		return v + " == 0"
	}
	return v + " == " + f.def
}

func tagged(fields []field) (tags []field) {
	for _, f := range fields {
		if f.tag >= 0 {
			tags = append(tags, f)
		}
	}
	slices.SortFunc(tags, func(a, c field) int { return a.tag - c.tag })
	return tags
}

func writeAppend(b *bytes.Buffer, fields []field) {
	for _, f := range fields {
		if f.tag < 0 {
			since(b, f, appendField(f))
		}
	}
	tags := tagged(fields)
	if len(tags) == 0 {
		b.WriteString("\treturn append(b, 0)\n")
		return
	}
	b.WriteString("\ttags := 0\n")
	for _, f := range tags {
		fmt.Fprintf(b, "\tif version >= %d && !(%s) {\n\ttags++\n}\n", f.from, f.isDefault())
	}
	b.WriteString("\tb = appendUvarint(b, uint64(tags))\n")
	for _, f := range tags {
		fmt.Fprintf(b, "\tif version >= %d && !(%s) {\n\tvar at int\n\tb, at = openTag(b, %d)\n%s\tb = closeTag(b, at)\n}\n", f.from, f.isDefault(), f.tag, appendField(f))
	}
	b.WriteString("\treturn b\n")
}

// reads is where a statement uses the reader.
var reads = regexp.MustCompile(`\br\.`)

// readOne is the expression that reads an element type.
func readOne(elem, goType string, nullable bool) string {
	var e string
	switch elem {
	case "bool":
		return "r.bool()"
	case "int8", "int16", "int32", "int64", "uint16":
		e = "r." + elem + "()"
		if goType != elem {
			e = goType + "(" + e + ")"
		}
	case "float64":
		e = "uint64(r.int64())"
	case "uuid":
		e = "r.uuid()"
	case "string":
		e = "r.string()"
		if nullable {
			e = "r.nullString()"
		}
	case "bytes":
		e = "r.bytes()"
	}
	return e
}

func readField(f field, r string) string {
	elem, array := strings.CutPrefix(f.typ, "[]")
	target := "m." + f.name
	var out string
	switch {
	case !array && isStruct(elem) && f.nullable:
		out = fmt.Sprintf("if r.int8() < 0 {\n\t%s = nil\n} else {\n\t%s = &%s{}\n\t%s.read(%s, version)\n}\n", target, target, elem, target, r)
	case !array && isStruct(elem):
		out = target + ".read(" + r + ", version)\n"
	case !array:
		out = target + " = " + readOne(elem, f.goType(), f.nullable) + "\n"
	default:
		get := "\tv := " + readOne(elem, strings.TrimPrefix(f.goType(), "[]"), false) + "\n"
		if isStruct(elem) {
			get = "\tvar v " + elem + "\n\tv.read(r, version)\n"
		}
		out = fmt.Sprintf("if n, null := r.length(%t); null {\n\t%s = nil\n} else {\n\t%s = %s{}\n\tfor ; n > 0 && !r.bad; n-- {\n%s\t%s = append(%s, v)\n}\n}\n", f.nullable, target, target, f.goType(), get, target, target)
	}
	return reads.ReplaceAllString(out, r+".")
}

func writeRead(b *bytes.Buffer, name string, fields []field) {
	version := "version"
	if !usesVersion(fields) {
		version = "_"
	}
	fmt.Fprintf(b, "func (m *%s) read(r *reader, %s int16) {\n", name, version)
	for _, f := range fields {
		if f.tag < 0 {
			since(b, f, readField(f, "r"))
		}
	}
	tags := tagged(fields)
	if len(tags) == 0 {
		b.WriteString("\treadTags(r)\n}\n\n")
		return
	}
	b.WriteString("\tfor n := r.tags(); n > 0 && !r.bad; n-- {\n\t\ttag, value := r.tag()\n\t\tswitch {\n")
	for _, f := range tags {
		fmt.Fprintf(b, "\t\tcase tag == %d && version >= %d:\n%s", f.tag, f.from, readField(f, "value"))
	}
	b.WriteString("\t\tdefault:\n\t\t\tvalue.skip()\n\t\t}\n\t\tr.closeTag(value)\n\t}\n}\n\n")
}

func usesVersion(fields []field) bool {
	for _, f := range fields {
		if f.from > 0 || f.tag >= 0 || isStruct(strings.TrimPrefix(f.typ, "[]")) {
			return true
		}
	}
	return false
}
