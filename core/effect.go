package core

// EffectKind says what a machine asks of the world.
type EffectKind uint8

// The kinds of effects. Each is made by the method of Out of the same name.
const (
	Send EffectKind = iota
	SendRange
	CloseConn
	Dial
	Pause
	Resume
	Open
	CloseFile
	Write
	Sync
	Read
	Truncate
	Allocate
	Rename
	Remove
	Mkdir
	SyncDir
	List
	Stat
	Space
	DoWork
	Release
	Note
	Exit
	effectKindCount
)

var effectKindNames = [effectKindCount]string{
	"send", "send-range", "close-conn", "dial", "pause", "resume", "open", "close-file", "write", "sync",
	"read", "truncate", "allocate", "rename", "remove", "mkdir", "sync-dir", "list", "stat", "space",
	"work", "release", "note", "exit",
}

func (k EffectKind) String() string {
	if k < effectKindCount {
		return effectKindNames[k]
	}
	return "unknown"
}

// OpenMode says how Open treats what is there.
type OpenMode int64

// The ways to open a file.
const (
	OpenExisting OpenMode = iota // NotFound if it is absent
	CreateNew                    // Exists if it is there
	CreateOrOpen                 // as it is, or empty
	CreateEmpty                  // emptied if it is there
)

// NoteLevel says how loud a Note is.
type NoteLevel int64

// The levels of notes.
const (
	Debug NoteLevel = iota
	Info
	Warn
	Error
)

// WorkKind names a pure function of Pure.Work. The room that fills Pure defines the values.
type WorkKind uint8

// Effect is one thing that a machine asks of the world. Which fields count is said by the method of Out
// that makes it; rooms never fill an Effect by hand, and only worlds switch on Kind.
type Effect struct {
	Kind     EffectKind
	Work     WorkKind
	Conn     ConnID
	File     FileID
	Op       Op
	Off, Len int64
	Data     []byte
}

// Out gathers the effects of one Step, in order. Worlds reuse it.
type Out struct {
	Effects []Effect
	// Marks counts rare paths, if the world wants to know; nil in production.
	Marks *Marks
}

// Reset empties the list and keeps its memory.
func (o *Out) Reset() {
	clear(o.Effects)
	o.Effects = o.Effects[:0]
}

func (o *Out) add(e Effect) { o.Effects = append(o.Effects, e) }

// Send sends b on a connection. If op is not zero, Done comes when the kernel has taken the bytes, or
// with ConnGone. b is not to be written to until then; without an op, never again.
func (o *Out) Send(op Op, c ConnID, b []byte) { o.add(Effect{Kind: Send, Op: op, Conn: c, Data: b}) }

// SendRange sends the bytes [off, off+n) of a file on a connection, in order with Send. The range is
// pinned until Done: the machine neither truncates nor rewrites below its end before. If the range
// cannot be read whole, the world closes the connection.
func (o *Out) SendRange(op Op, c ConnID, f FileID, off, n int64) {
	o.add(Effect{Kind: SendRange, Op: op, Conn: c, File: f, Off: off, Len: n})
}

// CloseConn closes a connection after what was given to Send before has left, or at once if it cannot.
// Closed follows.
func (o *Out) CloseConn(c ConnID) { o.add(Effect{Kind: CloseConn, Conn: c}) }

// Dial opens a connection to "host:port". An Opened event with op answers; c is the machine's choice, even.
func (o *Out) Dial(op Op, c ConnID, addr string) {
	o.add(Effect{Kind: Dial, Op: op, Conn: c, Data: []byte(addr)})
}

// Pause stops the delivery of frames of a connection, but for those already under way. Resume lifts it.
func (o *Out) Pause(c ConnID) { o.add(Effect{Kind: Pause, Conn: c}) }

// Resume lifts a Pause.
func (o *Out) Resume(c ConnID) { o.add(Effect{Kind: Resume, Conn: c}) }

// Open binds f to the file at path. Done.N is its size. Operations on f may follow without waiting: they
// are carried out after it, and fail with its error if it fails.
func (o *Out) Open(op Op, f FileID, path string, how OpenMode) {
	o.add(Effect{Kind: Open, Op: op, File: f, Len: int64(how), Data: []byte(path)})
}

// CloseFile lets go of f after every operation on it that was given before.
func (o *Out) CloseFile(op Op, f FileID) { o.add(Effect{Kind: CloseFile, Op: op, File: f}) }

// Forsake closes f as CloseFile does, because its bytes are about to become others: a range of it that SendRange was given and that the world
// has not read yet is not sent any more, and its connection is closed. A reader never gets bytes of two histories.
func (o *Out) Forsake(f FileID) { o.add(Effect{Kind: CloseFile, File: f, Len: 1}) }

// Write writes b at off, beyond the file's end too. An error leaves any part of the range in doubt.
// b is not to be written to until Done.
func (o *Out) Write(op Op, f FileID, off int64, b []byte) {
	o.add(Effect{Kind: Write, Op: op, File: f, Off: off, Data: b})
}

// Sync makes durable every Write and Truncate of f whose Done was reported before.
func (o *Out) Sync(op Op, f FileID) { o.add(Effect{Kind: Sync, Op: op, File: f}) }

// Read reads up to n bytes at off. Done.Data holds them; fewer than n only at the end of the file, then with ShortRead.
func (o *Out) Read(op Op, f FileID, off, n int64) {
	o.add(Effect{Kind: Read, Op: op, File: f, Off: off, Len: n})
}

// Truncate sets the file's size. Growing gives zeros.
func (o *Out) Truncate(op Op, f FileID, size int64) {
	o.add(Effect{Kind: Truncate, Op: op, File: f, Len: size})
}

// Allocate reserves room for n bytes at off without changing the file's size. A world may do nothing.
func (o *Out) Allocate(op Op, f FileID, off, n int64) {
	o.add(Effect{Kind: Allocate, Op: op, File: f, Off: off, Len: n})
}

// Rename moves a file or directory, over a file that may be there. An open FileID stays bound to what it was bound to.
func (o *Out) Rename(op Op, from, to string) {
	o.add(Effect{Kind: Rename, Op: op, Off: int64(len(from)), Data: []byte(from + to)})
}

// Remove removes a file or an empty directory. A file that is open stays readable through its FileID.
func (o *Out) Remove(op Op, path string) { o.add(Effect{Kind: Remove, Op: op, Data: []byte(path)}) }

// Mkdir makes a directory, its parent being there. Exists if it is there already.
func (o *Out) Mkdir(op Op, path string) { o.add(Effect{Kind: Mkdir, Op: op, Data: []byte(path)}) }

// SyncDir makes durable the entries of a directory that were reported Done before.
func (o *Out) SyncDir(op Op, path string) { o.add(Effect{Kind: SyncDir, Op: op, Data: []byte(path)}) }

// List lists a directory. Done.Data: see ParseList; sorted by name.
func (o *Out) List(op Op, path string) { o.add(Effect{Kind: List, Op: op, Data: []byte(path)}) }

// Stat asks for the size of a file; Done.N. NotFound if it is absent. A directory has size -1.
func (o *Out) Stat(op Op, path string) { o.add(Effect{Kind: Stat, Op: op, Data: []byte(path)}) }

// Space asks for the space of the file system that holds path. Done.N: bytes free to us; Done.Data: 8 bytes, big endian, total bytes.
func (o *Out) Space(op Op, path string) { o.add(Effect{Kind: Space, Op: op, Data: []byte(path)}) }

// DoWork runs Pure.Work(kind, args, bytes) on another core, where bytes are the n bytes at off of f, or
// nothing if f is zero. Done.Data is the result; Done.Err is that of the read (a ShortRead hands over
// the bytes that there are).
func (o *Out) DoWork(op Op, kind WorkKind, args []byte, f FileID, off, n int64) {
	o.add(Effect{Kind: DoWork, Op: op, Work: kind, File: f, Off: off, Len: n, Data: args})
}

// Release gives an event's Data back to the world's pool: the machine, and every effect that carries
// part of it, is finished with it. b is the whole Data as the event brought it.
func (o *Out) Release(b []byte) {
	if cap(b) > 0 {
		o.add(Effect{Kind: Release, Data: b})
	}
}

// Note tells the operator something.
func (o *Out) Note(level NoteLevel, text string) {
	o.add(Effect{Kind: Note, Len: int64(level), Data: []byte(text)})
}

// Exit ends the machine: code 0 is a clean stop, any other a failure that the last note names.
func (o *Out) Exit(code int64) { o.add(Effect{Kind: Exit, Len: code}) }

// Mark says that a rare path was taken. Names are constants, "room.what-happened": a test gathers them from the source.
func (o *Out) Mark(name string) {
	if o.Marks != nil {
		o.Marks.Hit(name)
	}
}

// RenamePaths returns the two paths of a Rename effect.
func (e *Effect) RenamePaths() (from, to string) {
	return string(e.Data[:e.Off]), string(e.Data[e.Off:])
}

// Equal reports whether two effects are the same, bytes and all.
func (e *Effect) Equal(f *Effect) bool {
	return e.Kind == f.Kind && e.Work == f.Work && e.Conn == f.Conn && e.File == f.File && e.Op == f.Op &&
		e.Off == f.Off && e.Len == f.Len && string(e.Data) == string(f.Data)
}

// Entry is one row of a directory listing.
type Entry struct {
	Name string
	Size int64 // -1 for a directory
}

// AppendList encodes a directory listing for Done.Data.
func AppendList(b []byte, entries []Entry) []byte {
	for _, e := range entries {
		b = append(b, byte(uint64(e.Size)>>56), byte(uint64(e.Size)>>48), byte(uint64(e.Size)>>40), byte(uint64(e.Size)>>32),
			byte(uint64(e.Size)>>24), byte(uint64(e.Size)>>16), byte(uint64(e.Size)>>8), byte(uint64(e.Size)))
		b = append(append(b, e.Name...), 0)
	}
	return b
}

// ParseList reads what AppendList wrote; what is cut short is left out.
func ParseList(b []byte) (entries []Entry) {
	for len(b) > 8 {
		var size uint64
		for _, x := range b[:8] {
			size = size<<8 | uint64(x)
		}
		n := 8
		for n < len(b) && b[n] != 0 {
			n++
		}
		if n == len(b) {
			return entries
		}
		entries = append(entries, Entry{Name: string(b[8:n]), Size: int64(size)})
		b = b[n+1:]
	}
	return entries
}
