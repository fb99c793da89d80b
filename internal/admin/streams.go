package admin

import (
	"context"
	"net/http"
	"strings"
	"time"
)

const (
	// maxStreams is how many streams there are at once.
	maxStreams = 100
	// streamTime is how long one lasts: its browser asks again, and again shows that it
	// may.
	streamTime = 15 * time.Minute
	// streamWrite is how long a browser may take to receive a piece of one.
	streamWrite = 10 * time.Second
)

// isStream recognises what an EventSource asks for.
func isStream(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.TrimSpace(r.Header.Get("Accept")) == "text/event-stream"
}

// stream serves a request that has no deadline, until the browser goes, the login ends,
// its time is up or the server stops.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, who *session) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		w.Header().Set("Retry-After", "30")
		say(w, http.StatusServiceUnavailable, "too many pages are open")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), streamTime)
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	if who != nil {
		defer context.AfterFunc(who.ended, cancel)()
	}
	sw := &streamWriter{w, http.NewResponseController(w)}
	if err := sw.unlimited(); err != nil {
		s.log.Debug("could not lift a deadline", "error", err)
	}
	s.console.ServeHTTP(sw, r.WithContext(ctx))
}

// streamWriter gives each piece a deadline of its own, so that a browser that no longer
// reads does not hold a connection, nor a stop.
type streamWriter struct {
	http.ResponseWriter
	*http.ResponseController
}

// unlimited lifts both deadlines: until the next write there is none.
func (w *streamWriter) unlimited() error {
	if err := w.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	return w.SetWriteDeadline(time.Time{})
}

// Unwrap is for http.ResponseController.
func (w *streamWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *streamWriter) Write(p []byte) (n int, err error) {
	if err := w.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil {
		return 0, err
	}
	n, err = w.ResponseWriter.Write(p)
	if err != nil {
		return n, err
	}
	return n, w.SetWriteDeadline(time.Time{})
}

// FlushError is what http.ResponseController calls.
func (w *streamWriter) FlushError() error {
	if err := w.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil {
		return err
	}
	if err := w.ResponseController.Flush(); err != nil {
		return err
	}
	return w.SetWriteDeadline(time.Time{})
}

// Flush implements http.Flusher. What it can't send, the next write can't either.
func (w *streamWriter) Flush() { _ = w.FlushError() }
