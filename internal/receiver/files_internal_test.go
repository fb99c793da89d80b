package receiver

import (
	"math"
	"testing"
)

func TestConnectionsLeaveFilesToOthers(t *testing.T) {
	for _, c := range []struct {
		files             uint64
		connections, want int
	}{
		{0, 4096, 1}, {1, 4096, 1}, {64, 4096, 32}, {512, 4096, 256}, {1024, 4096, 768},
		{1024, 10, 10}, {4096 + 256, 4096, 4096}, {4096 + 255, 4096, 4095}, {math.MaxUint64, 4096, 4096},
	} {
		if got := shareOf(c.files, c.connections); got != c.want {
			t.Errorf("of %d files, %d connections at most: %d, want %d", c.files, c.connections, got, c.want)
		}
	}
}
