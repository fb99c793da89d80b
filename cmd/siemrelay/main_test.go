package main_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// binary is the built command, set once by TestMain.
var binary string

// TestMain builds the command, which all tests here run as a user does.
func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "siemrelay-test-")
	if err == nil {
		defer os.RemoveAll(dir)
		binary, err = endtoend.Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
