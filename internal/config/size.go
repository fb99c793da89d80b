package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes. It is written as a whole number with a unit,
// "10GiB" or "1MB", or as plain bytes.
type Size int64

// The binary units.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
	TiB Size = 1 << 40
)

// sizeUnits is in the order in which String tries them.
var sizeUnits = [...]struct {
	name string
	size Size
}{
	{"TiB", TiB}, {"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"kB", 1e3},
	{"B", 1},
}

const sizeForm = "write a whole number and a unit, such as 512KiB, 100MiB, 10GiB, 1TiB, or 1MB for a million bytes"

// ParseSize reads what Size.String writes. A space before the unit is fine.
func ParseSize(text string) (Size, error) {
	size, ok := parseSize(text)
	if !ok {
		return 0, fmt.Errorf("parse size: %q is not a size; %s", text, sizeForm)
	}
	return size, nil
}

func parseSize(text string) (Size, bool) {
	digits, unit := text, Size(1)
	for _, u := range sizeUnits {
		if number, found := strings.CutSuffix(text, u.name); found {
			digits, unit = strings.TrimSuffix(number, " "), u.size
			break
		}
	}
	n, ok := parseWhole(digits)
	if !ok || n < 0 || n > math.MaxInt64/int64(unit) {
		return 0, false
	}
	return Size(n) * unit, true
}

// String gives the largest unit that needs no fraction, binary units first.
func (s Size) String() string {
	if s == 0 {
		return "0"
	}
	for _, u := range sizeUnits {
		if s%u.size == 0 && u.size > 1 {
			return strconv.FormatInt(int64(s/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// parseWhole reads a decimal number without leading zeros: YAML 1.1 and 1.2
// disagree on what 010 is.
func parseWhole(text string) (int64, bool) {
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || digits[0] < '0' || digits[0] > '9' || (digits[0] == '0' && len(digits) > 1) {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

const durationForm = "write a number and a unit, such as 500ms, 90s, 15m, 168h or 7d"

// parseDuration reads what time.ParseDuration reads, with whole days of 24
// hours in front of it: "7d", "1d12h".
func parseDuration(text string) (time.Duration, bool) {
	days, rest, found := strings.Cut(text, "d")
	if !found {
		d, err := time.ParseDuration(text)
		return d, err == nil
	}
	n, ok := parseWhole(days)
	if !ok || n < 0 || n > math.MaxInt64/int64(24*time.Hour) {
		return 0, false
	}
	whole := time.Duration(n) * 24 * time.Hour
	if rest == "" {
		return whole, true
	}
	part, err := time.ParseDuration(rest)
	if err != nil || part < 0 || rest[0] == '+' || rest[0] == '-' || whole > math.MaxInt64-part {
		return 0, false
	}
	return whole + part, true
}

// formatDuration writes a duration without the zero parts of Duration.String.
func formatDuration(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
