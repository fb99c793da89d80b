package endtoend

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"
)

// Tally is how the webhooks of a load were answered.
type Tally struct {
	Accepted, Refused, Unanswered int
	Longest                       time.Duration // that an answer took
}

func (a Tally) String() string {
	return fmt.Sprintf("%d webhooks accepted, %d got 503, %d no answer; the slowest answer took %v",
		a.Accepted, a.Refused, a.Unanswered, a.Longest.Round(time.Millisecond))
}

// Tally counts answers. The test fails for one that is none of the three, and if no
// webhook was accepted.
func (r *Rig) Tally(sent []Delivery) (a Tally) {
	r.tb.Helper()
	for _, d := range sent {
		a.Longest = max(a.Longest, d.Took)
		switch {
		case d.Accepted():
			a.Accepted++
		case d.Err != nil:
			a.Unanswered++
		case d.Answer.Status == http.StatusServiceUnavailable && d.Answer.RetryAfter != "":
			a.Refused++
		default:
			r.tb.Errorf("webhook %d of record %s got %+v", d.Number, d.Record, d.Answer)
		}
	}
	if a.Accepted == 0 {
		r.tb.Error("no webhook was accepted: nothing was tested")
	}
	return a
}

// Moments returns a source of random moments; 0 takes a seed from the clock. It logs
// how to get the same again with the flag of that name.
func Moments(tb testing.TB, flag string, seed uint64) *rand.Rand {
	tb.Helper()
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	tb.Logf("-%s=%d", flag, seed)
	return rand.New(rand.NewPCG(seed, 0))
}
