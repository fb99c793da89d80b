package soak_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// sinkFile, in the environment of the test binary, makes it a receiver of RELP that
// writes to the file of that name and listens on sinkAddress: a process of its own,
// which can be stopped with a signal.
const (
	sinkFile    = "SIEMRELAY_TEST_SINK"
	sinkAddress = "SIEMRELAY_TEST_SINK_ADDRESS"
)

// binary is the built command, set once by TestMain.
var binary string

func TestMain(m *testing.M) {
	if path := os.Getenv(sinkFile); path != "" {
		os.Exit(serveSink(path, os.Getenv(sinkAddress)))
	}
	os.Exit(endtoend.Main(m, &binary))
}

// serveSink takes messages until standard input ends, which it does with the test.
func serveSink(path, address string) int {
	s, err := endtoend.NewRELPSink(path, address)
	if err == nil {
		fmt.Fprintln(os.Stdout, s.Address())
		_, _ = io.Copy(io.Discard, os.Stdin) // its end is all that is wanted
		err = s.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// moments returns a source of random moments.
func moments(t *testing.T) *rand.Rand { return endtoend.Moments(t, "soak.seed", *seed) }

// between is a random time from least to most.
func between(random *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(random.Int64N(int64(most-least)))
}

// logFirst logs some problems as errors.
func logFirst(t *testing.T, what string, problems []string) {
	t.Helper()
	for _, p := range problems[:min(len(problems), 10)] {
		t.Errorf("%s: %s", what, p)
	}
}
