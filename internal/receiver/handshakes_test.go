package receiver

import (
	"testing"
	"testing/synctest"
)

// TestTurns: a turn goes to the newest and the oldest of those who wait, in turn; each
// gets one, and none is lost.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := turns{free: 1}
		all.take()
		got := make(chan int, 4)
		for i := range 4 {
			go func() { // ends when it has had its turn
				all.take()
				got <- i
				all.give()
			}()
			synctest.Wait() // it waits for its turn
		}
		all.give()
		for _, want := range []int{3, 0, 2, 1} {
			if i := <-got; i != want {
				t.Errorf("the turn went to %d, want %d", i, want)
			}
		}
		synctest.Wait()
		if all.free != 1 || len(all.waiting) != 0 {
			t.Errorf("%d turns are free and %d wait, want 1 and 0", all.free, len(all.waiting))
		}
	})
}
