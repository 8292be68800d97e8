package nodes

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The nodes' cables end in a switch of our own, a process in a namespace, which can lose and delay frames of each direction of each
// pair: not every kernel has netem. It takes its orders, one a line, from its standard input:
//
//	FROM TO cut|open                 no frame from one port to the other
//	FROM TO loss PERMILLE            so many of a thousand frames get lost
//	FROM TO delay MICROS JITTER      each frame takes so long, and up to so much longer
//
// FROM and TO are numbers of nodes, or * for all.

// rule is what befalls frames from one port to another.
type rule struct {
	cut           bool
	permille      int
	delay, jitter time.Duration
}

type frame struct {
	due time.Time
	b   []byte
}

// lane is the way from one port to another: frames leave it in order.
type lane struct {
	mu sync.Mutex
	rule
	queue chan frame
}

// laneMax bounds the frames under way on a lane; more are lost, as in any switch.
const laneMax = 20000

type port struct {
	id int
	fd int
}

// RunSwitch is the switch's process: it never returns but on an error or at the end of its orders.
func RunSwitch(ids []int) error {
	var ports []port
	for _, id := range ids {
		fd, err := openPort(fmt.Sprintf("p%d", id))
		if err != nil {
			return fmt.Errorf("port p%d: %w", id, err)
		}
		ports = append(ports, port{id, fd})
	}
	lanes := map[[2]int]*lane{}
	for _, from := range ports {
		for _, to := range ports {
			if from != to {
				l := &lane{queue: make(chan frame, laneMax)}
				lanes[[2]int{from.id, to.id}] = l
				go l.deliver(to.fd)
			}
		}
	}
	var where sync.Map // address of a station -> id of its port
	for _, from := range ports {
		go from.forward(ports, lanes, &where)
	}
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if err := order(strings.Fields(in.Text()), ids, lanes); err != nil {
			return err
		}
	}
	return nil
}

func openPort(name string) (fd int, err error) {
	nic, err := net.InterfaceByName(name)
	if err != nil {
		return 0, err
	}
	const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL<<8&0xff00
	if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all); err != nil {
		return 0, err
	}
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20)
	if err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
		return 0, err
	}
	return fd, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: nic.Index})
}

func (p port) forward(ports []port, lanes map[[2]int]*lane, where *sync.Map) {
	b := make([]byte, 70000)
	for {
		n, _, err := unix.Recvfrom(p.fd, b, 0)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENETDOWN) {
			continue
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "switch:", err)
			return
		}
		if n < 14 {
			continue
		}
		where.Store([6]byte(b[6:12]), p.id)
		to, known := where.Load([6]byte(b[:6]))
		for _, q := range ports {
			if q != p && (!known || to == q.id) {
				lanes[[2]int{p.id, q.id}].send(b[:n])
			}
		}
	}
}

func (l *lane) send(b []byte) {
	l.mu.Lock()
	r := l.rule
	l.mu.Unlock()
	if r.cut || r.permille > 0 && rand.IntN(1000) < r.permille {
		return
	}
	due := time.Now().Add(r.delay)
	if r.jitter > 0 {
		due = due.Add(rand.N(r.jitter))
	}
	select {
	case l.queue <- frame{due, append([]byte(nil), b...)}:
	default:
	}
}

func (l *lane) deliver(fd int) {
	for f := range l.queue {
		if d := time.Until(f.due); d > 0 {
			time.Sleep(d)
		}
		for {
			if _, err := unix.Write(fd, f.b); !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.ENOBUFS) {
				break
			}
		}
	}
}

func order(words []string, ids []int, lanes map[[2]int]*lane) error {
	if len(words) < 3 {
		return fmt.Errorf("switch: no such order: %v", words)
	}
	number := func(at int) int {
		if at >= len(words) {
			return 0
		}
		n, _ := strconv.Atoi(words[at])
		return n
	}
	for _, from := range ids {
		for _, to := range ids {
			l := lanes[[2]int{from, to}]
			if l == nil || words[0] != "*" && words[0] != strconv.Itoa(from) || words[1] != "*" && words[1] != strconv.Itoa(to) {
				continue
			}
			l.mu.Lock()
			switch words[2] {
			case "cut":
				l.cut = true
			case "open":
				l.rule = rule{}
			case "loss":
				l.permille = number(3)
			case "delay":
				l.delay, l.jitter = time.Duration(number(3))*time.Microsecond, time.Duration(number(4))*time.Microsecond
			default:
				l.mu.Unlock()
				return fmt.Errorf("switch: no such order: %v", words)
			}
			l.mu.Unlock()
		}
	}
	return nil
}

// PlainFrames makes a network interface send frames as they go over a cable: whole checksums, no more than one
// packet each. The switch takes them as they are.
func PlainFrames(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	const setTxChecksum, setTSO, setGSO = 0x17, 0x1f, 0x24 // ETHTOOL_STXCSUM, _STSO, _SGSO
	for _, what := range []uint32{setTSO, setGSO, setTxChecksum} {
		value := struct{ cmd, data uint32 }{what, 0}
		var req struct {
			name [unix.IFNAMSIZ]byte
			data unsafe.Pointer
		}
		copy(req.name[:], name)
		req.data = unsafe.Pointer(&value)
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); e != 0 {
			return fmt.Errorf("ethtool command %#x on %s: %w", what, name, e)
		}
	}
	return nil
}

// Switch is the running switch of a cluster.
type Switch struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

func startSwitch(space string, ids []int) (*Switch, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"netns", "exec", space, self, "switch"}
	for _, id := range ids {
		args = append(args, strconv.Itoa(id))
	}
	s := &Switch{cmd: exec.Command("ip", args...)}
	s.cmd.Stderr = os.Stderr
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		return nil, fmt.Errorf("the switch does not start: %q %v", line, err)
	}
	return s, nil
}

// Order gives the switch an order.
func (s *Switch) Order(format string, args ...any) error {
	_, err := fmt.Fprintf(s.in, format+"\n", args...)
	return err
}

func (s *Switch) stop() {
	s.in.Close()
	s.cmd.Wait()
}

// Main does what a drill's own program is started again for: to be the switch, or to set an interface. It reports
// false if the program was started by a person.
func Main() bool {
	if len(os.Args) < 3 || os.Args[1] != "switch" && os.Args[1] != "plain-frames" {
		return false
	}
	var err error
	if os.Args[1] == "plain-frames" {
		err = PlainFrames(os.Args[2])
	} else {
		var ids []int
		for _, a := range os.Args[2:] {
			n, _ := strconv.Atoi(a)
			ids = append(ids, n)
		}
		err = RunSwitch(ids)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}
