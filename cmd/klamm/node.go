package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"klamm/core"
	"klamm/core/broker"
	"klamm/core/image"
	"klamm/host"
)

// adminDefault is where the admin port listens unless told otherwise.
const adminDefault = "localhost:9644"

// heapBallast is memory that is never touched, and so costs only address space, but counts as part of the heap: the
// collector waits for as much more garbage before it runs. A broker's own heap is so small that it would run dozens
// of times a second under small requests. (Measured: 6 to 17 % of their CPU time, for 26 MB more after a load and none
// when idle.)
const heapBallast = 24 << 20

// node is what dev and server run.
type node struct {
	config     string // a server.properties text
	from       string // where that came from, for errors
	admin      string // empty: none
	faultLayer string
	log        *slog.Logger
	ready      func(r readyInfo)
	opened     []host.Listener // listeners that are open already; their ports are in config
}

// readyInfo is what a banner tells.
type readyInfo struct {
	config    broker.Config
	addresses []string // of the listeners for clients, as bound
	all       []string // of every listener, with its name
	admin     string
	took      time.Duration
}

// run runs the node until it ends or a signal asks it to.
func (n *node) run() error {
	begun := time.Now()
	ballast := make([]byte, heapBallast)
	defer runtime.KeepAlive(ballast)
	cfg, problems := broker.ParseConfig(n.config)
	if len(problems) > 0 {
		return configError(n.from, problems)
	}
	locks, err := lockDirs(&cfg, n.log)
	if err != nil {
		return err
	}
	defer locks.unlock()
	fs, err := faultLayer(n.faultLayer, cfg.LogDir)
	if err != nil {
		return err
	}
	info := readyInfo{config: cfg}
	listeners, text, err := n.listen(&info)
	if err != nil {
		return err
	}
	var admin net.Listener
	if n.admin != "" {
		l, err := host.Listen("the admin port", n.admin)
		if err != nil {
			closeListeners(listeners)
			return fmt.Errorf("%w (--admin; \"\" for none)", err)
		}
		admin, info.admin = l.Listener, l.Addr().String()
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	go func() { // a second signal is for those in a hurry
		<-ctx.Done()
		again := make(chan os.Signal, 1)
		signal.Notify(again, syscall.SIGINT, syscall.SIGTERM)
		<-again
		os.Exit(130)
	}()
	return host.Run(ctx, host.Options{
		Machine: broker.New(), Pure: broker.Pure(), Config: text, Listeners: listeners, Admin: admin, Log: n.log, FS: fs,
		DumpDir: cfg.LogDir, FrameBytesMax: int(cfg.FrameBytesMax), ConnsMax: connsMax(cfg.MaxConnections),
		OnReady: func(time.Duration) {
			info.took = time.Since(begun)
			n.log.Info("listening", "listeners", strings.Join(info.all, ","), "admin", info.admin, "seconds", info.took.Seconds())
			if n.ready != nil {
				n.ready(info)
			}
		},
	})
}

// listen opens the listeners, and returns the configuration with the real ports where it asked for any. Those of the
// controller role accept from the start: without the other voters' words no node becomes ready.
func (n *node) listen(info *readyInfo) (listeners []host.Listener, text string, err error) {
	text = n.config
	var names []string
	any := false
	open := func(l *broker.Listener, early bool) error {
		opened := n.take(l.Name)
		if opened == nil {
			if opened, err = listenOn(l.Name, l.Host, l.Port); err != nil {
				return err
			}
		}
		for _, o := range opened {
			o.Early = early
			listeners = append(listeners, o)
		}
		any = any || l.Port == 0
		l.Port = uint16(opened[0].Addr().(*net.TCPAddr).Port)
		names = append(names, l.Name+"://"+net.JoinHostPort(l.Host, strconv.Itoa(int(l.Port))))
		return nil
	}
	for i := range info.config.Listeners {
		l := &info.config.Listeners[i]
		if err := open(l, false); err != nil {
			closeListeners(listeners)
			return nil, "", err
		}
		info.addresses = append(info.addresses, net.JoinHostPort(l.Host, strconv.Itoa(int(l.Port))))
	}
	served := len(names)
	for i := range info.config.Controllers {
		if err := open(&info.config.Controllers[i], true); err != nil {
			closeListeners(listeners)
			return nil, "", err
		}
	}
	info.all = names
	if any {
		text += "\nlisteners=" + strings.Join(names, ",") + "\n"
		if adv, ok := info.config.Static.Get("advertised.listeners"); ok && strings.Contains(adv+",", ":0,") {
			text += "advertised.listeners=" + strings.Join(names[:served], ",") + "\n"
		}
	}
	return listeners, text, nil
}

// take takes the listeners of a name out of those that are open already.
func (n *node) take(name string) (opened []host.Listener) {
	for _, l := range n.opened {
		if l.Name == name {
			opened = append(opened, l)
		}
	}
	return opened
}

// listenOn binds one listener. The name localhost means both of its addresses where there are two, since
// clients try either first.
func listenOn(name, hostname string, port uint16) ([]host.Listener, error) {
	at := func(h string, p int) string { return net.JoinHostPort(h, strconv.Itoa(p)) }
	if hostname != "localhost" {
		l, err := host.Listen(name, at(hostname, int(port)))
		return []host.Listener{l}, err
	}
	l, err := host.Listen(name, at("127.0.0.1", int(port)))
	if err != nil {
		return nil, err
	}
	if six, err := host.Listen(name, at("::1", l.Addr().(*net.TCPAddr).Port)); err == nil {
		return []host.Listener{l, six}, nil
	}
	return []host.Listener{l}, nil
}

func closeListeners(ls []host.Listener) {
	for _, l := range ls {
		l.Close()
	}
}

// connsMax keeps some file handles back for files.
func connsMax(configured int) int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil || limit.Cur < 1024 {
		return min(configured, 512)
	}
	return min(configured, int(min(limit.Cur, 1<<20))*3/4)
}

// faultLayer puts a layer under the node that misbehaves on purpose, for drills.
func faultLayer(name, dir string) (host.FS, error) {
	switch name {
	case "":
		return host.OS{}, nil
	case "lossy", "lossy-nosync":
		return host.NewLossy(dir, name == "lossy-nosync")
	}
	return nil, usagef("--fault-layer %s: neither lossy nor lossy-nosync", name)
}

// configError lists everything that is wrong at once.
func configError(from string, problems []image.Problem) error {
	var b strings.Builder
	fmt.Fprintf(&b, "the configuration cannot be used (%s):", from)
	for _, p := range problems {
		b.WriteString("\n  ")
		if p.Line > 0 {
			fmt.Fprintf(&b, "line %d: ", p.Line)
		}
		b.WriteString(p.Text)
	}
	return errors.New(b.String())
}

// logFlags are the flags of a command that logs.
type logFlags struct{ format, level string }

func (f *logFlags) logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.level)); err != nil {
		return nil, usagef("--log-level %s: none of debug, info, warn and error", f.level)
	}
	o := &slog.HandlerOptions{Level: level}
	switch f.format {
	case "text":
		return slog.New(slog.NewTextHandler(os.Stderr, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, o)), nil
	}
	return nil, usagef("--log-format %s: neither text nor json", f.format)
}

var _ core.Machine = (*broker.Broker)(nil)
