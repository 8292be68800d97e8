package host

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/pprof"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"klamm/core"
)

// serveAdmin serves what operators and orchestrators ask for. stop ends it.
func (n *Node) serveAdmin() (stop func()) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", n.serveMetrics)
	mux.HandleFunc("GET /healthz", n.serveHealth)
	mux.HandleFunc("GET /readyz", n.serveReady)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "klamm admin port\n\n/metrics       Prometheus text\n/healthz       is the process alive\n/readyz        does the node serve, and if not, why\n/debug/pprof/  Go profiles\n")
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	go server.Serve(n.o.Admin)
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
	}
}

// ask gets the machine's report. It reports false if the loop does not answer in time.
func (n *Node) ask() (r *core.Report, alive bool) {
	reporter, ok := n.o.Machine.(core.Reporter)
	answer := make(chan *core.Report, 1)
	n.queue.push(item{what: itemCall, call: func(now core.Now, _ *core.Out) {
		if !ok {
			answer <- nil
			return
		}
		answer <- reporter.Report(now)
	}})
	select {
	case r := <-answer:
		return r, true
	case <-time.After(adminReportWithin):
	case <-n.ended:
	}
	return nil, false
}

func (n *Node) serveHealth(w http.ResponseWriter, _ *http.Request) {
	if _, alive := n.ask(); !alive {
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "the machine's loop does not answer\n")
		return
	}
	io.WriteString(w, "ok\n")
}

func (n *Node) serveReady(w http.ResponseWriter, _ *http.Request) {
	r, alive := n.ask()
	var reasons []string
	switch {
	case !alive:
		reasons = []string{"the machine's loop does not answer"}
	case n.conns.stopping.Load():
		reasons = []string{"stopping"}
	case r != nil && !r.Ready:
		reasons = r.Reasons
		if len(reasons) == 0 {
			reasons = []string{"starting"}
		}
	case !n.ready.Load():
		reasons = []string{"starting"}
	}
	if reasons != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "not ready\n"+strings.Join(reasons, "\n")+"\n")
		return
	}
	io.WriteString(w, "ready\n")
	if r != nil { // what limits it, though it serves
		for _, reason := range r.Reasons {
			io.WriteString(w, reason+"\n")
		}
	}
}

func (n *Node) serveMetrics(w http.ResponseWriter, _ *http.Request) {
	var ms []core.Metric
	r, alive := n.ask()
	if r != nil {
		ms = append(ms, r.Metrics...)
	}
	ms = append(ms, n.ownMetrics(alive)...)
	ms = append(ms, processMetrics(n.started)...)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Write(promText(ms))
}

// ownMetrics are the host's.
func (n *Node) ownMetrics(alive bool) []core.Metric {
	up := int64(0)
	if alive {
		up = 1
	}
	c, f := n.conns, n.files
	gauge := func(name, help string, v int64) core.Metric { return core.Metric{Name: name, Help: help, Value: v} }
	count := func(name, help string, v uint64) core.Metric {
		return core.Metric{Name: name, Help: help, Kind: core.Counter, Value: int64(v)}
	}
	syncTime := count("klamm_file_sync_seconds_total", "Seconds spent in syncs of files.", f.syncNanos.Load())
	syncTime.Scale = 1e9
	return []core.Metric{
		gauge("klamm_loop_answers", "1 if the machine's loop answered this request in time.", up),
		count("kafka_server_socketservermetrics_incoming_byte_total", "Bytes read from sockets.", c.received.Load()),
		count("kafka_server_socketservermetrics_outgoing_byte_total", "Bytes written to sockets.", c.sent.Load()),
		gauge("klamm_sockets", "Open connections, accepted and dialled.", c.live.Load()),
		count("klamm_sockets_accepted_total", "Connections accepted.", c.accepted.Load()),
		count("klamm_sockets_refused_total", "Connections closed at once because too many were open.", c.refused.Load()),
		gauge("klamm_frame_bytes", "Bytes of frames being read or waiting for the loop.", c.budget.used.Load()),
		gauge("klamm_frame_readers_waiting", "Connections that wait because too many bytes of frames are under way.", int64(c.budget.waiting.Load())),
		gauge("klamm_pool_bytes", "Bytes of buffers at rest.", n.pool.bytesResting()),
		count("klamm_file_writes_total", "Writes to files, adjacent ones merged.", f.writes.Load()),
		count("klamm_file_written_bytes_total", "Bytes written to files.", f.written.Load()),
		count("klamm_file_read_bytes_total", "Bytes read from files for the machine.", f.read.Load()),
		count("klamm_file_syncs_total", "Syncs of files.", f.syncs.Load()),
		syncTime,
	}
}

// processMetrics are those of the process and of Go, by the names that dashboards know.
func processMetrics(started time.Time) []core.Metric {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(samples)
	value := func(i int) int64 {
		if samples[i].Value.Kind() == metrics.KindUint64 {
			return int64(samples[i].Value.Uint64())
		}
		return 0
	}
	var ru unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &ru)
	cpu := ru.Utime.Nano() + ru.Stime.Nano()
	ms := []core.Metric{
		{Name: "process_cpu_seconds_total", Help: "User and system CPU time.", Kind: core.Counter, Value: cpu, Scale: 1e9},
		{Name: "process_cpu_user_seconds_total", Help: "User CPU time.", Kind: core.Counter, Value: ru.Utime.Nano(), Scale: 1e9},
		{Name: "process_start_time_seconds", Help: "Start of the process, seconds since 1970.", Value: started.UnixMilli(), Scale: 1000},
		{Name: "process_resident_memory_bytes", Help: "Resident memory.", Value: residentBytes()},
		{Name: "process_open_fds", Help: "Open file descriptors.", Value: openFiles()},
		{Name: "go_goroutines", Help: "Goroutines.", Value: int64(runtime.NumGoroutine())},
		{Name: "go_memstats_heap_alloc_bytes", Help: "Bytes of live heap objects.", Value: value(0)},
		{Name: "go_memstats_sys_bytes", Help: "Bytes obtained from the system.", Value: value(1)},
		{Name: "go_gc_cycles_total", Help: "Garbage collections.", Kind: core.Counter, Value: value(2)},
		{Name: "go_memstats_alloc_bytes_total", Help: "Bytes allocated since the start.", Kind: core.Counter, Value: value(3)},
	}
	return append(ms, core.Metric{Name: "go_info", Help: "Go version.", Value: 1, Labels: []core.Label{{Name: "version", Value: runtime.Version()}}})
}

func residentBytes() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

func openFiles() int64 {
	d, err := os.Open("/proc/self/fd")
	if err != nil {
		return 0
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	return int64(len(names))
}

// promText writes metrics in Prometheus' text format, those of one name together under one head.
func promText(ms []core.Metric) []byte {
	slices.SortStableFunc(ms, func(a, b core.Metric) int { return strings.Compare(a.Name, b.Name) })
	var b bytes.Buffer
	for i := range ms {
		m := &ms[i]
		if i == 0 || ms[i-1].Name != m.Name {
			kind := "gauge"
			if m.Kind == core.Counter {
				kind = "counter"
			}
			if m.Help != "" {
				b.WriteString("# HELP " + m.Name + " " + promHelp.Replace(m.Help) + "\n")
			}
			b.WriteString("# TYPE " + m.Name + " " + kind + "\n")
		}
		b.WriteString(m.Name)
		for j, l := range m.Labels {
			sep := ","
			if j == 0 {
				sep = "{"
			}
			b.WriteString(sep + l.Name + `="` + promLabel.Replace(l.Value) + `"`)
		}
		if len(m.Labels) > 0 {
			b.WriteByte('}')
		}
		b.WriteByte(' ')
		if m.Scale > 1 {
			b.WriteString(strconv.FormatFloat(float64(m.Value)/float64(m.Scale), 'f', -1, 64))
		} else {
			b.WriteString(strconv.FormatInt(m.Value, 10))
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

var (
	promHelp  = strings.NewReplacer("\\", `\\`, "\n", `\n`)
	promLabel = strings.NewReplacer("\\", `\\`, "\n", `\n`, `"`, `\"`)
)
