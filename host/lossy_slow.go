package host

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// SlowFile is the name of a file in the root of a Lossy that makes its disk slow as long as it is there. It holds two
// numbers, such as "50 200": how many milliseconds each write and each sync takes longer, at least and at most. It is no
// part of what the layer shows.
const SlowFile = ".klamm-slow"

// dawdle waits as long as SlowFile says. Nobody is to hold the lock: what is slow is one request, as on a disk with a queue.
func (l *Lossy) dawdle() {
	b, err := os.ReadFile(filepath.Join(l.root, SlowFile))
	if err != nil {
		return
	}
	least, most, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	from, err1 := strconv.Atoi(least)
	to, err2 := strconv.Atoi(most)
	if err1 != nil || err2 != nil || from < 0 || to < from {
		return
	}
	time.Sleep(time.Duration(from)*time.Millisecond + time.Duration(rand.Int64N(int64(to-from)*int64(time.Millisecond)+1)))
}
