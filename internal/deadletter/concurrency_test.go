package deadletter_test

import (
	"sync"
	"testing"

	"github.com/siemrelay/siemrelay/internal/deadletter"
)

// TestAllAtOnce: two relays, people and scrapes at the same time. Every letter is
// accounted for in the end.
func TestAllAtOnce(t *testing.T) {
	s := open(t, options(scratch(t)))
	const batches, each = 15, 3
	outputs := []string{"arcsight", "kibana"}
	var relays, others sync.WaitGroup
	stop := make(chan struct{})
	for _, output := range outputs {
		relays.Go(func() {
			q := s.Queue(output)
			for i := range uint64(batches) {
				if err := s.Put(letters(output, i*each+1, i*each+2, i*each+3)); err != nil {
					t.Errorf("put: %v", err)
				}
				s.Settle(output, 0)
				if !isReady(q.Ready()) {
					continue
				}
				l, ok, err := q.Next()
				if err != nil || !ok {
					t.Errorf("next: %v, %v", ok, err)
					continue
				}
				outcome := deadletter.Outcome{Delivered: 1}
				if i%2 == 0 {
					outcome = deadletter.Outcome{}
					if err := s.Put([]deadletter.Letter{l}); err != nil {
						t.Errorf("put back: %v", err)
					}
				}
				if err := q.Commit(outcome); err != nil {
					t.Errorf("commit: %v", err)
				}
			}
		})
	}
	for _, do := range []func() error{
		func() error { s.Accounts(); s.Full(); return nil },
		func() error { _, err := s.List(deadletter.Selection{}, 10, 0); return err },
		func() error {
			_, err := s.Requeue(deadletter.Selection{Output: "kibana", IDs: []int64{1, 2, 9}})
			return err
		},
		func() error { _, err := s.Requeue(deadletter.Selection{Output: "arcsight"}); return err },
		func() error { _, err := s.Drop(deadletter.Selection{IDs: []int64{3, 5, 8}}); return err },
	} {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := do(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	relays.Wait()
	close(stop)
	others.Wait()
	for _, output := range outputs {
		a := s.Accounts()[output]
		if sum := a.Dead + a.Queued + a.Delivered + a.Dropped; sum != batches*each || a.Lost+a.Carried+a.Filtered > 0 {
			t.Errorf("%s: %+v, want a sum of %d", output, a, batches*each)
		}
		if n := len(sequences(t, s, deadletter.Selection{Output: output})); uint64(n) != a.Dead {
			t.Errorf("%s: %d are listed, %d are dead", output, n, a.Dead)
		}
	}
}
