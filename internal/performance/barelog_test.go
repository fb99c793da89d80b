package performance_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/siemrelay/siemrelay/internal/load"
)

const (
	barePiece  = 64 << 20
	bareRecord = 1460 // a webhook of 1.4 KB with a header
)

// bareLog is the yardstick of the spool: writers hand a record each to one committer,
// which writes and syncs what there is as soon as the last sync is over. It writes over
// zeros that are on the disk, again and again.
type bareLog struct {
	file *os.File
	wake chan struct{}
	done sync.WaitGroup

	mu      sync.Mutex
	waiting []byte
	synced  chan struct{} // closed when what waits is on the disk
	err     error
}

func openBareLog(t *testing.T) *bareLog {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	must(t, err)
	zeros := make([]byte, 1<<20)
	for at := int64(0); at < barePiece; at += int64(len(zeros)) {
		_, err := f.WriteAt(zeros, at)
		must(t, err)
	}
	must(t, f.Sync())
	l := &bareLog{file: f, wake: make(chan struct{}, 1), synced: make(chan struct{})}
	l.done.Go(l.run) // until close
	return l
}

func (l *bareLog) run() {
	var buf []byte
	at := int64(0)
	for range l.wake {
		l.mu.Lock()
		buf, l.waiting = l.waiting, buf[:0]
		synced := l.synced
		l.synced = make(chan struct{})
		l.mu.Unlock()
		if at+int64(len(buf)) > barePiece {
			at = 0
		}
		_, err := l.file.WriteAt(buf, at)
		if err == nil {
			err = unix.Fdatasync(int(l.file.Fd()))
		}
		at += int64(len(buf))
		if err != nil {
			l.mu.Lock()
			l.err = err
			l.mu.Unlock()
		}
		close(synced)
	}
}

func (l *bareLog) append(record []byte) {
	l.mu.Lock()
	l.waiting = append(l.waiting, record...)
	synced := l.synced
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	<-synced
}

func (l *bareLog) close() error {
	close(l.wake)
	l.done.Wait()
	l.file.Close()
	return l.err
}

// runBareLog has writers append to a bare log as fast as it goes.
func runBareLog(t *testing.T, writers int) result {
	t.Helper()
	l := openBareLog(t)
	var appenders sync.WaitGroup
	var mu sync.Mutex
	var times load.Histogram
	began := time.Now()
	for range writers {
		appenders.Go(func() {
			record := make([]byte, bareRecord)
			var own load.Histogram
			for last := began; last.Sub(began) < *runFor; {
				l.append(record)
				now := time.Now()
				own.Add(now.Sub(last))
				last = now
			}
			mu.Lock()
			defer mu.Unlock()
			times.Merge(&own)
		})
	}
	appenders.Wait()
	took := time.Since(began)
	must(t, l.close())
	return result{rate: float64(times.Total()) / took.Seconds(), p50: times.Quantile(0.5), p99: times.Quantile(0.99)}
}
