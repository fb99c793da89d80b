package main

import (
	"fmt"
	"io"
	"os"
)

// meter shows on a terminal how far long work has come, in a line that is written
// over. A nil one shows nothing.
type meter struct {
	w           io.Writer
	done, total uint64 // total 0: nobody knows
}

// terminalMeter is one at f, nil if f is no terminal.
func terminalMeter(f *os.File) *meter {
	if !isTerminal(f) {
		return nil
	}
	return &meter{w: f}
}

// wait says what is waited for, where nobody knows for how long.
func (m *meter) wait(what string) {
	if m != nil {
		fmt.Fprintf(m.w, "\r\x1b[K%s…", what)
	}
}

// clear makes room for a line of text.
func (m *meter) clear() {
	if m != nil {
		fmt.Fprint(m.w, "\r\x1b[K")
	}
}

// step counts one more, and draws.
func (m *meter) step() {
	if m == nil {
		return
	}
	m.done++
	m.draw()
}

func (m *meter) draw() {
	if m == nil {
		return
	}
	if m.total == 0 {
		fmt.Fprintf(m.w, "\r\x1b[K%d", m.done)
		return
	}
	fmt.Fprintf(m.w, "\r\x1b[K%s", progress(min(m.done, m.total), m.total))
}
