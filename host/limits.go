package host

import "time"

// Bounds of this world's queues and pools, and what happens when one is reached.
const (
	frameEventsMax       = 4096             // frames that wait for the loop; then readers wait
	frameBudgetDefault   = 256 << 20        // bytes of frames in the making or waiting; then connections are not read
	frameStepUnproven    = 64 << 10         // first allocation for a frame of a connection that has brought none yet
	frameStepProven      = 2 << 20          // the same once a whole frame came; each further step is four times the last
	frameStallMax        = 10 * time.Second // while the budget is spent: a half frame that does not grow is cut off
	stageBytes           = 2 << 10          // of a connection: what a read may bring beyond the frame that it completes
	connsMaxDefault      = 20000            // connections; then new ones are closed at once
	pooledBytesMax       = 128 << 20        // bytes in buffers at rest; then they go to the collector
	pooledBufferMax      = 8 << 20          // larger buffers are never kept
	littleBytes          = 16 << 10         // a read of a socket for no more than this is a short one
	sendChunkBytes       = 256 << 10        // of a file range, read and written at once
	sendNowPieces        = 16               // pieces, and
	sendNowBytes         = 64 << 10         // bytes that the loop sends itself, to
	sendNowConns         = 4                // connections of one batch; beyond that writers do it beside each other
	sendPiecesMax        = 512              // pieces of one writev
	fileWorkersMax       = 64               // file operations at once; then they wait
	coalesceBytesMax     = 8 << 20          // adjacent writes of one file that go down together
	coalescePiecesMax    = 512              // the same, in pieces
	writeCallBytes       = 64 << 10         // of a file, about as much in one call; see below
	closeDrainWithin     = 250 * time.Millisecond
	closeFlushWithin     = 5 * time.Second  // for what was sent before CloseConn; then it is cut off
	dialWithin           = 10 * time.Second // then TimedOut
	readyPoll            = 500 * time.Microsecond
	notesWaitingMax      = 4096             // notes that wait to be written; then they are counted and dropped
	notesSamePerPeriod   = 10               // of one text, per notePeriod; the rest is counted
	notePeriod           = 10 * time.Second //
	noteTextsMax         = 1024             // different texts that are told apart per period
	trimPeriod           = 10 * time.Second // buffers that were not needed for so long go to the collector
	stopFilesWithin      = 5 * time.Second  // for file operations in flight at the end
	recentEventsKept     = 64               // in the report of a broken belief
	transferRetriesMax   = 1 << 20          // partial reads and writes of one operation
	adminReportWithin    = 2 * time.Second  // for the loop to answer /metrics and /readyz
	acceptRetryAfterFail = 50 * time.Millisecond
)

// A larger write is cut into calls of writeCallBytes because the kernel makes its pages in the cache as large as the call
// allows, and a virtual machine that gives free memory back to its host (free page reporting) gives back the large blocks:
// a page made of one costs a fault in the host for each 4 KiB. Measured on such a machine, in system s/GB, medians: calls
// of 1 MiB 1.9, 256 KiB 2.0, 128 KiB 2.9, 64 KiB 0.26, 32 KiB 0.36. Elsewhere the additional calls cost 0.01.
