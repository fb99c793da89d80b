package performance_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

var (
	runFor  = flag.Duration("performance.for", 150*time.Millisecond, "how long each run takes")
	rounds  = flag.Int("performance.rounds", 1, "of how many rounds each figure is the median")
	all     = flag.Bool("performance.all", false, "run every combination of door, connections and outputs, not two of each")
	pending = flag.Int64("performance.pending", 20_000, "events that wait when a process starts, in TestPending")
	body    = flag.Int("performance.body", 1400, "bytes of each webhook")
	report  = flag.String("performance.report", "", "file that gets the tables, in Markdown")
)

// binary is the built command, set once by TestMain.
var binary string

func TestMain(m *testing.M) {
	if os.Getenv(bareLogin) != "" {
		os.Exit(serveBare())
	}
	flag.Parse()
	if *report != "" {
		if err := os.WriteFile(*report, nil, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(endtoend.Main(m, &binary))
}
