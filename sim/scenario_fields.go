package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"klamm/core"
)

// fields is the words of one line of a scenario, while they are read or written: the same calls do both, so that what is
// written is what is read. A value that is the default is not written.
type fields struct {
	reading bool
	words   []string // that are left to be read, or that were written
	err     error
}

// wrong notes the first error of a line.
func (f *fields) wrong(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf(format, args...)
	}
}

// take finds the value of a name and takes it off the line.
func (f *fields) take(name string) (value string, there bool) {
	for i, w := range f.words {
		if k, v, ok := strings.Cut(w, "="); ok && k == name {
			f.words = slices.Delete(f.words, i, i+1)
			return v, true
		}
	}
	return "", false
}

// put writes a value.
func (f *fields) put(name, value string) { f.words = append(f.words, name+"="+value) }

// rest is an error if words were not understood.
func (f *fields) rest() error {
	if f.err == nil && f.reading && len(f.words) > 0 {
		f.wrong("%q is not understood here", f.words[0])
	}
	return f.err
}

// flag is a word that is there or not.
func (f *fields) flag(name string, p *bool) {
	if !f.reading {
		if *p {
			f.words = append(f.words, name)
		}
		return
	}
	if i := slices.Index(f.words, name); i >= 0 {
		f.words, *p = slices.Delete(f.words, i, i+1), true
	}
}

// integer is a whole number from least to most.
func integer[T ~int | ~int8 | ~int16 | ~int32 | ~int64](f *fields, name string, p *T, usual, least, most T) {
	if !f.reading {
		if *p != usual {
			f.put(name, strconv.FormatInt(int64(*p), 10))
		}
		return
	}
	*p = usual
	if v, ok := f.take(name); ok {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < int64(least) || n > int64(most) {
			f.wrong("%s=%s: give a whole number from %d to %d", name, v, least, most)
			return
		}
		*p = T(n)
	}
}

// time is a span.
func (f *fields) time(name string, p *core.Time, usual core.Time) {
	if !f.reading {
		if *p != usual {
			f.put(name, span(*p))
		}
		return
	}
	*p = usual
	if v, ok := f.take(name); ok {
		t, ok := parseSpan(v)
		if !ok {
			f.wrong("%s=%s: give a time such as 250ms or 1.5s", name, v)
			return
		}
		*p = t
	}
}

// text is a word.
func (f *fields) text(name string, p *string, usual string) {
	if !f.reading {
		if *p != usual {
			f.put(name, *p)
		}
		return
	}
	*p = usual
	if v, ok := f.take(name); ok {
		*p = v
	}
}

// choice is one of a list of names.
func choice[T ~uint8 | ~int8 | ~int](f *fields, name string, p *T, usual T, names []string) {
	if !f.reading {
		if *p != usual && int(*p) >= 0 && int(*p) < len(names) {
			f.put(name, names[*p])
		}
		return
	}
	*p = usual
	if v, ok := f.take(name); ok {
		i := slices.Index(names, v)
		if i < 0 {
			f.wrong("%s=%s: none of %s", name, v, strings.Join(names, ", "))
			return
		}
		*p = T(i)
	}
}

// list is whole numbers from 0 up to most.
func list[T ~int | ~int32](f *fields, name string, p *[]T, most T) {
	if !f.reading {
		if len(*p) > 0 {
			var words []string
			for _, n := range *p {
				words = append(words, strconv.Itoa(int(n)))
			}
			f.put(name, strings.Join(words, ","))
		}
		return
	}
	if v, ok := f.take(name); ok {
		*p = nil
		for _, w := range strings.Split(v, ",") {
			n, err := strconv.Atoi(w)
			if err != nil || n < 0 || n > int(most) {
				f.wrong("%s=%s: give whole numbers from 0 to %d, with commas", name, v, most)
				return
			}
			*p = append(*p, T(n))
		}
	}
}

// settings are configurations: words whose names have a dot in them.
func (f *fields) settings(p *[][2]string) {
	if !f.reading {
		for _, kv := range *p {
			f.put(kv[0], kv[1])
		}
		return
	}
	var others []string
	for _, w := range f.words {
		if k, v, ok := strings.Cut(w, "="); ok && strings.Contains(k, ".") {
			*p = append(*p, [2]string{k, v})
		} else {
			others = append(others, w)
		}
	}
	f.words = others
}

// span writes a time as seconds or milliseconds, whichever is shorter; it is exact.
func span(t core.Time) string {
	decimal := func(unit core.Time, digits int, name string) string {
		s := strconv.FormatInt(int64(t/unit), 10)
		if rest := t % unit; rest != 0 {
			frac := fmt.Sprintf("%0*d", digits, max(rest, -rest))
			s += "." + strings.TrimRight(frac, "0")
		}
		return s + name
	}
	if t%core.Second == 0 || t >= core.Second {
		return decimal(core.Second, 9, "s")
	}
	return decimal(core.Millisecond, 6, "ms")
}

// parseSpan reads what span writes. Times below zero are none.
func parseSpan(s string) (core.Time, bool) {
	unit, digits := core.Time(0), 0
	number, is := strings.CutSuffix(s, "ms")
	if unit, digits = core.Millisecond, 6; !is {
		if number, is = strings.CutSuffix(s, "s"); !is {
			return 0, false
		}
		unit, digits = core.Second, 9
	}
	whole, frac, _ := strings.Cut(number, ".")
	n, err := strconv.ParseUint(whole, 10, 62)
	if err != nil || n > uint64(core.Never/unit) || len(frac) > digits {
		return 0, false
	}
	rest := uint64(0)
	if frac != "" {
		if rest, err = strconv.ParseUint(frac+strings.Repeat("0", digits-len(frac)), 10, 62); err != nil {
			return 0, false
		}
	}
	t := core.Time(n)*unit + core.Time(rest)
	return t, t >= 0
}
