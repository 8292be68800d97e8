package core

// Errno is what came of an effect: the world's failures, in words that both worlds share.
type Errno uint16

// The failures that a world reports.
const (
	OK           Errno = iota
	NotFound           // no such file or directory
	Exists             // create of what is there
	NotEmpty           // remove of a directory with entries
	NoSpace            // the disk is full; nothing of this write may be believed to be there
	IOError            // the device failed
	ShortRead          // fewer bytes than asked for: the end of the file came first (Done.N says how many)
	TooManyFiles       // no more file handles
	Invalid            // the effect makes no sense: unknown file, negative offset
	ConnGone           // the connection was closed before the effect was carried out
	Refused            // dial: nobody listens
	TimedOut           // dial or connection: no answer
	Reset              // closed by the other side in mid-stream
	Idle               // closed by this world for want of life
	TooLarge           // a frame above the limit
	BadFrame           // a frame length that cannot be one
	SpeaksTLS          // the peer speaks TLS to a plain port
	SpeaksHTTP         // the peer speaks HTTP to a Kafka protocol port
	Locked             // another process holds the data directory
	Stopping           // the world is going down in good order (SIGTERM): with Tick's Err, a request to stop
	errnoCount
)

var errnoNames = [errnoCount]string{
	"ok", "no such file or directory", "file exists", "directory not empty", "no space left on device",
	"input/output error", "unexpected end of file", "too many open files", "invalid operation",
	"connection gone", "connection refused", "timed out", "connection reset", "idle",
	"frame above the size limit", "frame length that cannot be one", "peer speaks TLS", "peer speaks HTTP",
	"locked by another process", "stopping",
}

func (e Errno) String() string {
	if e < errnoCount {
		return errnoNames[e]
	}
	return "unknown error"
}
