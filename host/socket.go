package host

import (
	"io"
	"net"
	"strconv"
	"syscall"
	"unsafe"
)

// socket reads into two buffers with one system call where the connection is a plain socket.
type socket struct {
	conn   net.Conn
	raw    syscall.RawConn
	iov    [2]syscall.Iovec
	pieces int
	n      int
	errno  syscall.Errno
	readv  func(fd uintptr) bool // made once, so that a read allocates nothing
	little func(fd uintptr) bool // the same for what copies little, see use

	out      [sendNowPieces]syscall.Iovec // the loop's, of sendNow
	outCount int
	outSent  int
	writev   func(fd uintptr) bool
}

func (s *socket) init(c net.Conn) {
	s.conn = c
	t, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	t.SetNoDelay(true)
	raw, err := t.SyscallConn()
	if err != nil {
		return
	}
	s.use(raw)
}

// use has the socket read and write by way of raw. A call that copies little and never waits is made without a word to
// the scheduler, which would take the time for more and give the processor to another thread. (Measured: 4 % of the
// CPU time of requests of 1 to 4 KiB, nothing for those of 64 KiB.)
func (s *socket) use(raw syscall.RawConn) {
	s.raw = raw
	s.writev = func(fd uintptr) bool {
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&s.out[0])), uintptr(s.outCount))
		if errno == 0 {
			s.outSent = int(n)
		}
		return true // whatever came of it
	}
	s.readv = func(fd uintptr) bool {
		for {
			n, _, errno := syscall.Syscall(syscall.SYS_READV, fd, uintptr(unsafe.Pointer(&s.iov[0])), uintptr(s.pieces))
			if errno != syscall.EINTR {
				return s.took(n, errno)
			}
		}
	}
	s.little = func(fd uintptr) bool {
		for {
			n, _, errno := syscall.RawSyscall(syscall.SYS_READV, fd, uintptr(unsafe.Pointer(&s.iov[0])), uintptr(s.pieces))
			if errno != syscall.EINTR {
				return s.took(n, errno)
			}
		}
	}
}

// took notes what a read brought, or reports that there is nothing to read yet.
func (s *socket) took(n uintptr, errno syscall.Errno) bool {
	if errno == syscall.EAGAIN {
		return false
	}
	s.n, s.errno = int(n), errno
	return true
}

// sendNow sends what the kernel takes at once, and returns how much that was. It never waits: what was not
// taken, for whatever reason, is left to a writer.
func (s *socket) sendNow(pieces [][]byte) (sent int) {
	if s.raw == nil || len(pieces) > len(s.out) {
		return 0
	}
	s.outCount, s.outSent = 0, 0
	for _, p := range pieces {
		if len(p) > 0 {
			s.out[s.outCount].Base = unsafe.SliceData(p)
			s.out[s.outCount].SetLen(len(p))
			s.outCount++
		}
	}
	if s.outCount > 0 {
		s.raw.Write(s.writev)
	}
	clear(s.out[:s.outCount])
	return s.outSent
}

// read fills a, then b, with what there is, at least one byte. a is not empty; b may be.
func (s *socket) read(a, b []byte) (n int, err error) {
	if s.raw == nil {
		return s.conn.Read(a)
	}
	s.iov[0].Base = unsafe.SliceData(a)
	s.iov[0].SetLen(len(a))
	s.pieces = 1
	if len(b) > 0 {
		s.iov[1].Base = unsafe.SliceData(b)
		s.iov[1].SetLen(len(b))
		s.pieces = 2
	}
	if len(a)+len(b) <= littleBytes {
		err = s.raw.Read(s.little)
	} else {
		err = s.raw.Read(s.readv)
	}
	s.iov[0].Base, s.iov[1].Base = nil, nil
	switch {
	case err != nil:
		return 0, err
	case s.errno != 0:
		return 0, s.errno
	case s.n == 0:
		return 0, io.EOF
	}
	return s.n, nil
}

func itoa(n int) string { return strconv.Itoa(n) }
