package config_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/siemrelay/siemrelay/internal/config"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]config.Size{
		"0": 0, "1": 1, "1024": 1 << 10, "7B": 7, "1KB": 1000, "1kB": 1000, "1MB": 1e6, "2GB": 2e9, "3TB": 3e12,
		"1KiB": 1 << 10, "512MiB": 512 << 20, "10GiB": 10 << 30, "1TiB": 1 << 40, "10 GiB": 10 << 30,
		"9223372036854775807": math.MaxInt64, "8388607TiB": 8388607 << 40,
	} {
		if got, err := config.ParseSize(text); err != nil || got != want {
			t.Errorf("%s gave %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", " ", "B", "MiB", "1.5GiB", "-1", "-1KiB", "+1", "1 ", " 1", "1  KiB", "1kib", "1Mb", "1M", "1e3", "0x10",
		"010", "1_000", "1MiBB", "8388608TiB", "9223372036854775808", "99999999999999999999KiB", "１KiB",
	} {
		if got, err := config.ParseSize(text); err == nil {
			t.Errorf("%q gave %d", text, got)
		}
	}
}

func TestSizeString(t *testing.T) {
	for size, want := range map[config.Size]string{
		0: "0", 1: "1", 1000: "1KB", 1023: "1023", 1024: "1KiB", 1536: "1536", 100 * config.MiB: "100MiB",
		10 * config.GiB: "10GiB", 1e6: "1MB", 1 << 40: "1TiB",
	} {
		if got := size.String(); got != want {
			t.Errorf("%d is written %s, not %s", int64(size), got, want)
		}
	}
}

func TestSizeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := config.Size(rapid.Int64Min(0).Draw(t, "size"))
		got, err := config.ParseSize(size.String())
		if err != nil || got != size {
			t.Fatalf("%s gave %d, %v", size, got, err)
		}
	})
}

// TestDurations goes through a key, because reading a duration is not exported.
func TestDurations(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0s", "90s": "1m30s", "7d": "168h0m0s", "1d12h": "36h0m0s", "0d1ms": "1ms", "1.5h": "1h30m0s",
	} {
		got := mustLoad(t, newMachine(t), minimal+"spool: {retention: "+text+"}\n").Spool.Retention.String()
		if got != want {
			t.Errorf("%s gave %s, not %s", text, got, want)
		}
	}
	for _, text := range []string{"d", "7 d", "-1d", "1d-1h", "1d+1h", "1h1d", "1.5d", "1d2", "1", "107000d", "999999999999999999d", "''"} {
		mistakes(t, newMachine(t), minimal+"spool: {retention: "+text+"}\n")
	}
}
