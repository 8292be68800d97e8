package host

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"klamm/core"
)

// noteLog writes notes on a goroutine of its own, so that a slow terminal never holds up the loop, and
// writes a text no more than a few times a period: what repeats is counted.
type noteLog struct {
	log     *slog.Logger
	waiting chan note
	done    chan struct{}
	mu      sync.Mutex
	dropped int
	period  time.Time
	seen    map[string]int
}

type note struct {
	level slog.Level
	text  string
}

func newNoteLog(log *slog.Logger) *noteLog {
	l := &noteLog{log: log, waiting: make(chan note, notesWaitingMax), done: make(chan struct{}), seen: map[string]int{}}
	go func() {
		defer close(l.done)
		for n := range l.waiting {
			l.log.Log(context.Background(), n.level, n.text)
		}
	}()
	return l
}

func slogLevel(level core.NoteLevel) slog.Level {
	switch level {
	case core.Debug:
		return slog.LevelDebug
	case core.Info:
		return slog.LevelInfo
	case core.Warn:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// add takes a note. It never waits.
func (l *noteLog) add(level core.NoteLevel, text string) {
	sl := slogLevel(level)
	if !l.log.Enabled(context.Background(), sl) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.period) >= notePeriod {
		l.closePeriod()
		l.period = now
	}
	times, known := l.seen[text]
	if known || len(l.seen) < noteTextsMax {
		l.seen[text] = times + 1
	}
	if times < notesSamePerPeriod {
		l.offer(note{sl, text})
	}
}

// closePeriod says how often the texts of the last period were left out.
func (l *noteLog) closePeriod() {
	for text, times := range l.seen {
		if more := times - notesSamePerPeriod; more > 0 {
			l.offer(note{slog.LevelInfo, "said " + itoa(more) + " times more: " + text})
		}
	}
	clear(l.seen)
	if l.dropped > 0 {
		lost := l.dropped
		l.dropped = 0
		l.offer(note{slog.LevelWarn, itoa(lost) + " notes were dropped: they came faster than they could be written"})
	}
}

func (l *noteLog) offer(n note) {
	select {
	case l.waiting <- n:
	default:
		l.dropped++
	}
}

// close writes what waits. No add comes after it.
func (l *noteLog) close() {
	l.mu.Lock()
	l.closePeriod()
	l.mu.Unlock()
	close(l.waiting)
	<-l.done
}
