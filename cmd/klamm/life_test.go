package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain is klamm itself if it is asked to be: the tests below start it as a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("TEST_AS_KLAMM") != "" {
		main()
	}
	os.Exit(m.Run())
}

// process is a klamm that runs.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  *bufio.Reader
	errs bytes.Buffer
}

func startKlamm(t *testing.T, args ...string) *process {
	exe, err := os.Executable()
	require.NoError(t, err)
	p := &process{t: t, cmd: exec.Command(exe, args...)}
	p.cmd.Env = append(os.Environ(), "TEST_AS_KLAMM=1", "TMPDIR="+t.TempDir())
	p.cmd.Stderr = &p.errs
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.out = bufio.NewReader(out)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { p.cmd.Process.Kill() })
	return p
}

// until reads lines until one matches.
func (p *process) until(pattern string) []string {
	re := regexp.MustCompile(pattern)
	for {
		line, err := p.out.ReadString('\n')
		if m := re.FindStringSubmatch(line); m != nil {
			return m
		}
		if err != nil {
			p.cmd.Wait()
			require.FailNow(p.t, "ended without "+pattern, p.errs.String())
		}
	}
}

// stop ends it with a signal and returns its exit code.
func (p *process) stop(sig os.Signal) int {
	p.cmd.Process.Signal(sig)
	io.Copy(io.Discard, p.out)
	p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

func get(t *testing.T, url string) (int, string) {
	r, err := http.Get(url)
	require.NoError(t, err)
	defer r.Body.Close()
	b, _ := io.ReadAll(r.Body)
	return r.StatusCode, string(b)
}

// klamm dev says where it is and what to type next, serves, and stops cleanly.
func TestDevLife(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	begun := time.Now()
	p := startKlamm(t, "dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", data)
	addr := p.until(`Klamm is ready on (\S+) after \d+\.\d+ s`)[1]
	require.Less(t, time.Since(begun), 10*time.Second)
	p.until(`topic create hello --partitions 3 --bootstrap ` + addr)
	admin := p.until(`http://(\S+)/`)[1]
	code, body := get(t, "http://"+admin+"/readyz")
	require.Equal(t, 200, code, body)
	_, body = get(t, "http://"+admin+"/metrics")
	require.Contains(t, body, "kafka_controller_kafkacontroller_activecontrollercount 1")
	code, body = get(t, "http://"+addr+"/") // the wrong port: answered, and told in the log
	require.Equal(t, 400, code)
	require.Contains(t, body, "admin port")

	second := startKlamm(t, "dev", "--listen", "127.0.0.1:0", "--admin", "", "--data", data)
	require.Equal(t, 1, second.stop(syscall.Signal(0)))
	require.Contains(t, second.errs.String(), "in use by another process")

	require.Zero(t, p.stop(syscall.SIGTERM), p.errs.String())
	require.Contains(t, p.errs.String(), "speaks HTTP")
	code, out, _ := klamm("storage", "info", data)
	require.Zero(t, code)
	require.Regexp(t, `last stop +clean`, out)

	p = startKlamm(t, "dev", "--listen", addr, "--admin", "", "--data", data) // the port is free again, the data are ours
	p.until(`Klamm is ready`)
	require.Equal(t, -1, p.stop(syscall.SIGKILL))
	_, out, _ = klamm("storage", "info", data)
	require.Regexp(t, `last stop +unclean`, out)
	p = startKlamm(t, "dev", "--listen", "127.0.0.1:0", "--admin", "", "--data", data)
	p.until(`Klamm is ready`)
	require.Zero(t, p.stop(syscall.SIGINT), p.errs.String())
}

// --ephemeral leaves nothing behind.
func TestEphemeral(t *testing.T) {
	p := startKlamm(t, "dev", "--listen", "127.0.0.1:0", "--admin", "", "--ephemeral")
	p.until(`Klamm is ready`)
	var tmp string
	for _, e := range p.cmd.Env {
		tmp = strings.TrimPrefix(e, "TMPDIR=")
	}
	found, _ := filepath.Glob(filepath.Join(tmp, "klamm-dev-*"))
	require.Len(t, found, 1)
	require.Zero(t, p.stop(syscall.SIGTERM), p.errs.String())
	found, _ = filepath.Glob(filepath.Join(tmp, "klamm-dev-*"))
	require.Empty(t, found)
}

// A directory is formatted once, for one node, and only then does a server take it.
func TestServerLife(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "server.properties")
	data := filepath.Join(dir, "data")
	write := func(node int) {
		require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, "node.id=%d\nprocess.roles=broker,controller\nlisteners=PLAINTEXT://127.0.0.1:0\nlog.dirs=%s\n", node, data), 0o644))
	}
	write(7)
	require.NoError(t, os.Mkdir(data, 0o755))
	code, _, _ := klamm("storage", "info", data)
	require.Equal(t, 1, code)
	p := startKlamm(t, "server", "--config", config, "--admin", "")
	require.Equal(t, 1, p.stop(syscall.Signal(0)))
	require.Contains(t, p.errs.String(), "storage format")

	code, out, errs := klamm("storage", "format", "--config", config, "--cluster-id", "4L6g3nShT-eMCtK--X86sw")
	require.Zero(t, code, errs)
	require.Contains(t, out, "node 7 of cluster 4L6g3nShT-eMCtK--X86sw")
	code, _, errs = klamm("storage", "format", "--config", config)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "formatted already")
	code, out, errs = klamm("storage", "format", "--config", config, "--ignore-formatted", "--format", "json")
	require.Zero(t, code, errs)
	require.Contains(t, out, `"formatted_now": false`)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l.Close()
	p = startKlamm(t, "server", "--config", config, "--admin", l.Addr().String(), "--log-format", "json")
	require.Eventually(t, func() bool {
		r, err := http.Get("http://" + l.Addr().String() + "/readyz")
		if err == nil {
			r.Body.Close()
		}
		return err == nil && r.StatusCode == 200
	}, 10*time.Second, 10*time.Millisecond)
	require.Zero(t, p.stop(syscall.SIGTERM), p.errs.String())
	require.Contains(t, p.errs.String(), `"msg":"listening"`)
	_, out, _ = klamm("storage", "info", data)
	require.Contains(t, out, "4L6g3nShT-eMCtK--X86sw")

	write(8)
	p = startKlamm(t, "server", "--config", config, "--admin", "")
	require.Equal(t, 1, p.stop(syscall.Signal(0)))
	require.Contains(t, p.errs.String(), "belongs to node 7")
}
