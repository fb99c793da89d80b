package relay

import "time"

const (
	// maxPause is how long a paused output is left alone at most.
	maxPause = 30 * time.Second
	// maxAsked is the longest wait that a receiver may ask for. One that asks for
	// more is asked again after this time.
	maxAsked = 5 * time.Minute
)

// backoff computes the waits between tries: "full jitter", a random time up to a
// limit that doubles.
type backoff struct {
	Retry
	rand  func() float64
	tries int // since the last progress
}

func (b *backoff) reset() { b.tries = 0 }

// next returns the wait before the next try. A receiver that asked for more gets
// it, even beyond Retry.Max, up to maxAsked. A paused output is tried again within
// maxPause, whatever was asked and configured.
func (b *backoff) next(why reason, asked time.Duration) time.Duration {
	limit := b.Min
	for range b.tries {
		if limit >= b.Max/2 {
			limit = b.Max
			break
		}
		limit *= 2
	}
	b.tries++
	wait := time.Duration((1 - b.rand()) * float64(limit))
	wait = max(wait, min(asked, maxAsked))
	if why.pauses() {
		wait = min(wait, maxPause)
	}
	return wait
}
