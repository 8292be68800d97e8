package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"klamm/core"
)

// FS is what the file operations of a machine run on: the operating system's files, or a layer over them
// that misbehaves on purpose. All methods may be called at once.
type FS interface {
	Open(path string, how core.OpenMode) (f File, size int64, err error)
	Rename(from, to string) error
	Remove(path string) error
	Mkdir(path string) error
	SyncDir(path string) error
	List(path string) ([]core.Entry, error) // in any order
	Stat(path string) (size int64, err error)
	Space(path string) (free, total int64, err error)
}

// File is one open file.
type File interface {
	Pread(b []byte, off int64) (int, error) // as pread(2): fewer bytes, none and no error at the end
	Pwritev(pieces [][]byte, off int64) error
	Sync() error
	Truncate(size int64) error
	Allocate(off, n int64) error
	Close() error
}

// OS is the operating system's files.
type OS struct{}

// Open opens or makes a file.
func (OS) Open(path string, how core.OpenMode) (File, int64, error) {
	flags := unix.O_RDWR | unix.O_CLOEXEC
	switch how {
	case core.CreateNew:
		flags |= unix.O_CREAT | unix.O_EXCL
	case core.CreateOrOpen:
		flags |= unix.O_CREAT
	case core.CreateEmpty:
		flags |= unix.O_CREAT | unix.O_TRUNC
	}
	fd, err := again(func() (int, error) { return unix.Open(path, flags, 0o644) })
	if err != nil {
		return nil, 0, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, 0, err
	}
	return osFile(fd), st.Size, nil
}

// Rename moves a file or directory.
func (OS) Rename(from, to string) error { return unix.Rename(from, to) }

// Remove removes a file or an empty directory.
func (OS) Remove(path string) error {
	err := unix.Unlink(path)
	if err == unix.EISDIR || err == unix.EPERM {
		return unix.Rmdir(path)
	}
	return err
}

// Mkdir makes a directory.
func (OS) Mkdir(path string) error { return unix.Mkdir(path, 0o755) }

// SyncDir makes a directory's entries durable.
func (OS) SyncDir(path string) error {
	fd, err := again(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return err
	}
	err = unix.Fsync(fd)
	return errors.Join(err, unix.Close(fd))
}

// List lists a directory.
func (OS) List(path string) ([]core.Entry, error) {
	d, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	infos, err := d.Readdir(-1)
	if err != nil {
		return nil, err
	}
	entries := make([]core.Entry, 0, len(infos))
	for _, i := range infos {
		size := i.Size()
		if i.IsDir() {
			size = -1
		}
		entries = append(entries, core.Entry{Name: i.Name(), Size: size})
	}
	return entries, nil
}

// Stat returns a file's size; -1 for a directory.
func (OS) Stat(path string) (int64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return -1, nil
	}
	return st.Size, nil
}

// Space returns the bytes that are free to us, and all bytes.
func (OS) Space(path string) (free, total int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, 0, err
	}
	return int64(st.Bavail) * st.Bsize, int64(st.Blocks) * st.Bsize, nil
}

// osFile is a file descriptor.
type osFile int

func (f osFile) Pread(b []byte, off int64) (int, error) {
	return again(func() (int, error) { return unix.Pread(int(f), b, off) })
}

// Pwritev writes pieces one behind the other, in calls of less than 2*writeCallBytes each, which end where
// the page cache's larger pages do. (Measured: see writeCallBytes.)
func (f osFile) Pwritev(pieces [][]byte, off int64) error {
	left := 0
	for _, p := range pieces {
		left += len(p)
	}
	skip := 0 // of pieces[0]
	var few [32][]byte
	for range transferRetriesMax {
		n := left
		if over := int(off % writeCallBytes); n >= 2*writeCallBytes && over > 0 {
			n = 2*writeCallBytes - over
		} else if n >= 2*writeCallBytes {
			n = writeCallBytes
		}
		call := pieces
		if skip > 0 || n < left {
			call = span(few[:0], pieces, skip, n)
		}
		n, err := f.pwritev(call, off)
		if err != nil {
			return err
		}
		off, left = off+int64(n), left-n
		if left == 0 {
			return nil
		}
		for skip += n; skip >= len(pieces[0]); pieces = pieces[1:] {
			skip -= len(pieces[0])
		}
		if n == 0 {
			return unix.EIO
		}
	}
	return unix.EIO
}

func (f osFile) pwritev(pieces [][]byte, off int64) (int, error) {
	if len(pieces) == 1 {
		return again(func() (int, error) { return unix.Pwrite(int(f), pieces[0], off) })
	}
	return again(func() (int, error) { return unix.Pwritev(int(f), pieces, off) })
}

// span appends to dst what makes n bytes of pieces, after the first skip bytes of the first.
func span(dst, pieces [][]byte, skip, n int) [][]byte {
	for i := 0; n > 0; i++ {
		p := pieces[i][skip:]
		p = p[:min(len(p), n)]
		dst, n, skip = append(dst, p), n-len(p), 0
	}
	return dst
}

// Sync is fdatasync: what it leaves out, times, nothing here depends on; a file's size is covered.
func (f osFile) Sync() error { return unix.Fdatasync(int(f)) }

func (f osFile) Truncate(size int64) error { return unix.Ftruncate(int(f), size) }

// Allocate reserves room. A file system that cannot is no failure.
func (f osFile) Allocate(off, n int64) error {
	err := unix.Fallocate(int(f), unix.FALLOC_FL_KEEP_SIZE, off, n)
	if err == unix.EOPNOTSUPP || err == unix.ENOSYS {
		return nil
	}
	return err
}

func (f osFile) Close() error { return unix.Close(int(f)) }

// again repeats what a signal interrupted.
func again(f func() (int, error)) (int, error) {
	for {
		n, err := f()
		if err != unix.EINTR {
			return n, err
		}
	}
}

// readFull reads until b is full or the file ends.
func readFull(f File, b []byte, off int64) (n int, err error) {
	for n < len(b) {
		k, err := f.Pread(b[n:], off+int64(n))
		if err != nil || k <= 0 {
			return n, err
		}
		n += k
	}
	return n, nil
}

// errnoOf puts a failure of the file system into the words of core.
func errnoOf(err error) core.Errno {
	if err == nil {
		return core.OK
	}
	var e syscall.Errno
	if !errors.As(err, &e) {
		if errors.Is(err, fs.ErrNotExist) {
			return core.NotFound
		}
		return core.IOError
	}
	switch e {
	case unix.ENOENT, unix.ENOTDIR:
		return core.NotFound
	case unix.EEXIST:
		return core.Exists
	case unix.ENOTEMPTY:
		return core.NotEmpty
	case unix.ENOSPC, unix.EDQUOT, unix.EFBIG:
		return core.NoSpace
	case unix.EMFILE, unix.ENFILE:
		return core.TooManyFiles
	case unix.EINVAL, unix.EBADF, unix.EISDIR, unix.ENAMETOOLONG:
		return core.Invalid
	}
	return core.IOError
}

// Lock is a held data directory.
type Lock struct{ f *os.File }

// LockDir makes a data directory ours alone, as Kafka does: a lock on the file .lock in it, which excludes
// Kafka's own brokers too. The system drops it when the process ends, however it ends.
func LockDir(dir string) (*Lock, error) {
	path := filepath.Join(dir, ".lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, explainDir(dir, err)
	}
	lk := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lk); err != nil {
		f.Close()
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			return nil, errors.New("data directory " + dir + " is in use by another process (it holds " + path +
				"). Stop that one first (see \"fuser -v " + path + "\"), or choose another directory")
		}
		return nil, explainDir(dir, err)
	}
	return &Lock{f}, nil
}

// Unlock lets go.
func (l *Lock) Unlock() {
	if l != nil {
		l.f.Close()
	}
}

// explainDir says what is wrong with a data directory and what to do.
func explainDir(dir string, err error) error {
	what := strings.TrimPrefix(err.Error(), "open ")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("data directory " + dir + " does not exist. Make it, or correct its path")
	case errors.Is(err, fs.ErrPermission):
		return errors.New("data directory " + dir + " cannot be used: permission denied (" + what + "). Give this user the right to read and write it, or choose another directory")
	case errors.Is(err, syscall.EROFS):
		return errors.New("data directory " + dir + " is on a read-only file system. Choose another directory")
	case errors.Is(err, syscall.ENOTDIR):
		return errors.New("data directory " + dir + " is not a directory. Choose another path")
	}
	return errors.New("data directory " + dir + " cannot be used: " + what)
}
