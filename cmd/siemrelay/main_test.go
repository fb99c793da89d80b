package main_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	siemrelay "github.com/siemrelay/siemrelay/cmd/siemrelay"
	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// refusingDir, in the environment of the test binary, makes it a relay whose outputs
// do what the files in that folder say: see siemrelay.ServeRefusing.
const refusingDir = "SIEMRELAY_TEST_REFUSING"

// binary is the built command, set once by TestMain.
var binary string

// TestMain builds the command, which all tests here run as a user does.
func TestMain(m *testing.M) {
	if dir := os.Getenv(refusingDir); dir != "" {
		os.Exit(serveRefusing(dir))
	}
	os.Exit(endtoend.Main(m, &binary))
}

// serveRefusing runs the command line "serve -c FILE".
func serveRefusing(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := siemrelay.ServeRefusing(ctx, os.Args[3], dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
