package main

import (
	"strings"
	"testing"
)

func TestMeter(t *testing.T) {
	var w strings.Builder
	m := &meter{w: &w, total: 2}
	for range 3 { // a file that has grown meanwhile
		m.step()
	}
	m.clear()
	half, full := strings.Repeat("#", 15)+strings.Repeat(".", 15), strings.Repeat("#", 30)
	const again = "\r\x1b[K"
	if want := again + "[" + half + "] 1 of 2" + again + "[" + full + "] 2 of 2" + again + "[" + full + "] 2 of 2" + again; w.String() != want {
		t.Errorf("drew %q, want %q", w.String(), want)
	}

	w.Reset()
	m = &meter{w: &w}
	m.step()
	if want := again + "1"; w.String() != want {
		t.Errorf("without a total it drew %q, want %q", w.String(), want)
	}

	m = nil // no terminal
	m.clear()
	m.step()
	m.draw()
}
