package spool_test

import (
	"testing"
	"testing/synctest"

	"github.com/siemrelay/siemrelay/internal/spool"
)

// plays are the deliveries, what happens between them, and what each must become.
// See play for the words. Bodies called create and note… are unique by nature.
var plays = []struct{ name, script string }{
	{"a creation is retried", `
		A create new
		wait 1m
		A create retry 1
		wait 2m
		A create retry 1`},
	{"a creation is retried at once, and answered each time", `
		A create new
		A create retry 1
		lost 1
		A create retry 1`},
	{"a creation whose answer is lost three times, with an update and restarts between", `
		A create new
		lost 1
		wait 1m
		A create retry 1
		lost 1
		A update new
		wait 2m
		restart
		A create retry 1
		lost 1
		wait 3m
		kill
		A create retry 1`},
	{"a note is retried, another one is not its retry", `
		A note1 new
		A note2 new
		A note1 retry 1
		A note2 retry 2
		A update new
		A note1 retry 1`},
	{"the window of a creation", `
		A create new
		wait 30m
		A create retry 1
		wait 30m
		A create retry 1
		wait 1ns
		A create new
		wait 1h
		A create retry 2`},
	{"the window after a restart", `
		A create new
		B create new
		wait 1h
		restart
		A create retry 1
		wait 1ns
		B create new
		restart
		A create new`},

	{"an update is repeated, and was answered each time", `
		A update new
		A update tagged
		wait 10s
		A update tagged
		wait 1m
		A update tagged
		wait 50m
		A update tagged
		wait 1h
		A update tagged
		wait 1h
		wait 1ns
		A update new`},
	{"an update whose answer was lost is retried", `
		A update new
		lost 1
		wait 30s
		A update retry 1
		wait 1m
		A update tagged`},
	{"what comes sooner than 30 s is not its retry", `
		A update new
		lost 1
		wait 29999999999ns
		A update tagged`},
	{"the answers of the retries are lost too", `
		A update new
		lost 1
		wait 1m
		A update retry 1
		lost 1
		wait 2m
		A update retry 1
		lost 1
		wait 3m
		A update retry 1
		wait 4m
		A update tagged`},
	{"two attempts within 30 s are never one", `
		A update new
		lost 1
		wait 1m
		A update retry 1
		lost 1
		wait 29999999999ns
		A update tagged`},
	{"the window of an update", `
		A update new
		lost 1
		wait 1h
		A update retry 1
		lost 1
		wait 30s
		A update new`},
	{"closed, reopened, closed again", `
		A closed new
		wait 1m
		A reopened new
		wait 1m
		A closed tagged
		wait 1m
		A reopened tagged`},
	{"closed, its answer lost, reopened, closed again", `
		A closed new
		lost 1
		wait 1m
		A reopened new
		wait 1m
		A closed tagged
		lost 3
		wait 1m
		A closed retry 3`},
	{"the answer of an event that is not the latest", `
		A update new
		wait 1s
		A update tagged
		lost 1
		wait 1m
		A update tagged
		lost 3
		wait 1m
		A update retry 3`},
	{"an answer is lost after a restart of the one before", `
		A update new
		restart
		lost 1
		wait 1m
		A update retry 1`},

	{"another record with the same body", `
		A create new
		B create new
		A update new
		lost 3
		wait 1m
		B update new
		B create retry 2
		A update retry 3`},
	{"the same record with another body", `
		A update1 new
		lost 1
		wait 1m
		A update2 new`},
	{"no usable id", `
		- create new
		- create new
		- update new
		lost 3
		wait 1m
		- update new
		restart
		- create new
		kill
		wait 1m
		- create new`},

	{"a clean stop: what was not answered is forgotten", `
		A update new
		lost 1
		restart
		wait 1m
		A update tagged`},
	{"killed: the newest events may not have been answered", `
		A update new
		B update new
		kill
		wait 30s
		A update retry 1
		B update retry 2
		wait 1m
		A update tagged`},
	{"killed: sooner than 30 s", `
		A update new
		wait 1s
		kill
		wait 28999999999ns
		A update tagged`},
	{"killed: ten seconds of the log", `
		A update new
		wait 1ns
		B update new
		wait 10s
		C update new
		kill
		wait 1m
		A update tagged
		B update retry 2
		C update retry 3`},
	{"the process is killed after a lull: it outlived the answer", `
		A update new
		wait 16s
		die
		wait 1m
		A update tagged`},
	{"the process is killed before a lull is one", `
		A update new
		wait 9s
		die
		wait 1m
		A update retry 1`},
	{"the process is killed after a lull and one more event", `
		A update new
		wait 16s
		B update new
		die
		wait 1m
		A update tagged
		B update retry 2`},
	{"killed twice: the second process cannot speak for the first", `
		A update new
		die
		wait 20s
		die
		wait 1m
		A update retry 1`},
	{"the power fails after a lull: the note of it was not synced", `
		A update new
		wait 16s
		kill
		wait 1m
		A update retry 1`},
	{"killed: only the record's latest", `
		A closed new
		A reopened new
		kill
		wait 1m
		A closed tagged
		A reopened tagged`},
	{"killed: the latest", `
		A closed new
		A reopened new
		kill
		wait 1m
		A reopened retry 2
		A closed tagged`},
	{"killed twice", `
		A update new
		kill
		kill
		wait 1m
		A update retry 1`},
	{"killed, then stopped before anything was delivered", `
		A update new
		kill
		restart
		restart
		wait 1m
		A update retry 1`},
	{"killed, then stopped after another event", `
		A update new
		kill
		B update new
		restart
		wait 1m
		A update tagged`},
	{"killed, then stopped after the retry was answered", `
		A update new
		kill
		wait 1m
		A update retry 1
		restart
		wait 1m
		A update tagged`},
	{"stopped, then killed without an event", `
		A update new
		restart
		kill
		wait 1m
		A update retry 1`},
	{"killed after an hour", `
		A update new
		kill
		wait 1h
		kill
		A update retry 1
		wait 1ns
		lost 1
		wait 1m
		A update new`},

	{"no room: a retry of what is stored is answered", `
		A create new
		A update new
		lost 2
		full
		B create no_space
		A create retry 1
		wait 30s
		A update retry 2
		A update no_space
		room
		wait 10s
		B create new
		A update tagged`},
	{"a failed sync leaves no trace", `
		bad
		A create io
		A create new
		A create retry 1
		bad
		A update io
		wait 1m
		A update new`},
	{"a failed sync does not hide what was before", `
		A closed new
		lost 1
		wait 1m
		bad
		A reopened io
		A closed retry 1
		lost 1
		wait 1m
		bad
		A other io
		A closed retry 1`},

	{"stored after its sender was refused", `
		hang
		A update slow
		goes on
		stored
		wait 30s
		A update retry 1
		wait 1m
		A update tagged`},
	{"stored after its sender was refused, and too soon", `
		hang
		A update slow
		goes on
		stored
		A update tagged`},
	{"retried while the disk hangs", `
		hang
		A update slow
		wait 1m
		A update slow
		wait 1m
		A update slow
		goes on
		stored
		wait 1m
		A update retry 1`},
	{"a creation is retried while the disk hangs", `
		hang
		A create slow
		A create slow
		wait 10m
		A create slow
		goes on
		stored
		A create retry 1`},
	{"given up while the disk hangs", `
		hang
		A update slow
		B create slow
		B update slow
		A update2 slow
		goes on
		stored
		B create new
		B update new
		wait 1m
		A update retry 1
		lost 1
		A update2 new`},
	{"given up with the same body as the one that hangs", `
		hang
		A update slow
		A update slow
		goes on
		stored
		wait 1m
		A update retry 1`},
	{"hangs, then fails", `
		hang
		bad
		A update slow
		A create slow
		goes on
		A update new
		A create new
		wait 1m
		A update tagged`},
	{"given up does not hide what was before", `
		A closed new
		lost 1
		wait 1m
		hang
		B create slow
		A reopened slow
		A closed retry 1
		goes on
		stored
		lost 1
		wait 1m
		A closed retry 1`},
	{"in flight is newer than what was before", `
		A closed new
		lost 1
		wait 1m
		hang
		A reopened slow
		B create slow
		A closed slow
		goes on
		stored
		A closed tagged`},

	{"the clock is set forward: no two events become one", `
		A update new
		lost 1
		wait 1s
		clock 40s
		A update tagged
		lost 2
		wait 30s
		clock 24h
		A update tagged`},
	{"the clock is set forward: a creation is still known", `
		A create new
		clock 24h
		wait 1m
		A create retry 1`},
	{"the clock is set back: time passes all the same", `
		A update new
		A create new
		lost 1
		clock -24h
		wait 1m
		A create retry 2
		B update new
		lost 3
		wait 29s
		B update tagged
		lost 4
		wait 30s
		B update retry 4
		wait 58m
		A create retry 2
		wait 2m
		A create new
		A update new`},
	{"the clock is set back, killed: it is not known how old the newest event is", `
		A create new
		A update new
		clock -24h
		kill
		wait 1m
		A update tagged
		A create retry 1`},
	{"the clock was set back between two events, killed", `
		A update new
		clock -1m
		B update new
		wait 2m
		kill
		wait 1m
		A update tagged
		B update retry 2`},
	{"the clock was set back, and hours passed in the log", `
		A update new
		clock -24h
		wait 5h
		B update new
		wait 1h
		C update new
		kill
		wait 1m
		B update tagged
		C update retry 3
		A update tagged`},
}

func TestRetryOrRepeat(t *testing.T) {
	for _, p := range plays {
		t.Run(p.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newPlay(t).run(p.script) })
		})
	}
}

// With few entries the oldest are forgotten, and what is forgotten is new.
func TestRetriesOfForgottenEvents(t *testing.T) {
	for name, test := range map[string]struct {
		set    func(o *spool.Options)
		script string
	}{
		"one entry": {func(o *spool.Options) { o.RetryEntries = 1 }, `
			A create new
			A create retry 1
			B create new
			B create retry 2
			restart
			B create retry 2
			A create new
			B create new
			B update new
			lost 5
			wait 1m
			B update retry 5`},
		"two entries": {func(o *spool.Options) { o.RetryEntries = 2 }, `
			A create new
			B create new
			C create new
			C create retry 3
			B create retry 2
			A create new
			restart
			A create retry 4
			C create retry 3
			B create new`},
		"turned off": {func(o *spool.Options) { o.RetryWindow = 0 }, `
			A create new
			A create new
			A update new
			lost 3
			wait 1m
			A update new
			kill
			wait 1m
			A update new`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlay(t)
				test.set(&p.o)
				p.run(test.script)
			})
		})
	}
}
