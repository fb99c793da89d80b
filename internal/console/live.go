package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
)

const (
	maxStreams = 64               // pages that listen at the same time
	lookEvery  = time.Second      // how often the feed looks for news
	lookTime   = 5 * time.Second  // how long one look may take
	beatEvery  = 15 * time.Second // how often a stream says that it is there
	writeTime  = 10 * time.Second // how long a reader may take for a message
)

// news is how far things are. A page that was made from the same shows nothing old.
type news struct {
	Sequence uint64 `json:"sequence"` // of the newest event, 0 if unknown
	Status   string `json:"status"`   // digest of the status
}

// listener is what the feed knows of a stream.
type listener struct {
	since uint64 // looks that had begun before it came: they may be older than its page
	told  bool   // it had news
}

// feed tells all streams when something is new. It looks only while a stream
// listens.
type feed struct {
	look func(context.Context) news

	mu      sync.Mutex
	streams map[chan news]*listener
	last    news
	looks   uint64 // begun so far
	closed  bool

	wake   chan struct{} // somebody listens
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
}

func newFeed(look func(context.Context) news) *feed {
	ctx, cancel := context.WithCancel(context.Background())
	f := &feed{
		look: look, streams: map[chan news]*listener{}, wake: make(chan struct{}, 1),
		ctx: ctx, cancel: cancel, done: make(chan struct{}),
	}
	go f.run() // until close
	return f
}

// run looks for news while somebody listens, until close.
func (f *feed) run() {
	defer close(f.done)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		look := f.begin()
		if look == 0 {
			select {
			case <-f.wake:
				continue
			case <-f.ctx.Done():
				return
			}
		}
		ctx, cancel := context.WithTimeout(f.ctx, lookTime)
		f.publish(look, f.look(ctx))
		cancel()
		select {
		case <-tick.C:
		case <-f.ctx.Done():
			return
		}
	}
}

// begin returns the number of a look, 0 if nobody listens.
func (f *feed) begin() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.streams) == 0 {
		return 0
	}
	f.looks++
	return f.looks
}

// publish tells what a look has seen to every stream to which it is new.
func (f *feed) publish(look uint64, n news) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s, l := range f.streams {
		if l.since < look && (!l.told || n != f.last) {
			offer(s, n)
			l.told = true
		}
	}
	f.last = n
}

// offer leaves the newest news for a stream that may not have taken the last.
func offer(s chan news, n news) {
	select {
	case <-s:
	default:
	}
	s <- n // only the holder of the lock sends
}

// join returns a channel for news, the first of which come with the next look, nil if there are too many streams, or
// the feed is closed. leave must follow.
func (f *feed) join() chan news {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || len(f.streams) >= maxStreams {
		return nil
	}
	s := make(chan news, 1)
	f.streams[s] = &listener{since: f.looks}
	select {
	case f.wake <- struct{}{}:
	default:
	}
	return s
}

func (f *feed) leave(s chan news) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.streams, s)
}

func (f *feed) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.cancel()
	<-f.done
}

// look asks how far things are.
func (c *Console) look(ctx context.Context) news {
	n := news{Sequence: c.newest(ctx), Status: "unknown"}
	if s, err := c.ops.Status(ctx); err == nil {
		n.Status = digest(s)
	}
	return n
}

// liveStream tells a page when something is new, until the page goes or the console
// is closed.
func (c *Console) liveStream(w http.ResponseWriter, r *http.Request) {
	s := c.feed.join()
	if s == nil {
		w.Header().Set("Retry-After", "30")
		c.fail(w, r, "", admin.Errorf(admin.Unavailable, "Too many pages listen for news: at most %d.", maxStreams))
		return
	}
	defer c.feed.leave(s)
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	message := "retry: 2000\nevent: beat\ndata: {}\n\n"
	for {
		_ = control.SetWriteDeadline(time.Now().Add(writeTime)) // a stream ends with its page, not with the listener's limit
		if _, err := fmt.Fprint(w, message); err != nil {
			return
		}
		if err := control.Flush(); err != nil {
			return
		}
		select {
		case n := <-s:
			b, err := json.Marshal(n)
			if err != nil {
				return
			}
			message = "event: news\ndata: " + string(b) + "\n\n"
		case <-beat.C:
			message = "event: beat\ndata: {}\n\n"
		case <-r.Context().Done():
			return
		case <-c.feed.ctx.Done():
			return
		}
	}
}
