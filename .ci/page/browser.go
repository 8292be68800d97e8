package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// browser is a headless Chromium that is told what to do through two pipes (--remote-debugging-pipe): one message of JSON each, ended
// by a zero byte.
type browser struct {
	cmd     *exec.Cmd
	in      *os.File
	answers chan answer
	id      int
	session string
	dir     string
}

type answer struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Result json.RawMessage `json:"result"`
	Params json.RawMessage `json:"params"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// answerTime is how long Chromium may take for one answer.
const answerTime = 60 * time.Second

func startBrowser(path string) (*browser, error) {
	dir, err := os.MkdirTemp("", "klamm-page-")
	if err != nil {
		return nil, err
	}
	theirIn, ourOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	ourIn, theirOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	b := &browser{in: ourOut, answers: make(chan answer, 1000), dir: dir}
	b.cmd = exec.Command(path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars=false", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--user-data-dir="+dir, "--remote-debugging-pipe", "about:blank")
	b.cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	theirIn.Close()
	theirOut.Close()
	go b.listen(ourIn)
	return b, nil
}

func (b *browser) listen(from *os.File) {
	defer close(b.answers)
	r := bufio.NewReaderSize(from, 1<<20)
	for {
		text, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var a answer
		if json.Unmarshal(text[:len(text)-1], &a) == nil && (a.ID > 0 || a.Method == "Runtime.exceptionThrown") {
			b.answers <- a
		}
	}
}

// call says one thing and waits for its answer.
func (b *browser) call(method string, params map[string]any) (json.RawMessage, error) {
	b.id++
	m := map[string]any{"id": b.id, "method": method, "params": params}
	if b.session != "" {
		m["sessionId"] = b.session
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	if _, err := b.in.Write(append(text, 0)); err != nil {
		return nil, err
	}
	late := time.After(answerTime)
	for {
		select {
		case a, ok := <-b.answers:
			switch {
			case !ok:
				return nil, errors.New("the browser has ended")
			case a.Method == "Runtime.exceptionThrown":
				return nil, fmt.Errorf("the page has thrown: %s", a.Params)
			case a.ID != b.id:
				continue
			case a.Error != nil:
				return nil, fmt.Errorf("%s: %s", method, a.Error.Message)
			}
			return a.Result, nil
		case <-late:
			return nil, fmt.Errorf("%s: no answer within %s", method, answerTime)
		}
	}
}

// open opens a page of a size, as it is in the light or in the dark.
func (b *browser) open(url string, width, height int, dark bool) error {
	b.session = ""
	var target struct{ TargetID string }
	var attached struct{ SessionID string }
	if err := b.into(&target, "Target.createTarget", map[string]any{"url": "about:blank"}); err != nil {
		return err
	}
	if err := b.into(&attached, "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}); err != nil {
		return err
	}
	b.session = attached.SessionID
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	for _, c := range []struct {
		method string
		params map[string]any
	}{
		{"Runtime.enable", nil}, {"Page.enable", nil},
		{"Network.enable", nil},
		{"Network.emulateNetworkConditions", map[string]any{"offline": true, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}},
		{"Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}},
		{"Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}},
		{"Page.navigate", map[string]any{"url": url}},
	} {
		if _, err := b.call(c.method, c.params); err != nil {
			return err
		}
	}
	return nil
}

func (b *browser) into(v any, method string, params map[string]any) error {
	r, err := b.call(method, params)
	if err != nil {
		return err
	}
	return json.Unmarshal(r, v)
}

// eval runs a script in the page and returns what it comes to, as text.
func (b *browser) eval(script string) (string, error) {
	var r struct {
		Result struct {
			Value any `json:"value"`
		} `json:"result"`
		ExceptionDetails json.RawMessage `json:"exceptionDetails"`
	}
	if err := b.into(&r, "Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true, "awaitPromise": true}); err != nil {
		return "", err
	}
	if r.ExceptionDetails != nil {
		return "", fmt.Errorf("%s: %s", script, r.ExceptionDetails)
	}
	if r.Result.Value == nil {
		return "", nil
	}
	return fmt.Sprint(r.Result.Value), nil
}

// key presses a key as a person would.
func (b *browser) key(key string) error {
	for _, kind := range []string{"keyDown", "keyUp"} {
		p := map[string]any{"type": kind, "key": key}
		if len(key) == 1 && kind == "keyDown" {
			p["text"] = key
		}
		if _, err := b.call("Input.dispatchKeyEvent", p); err != nil {
			return err
		}
	}
	return nil
}

// click presses the left button at a place.
func (b *browser) click(x, y int) error {
	for _, kind := range []string{"mouseMoved", "mousePressed", "mouseReleased"} {
		if _, err := b.call("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}); err != nil {
			return err
		}
	}
	return nil
}

// drag presses the left button at a place, moves, and lets go at another.
func (b *browser) drag(x0, y0, x1, y1 int) error {
	for _, m := range []struct {
		kind string
		x, y int
	}{{"mouseMoved", x0, y0}, {"mousePressed", x0, y0}, {"mouseMoved", (x0 + x1) / 2, (y0 + y1) / 2}, {"mouseMoved", x1, y1}, {"mouseReleased", x1, y1}} {
		if _, err := b.call("Input.dispatchMouseEvent", map[string]any{"type": m.kind, "x": m.x, "y": m.y, "button": "left", "buttons": 1, "clickCount": 1}); err != nil {
			return err
		}
	}
	return nil
}

// wheel turns the wheel at a place, with Ctrl.
func (b *browser) wheel(x, y, by int) error {
	_, err := b.call("Input.dispatchMouseEvent", map[string]any{"type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": by, "modifiers": 2})
	return err
}

func (b *browser) shot(path string) error {
	var r struct{ Data string }
	if err := b.into(&r, "Page.captureScreenshot", map[string]any{"format": "png"}); err != nil {
		return err
	}
	png, err := base64.StdEncoding.DecodeString(r.Data)
	if err != nil {
		return err
	}
	return os.WriteFile(path, png, 0o644)
}

func (b *browser) stop() {
	b.session = ""
	_, _ = b.call("Browser.close", nil)
	done := make(chan struct{})
	go func() { _ = b.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		_ = b.cmd.Process.Kill()
		<-done
	}
	_ = os.RemoveAll(b.dir)
}
