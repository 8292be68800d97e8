// Page opens a page that klamm sim trace --html wrote in a headless Chromium, without a network, and uses it as a person would: it
// waits until all is there, moves the slider, presses keys, searches, clicks. It fails if the page does not do what it should, throws, or
// takes too long. Without a browser it fails too.
//
//	go run ./.ci/page -html run.html [-least 100000 -within 3s] [-shot run.png] [-dark] [-broken]
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

var (
	file    = flag.String("html", "", "the page")
	least   = flag.Int("least", 0, "it must hold at least so many events,")
	within  = flag.Duration("within", 3*time.Second, "and be ready so soon after it is opened")
	shot    = flag.String("shot", "", "take a picture to this file")
	dark    = flag.Bool("dark", false, "in the dark")
	broken  = flag.Bool("broken", false, "the run broke a rule: the verdict must be shown and its pins lead somewhere")
	size    = flag.String("size", "1600x1000", "of the window")
	look    = flag.Bool("look", false, "check nothing but that it is ready")
	scripts list
)

type list []string

func (l *list) String() string     { return strings.Join(*l, "; ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func main() {
	flag.Var(&scripts, "eval", "run this in the page before the picture is taken, and print what it comes to; may be given often")
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "page:", err)
		os.Exit(1)
	}
}

// findBrowser looks for Chromium under the names that it goes by.
func findBrowser() (string, error) {
	for _, name := range []string{"chromium", "chromium-headless-shell", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("no Chromium on this machine: nothing is known of the page (Debian: apt-get install chromium)")
}

func run() error {
	path, err := findBrowser()
	if err != nil {
		return err
	}
	page, err := filepath.Abs(*file)
	if err != nil {
		return err
	}
	if _, err := os.Stat(page); err != nil {
		return err
	}
	b, err := startBrowser(path)
	if err != nil {
		return err
	}
	defer b.stop()
	var width, height int
	if _, err := fmt.Sscanf(*size, "%dx%d", &width, &height); err != nil {
		return err
	}
	start := time.Now()
	if err := b.open("file://"+page, width, height, *dark); err != nil {
		return err
	}
	took, err := ready(b, start)
	if err != nil {
		return err
	}
	events, err := number(b, "M.events")
	if err != nil {
		return err
	}
	fmt.Printf("page: %d events, ready after %d ms (%d ms with the start of its tab)\n", events, took, time.Since(start).Milliseconds())
	switch {
	case events < *least:
		return fmt.Errorf("the page holds %d events, fewer than %d: this says nothing of a large one", events, *least)
	case *least > 0 && time.Duration(took)*time.Millisecond > *within:
		return fmt.Errorf("it took %d ms to load, more than %s", took, *within)
	}
	if !*look {
		if err := use(b); err != nil {
			return err
		}
	}
	for _, s := range scripts {
		r, err := b.eval(s)
		if err != nil {
			return err
		}
		fmt.Println(r)
	}
	if *shot != "" {
		time.Sleep(300 * time.Millisecond) // a frame is drawn later than it is asked for
		return b.shot(*shot)
	}
	return nil
}

// ready waits until the page says that it is, and returns after how many milliseconds of its own clock that was.
func ready(b *browser, start time.Time) (int, error) {
	for time.Since(start) < 30*time.Second {
		r, err := b.eval("document.body ? document.body.dataset.failed || document.body.dataset.ready || '' : ''")
		if err != nil {
			return 0, err
		}
		if ms, err := strconv.Atoi(r); err == nil {
			return ms, nil
		} else if r != "" {
			return 0, fmt.Errorf("the page says: %s", r)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return 0, fmt.Errorf("the page was not ready within 30 s")
}

func number(b *browser, script string) (int, error) {
	r, err := b.eval(script)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseFloat(r, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is %q", script, r)
	}
	return int(n), nil
}

// check is something that is done, and what must be another text afterwards.
type check struct {
	what  string
	do    func(b *browser) error
	reads string // script
	wants func(before, after string) bool
}

func changed(before, after string) bool { return before != after && after != "" }

func script(s string) func(b *browser) error {
	return func(b *browser) error { _, err := b.eval(s); return err }
}

func press(k string) func(b *browser) error { return func(b *browser) error { return b.key(k) } }

const (
	stateText = "document.getElementById('state').innerText"
	picture   = "canvas.toDataURL()"
	slide     = "(() => { const s = document.getElementById('slider'); s.value = Math.round(s.max * %s); s.dispatchEvent(new Event('input')); })()"
)

// checks are what a page must do.
func checks() []check {
	list := []check{
		{"the slider changes the state that is shown", script(fmt.Sprintf(slide, "0.3")), stateText, changed},
		{"the slider changes it again", script(fmt.Sprintf(slide, "0.6")), stateText, func(a, z string) bool { return changed(a, z) && strings.Contains(z, "life") }},
		{"the right arrow goes one step on", press("ArrowRight"), "view.step", func(a, z string) bool { x, _ := strconv.Atoi(a); y, _ := strconv.Atoi(z); return y == x+1 }},
		{"+ zooms in", press("+"), "String((view.x1-view.x0)/extent())", changed},
		{"and the picture is another one", press("+"), picture, changed},
		{"dragging the picture moves it", func(b *browser) error { return b.drag(600, 500, 450, 500) }, "String(view.x0)", changed},
		{"the wheel with Ctrl zooms", func(b *browser) error { return b.wheel(600, 500, -200) }, "String(view.x1-view.x0)", changed},
		{"t changes the axis", press("t"), "view.axis", changed},
		{"f shows the whole run", press("f"), "String((view.x1-view.x0)/extent())", func(_, z string) bool { return z == "1" }},
		{"/ goes to the search", press("/"), "document.activeElement.id", func(_, z string) bool { return z == "search" }},
		{"a search finds something", script("(() => { const s = document.getElementById('search'); s.value = 'is ready'; search(s.value); s.blur(); })()"), "String(hitList.length)", func(_, z string) bool { n, _ := strconv.Atoi(z); return n > 0 }},
		{"n goes to a hit", press("n"), "JSON.stringify(view.selected)", changed},
		{"the list shows rows, and only those in sight", script("(() => { document.getElementById('search').value=''; search(''); openTab('list'); })()"), "String(document.querySelectorAll('#rowsIn .row').length)", func(_, z string) bool { n, _ := strconv.Atoi(z); return n > 5 && n < 200 }},
		{"a filter leaves less", script("(() => { filter.nodes.add(0); filtered(); })()"), "String(passing.length)", func(a, z string) bool { x, _ := strconv.Atoi(a); y, _ := strconv.Atoi(z); return y < x && y > 0 }},
		{"and more again without", script("(() => { filter.nodes.clear(); filtered(); })()"), "String(passing.length)", changed},
	}
	if *broken {
		list = append(list,
			check{"the verdict is shown", script(""), "document.getElementById('verdict').innerText", func(_, z string) bool { return strings.Contains(z, "at step") }},
			check{"it has pins", script(""), "String(M.verdict.Pins.length)", func(_, z string) bool { n, _ := strconv.Atoi(z); return n >= 2 }},
			check{"v goes to one of them", press("v"), "view.step", changed})
	}
	return list
}

// use does what a person does.
func use(b *browser) error {
	if _, err := b.eval("openTab('state')"); err != nil {
		return err
	}
	for _, c := range checks() {
		before, err := b.eval(c.reads)
		if err != nil {
			return err
		}
		if err := c.do(b); err != nil {
			return fmt.Errorf("%s: %w", c.what, err)
		}
		time.Sleep(100 * time.Millisecond)
		after, err := b.eval(c.reads)
		if err != nil {
			return err
		}
		if !c.wants(before, after) {
			return fmt.Errorf("%s: it does not (before %.80q, after %.80q)", c.what, before, after)
		}
	}
	if err := clickMessage(b); err != nil {
		return err
	}
	fmt.Printf("page: %d things that a person does, done\n", len(checks())+1)
	return nil
}

// clickMessage clicks on an arrow and looks whether it is decoded.
func clickMessage(b *browser) error {
	if _, err := b.eval("(() => { const s = C.frameSentStep[C.frameSentStep.length >> 1]; view.axis === 'step' || toggleAxis(); moveTo(s); setView(s - 40, s + 40); tracks.scrollTop = 0; draw(); })()"); err != nil {
		return err
	}
	time.Sleep(100 * time.Millisecond)
	// The middle of the first arrow that can be seen whole, in coordinates of the window.
	at, err := b.eval("(() => { const r = canvas.getBoundingClientRect(); for (const [x0, y0, x1, y1, i] of lines) { const x = (x0 + x1) / 2, y = (y0 + y1) / 2; if (x > GUTTER + 5 && x < width - 5 && y > 5 && y < height - 5 && (under(x, y) || [])[0] === SENT) return Math.round(r.left + x) + ' ' + Math.round(r.top + y); } return ''; })()")
	if err != nil {
		return err
	}
	var x, y int
	if _, err := fmt.Sscanf(at, "%d %d", &x, &y); err != nil {
		return fmt.Errorf("no message can be seen in the middle of the run")
	}
	if err := b.click(x, y); err != nil {
		return err
	}
	time.Sleep(300 * time.Millisecond)
	text, err := b.eval("document.getElementById('event').innerText")
	if err != nil {
		return err
	}
	if !strings.Contains(text, "correlation id") {
		return fmt.Errorf("a click on a message does not decode it: %.200q", text)
	}
	return nil
}
