package spool_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/siemrelay/siemrelay/internal/spool/crashfs"
)

// TestAnAppendedBodyIsOurs: while a batch is on its way to the disk others are
// appended, and every sender uses its body's memory again as soon as it is answered.
// What is stored is what came.
func TestAnAppendedBodyIsOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := crashfs.New(1)
		o := options(fsys)
		o.MaxSize = 1 << 20
		s := mustOpen(t, o)
		defer mustClose(t, s)
		c := mustCursor(t, s, "out")
		mustAppend(t, s, "{}") // the segment is there

		goOn := make(chan struct{})
		fsys.Fault(func(op crashfs.Op, name string, _ int) error {
			if op == crashfs.OpWrite && filepath.Ext(name) == ".log" {
				<-goOn
			}
			return nil
		})
		want := map[string]bool{"{}": true}
		var senders sync.WaitGroup
		send := func(from, n int) {
			for i := range n {
				body := fmt.Sprintf(`{"sender":%d,"pad":%q}`, from+i, strings.Repeat(string(rune('a'+i)), 100))
				want[body] = true
				senders.Go(func() {
					e := entry(body)
					if _, err := s.Append(e); err != nil {
						t.Errorf("append: %v", err)
					}
					clear(e.Body)
				})
			}
			synctest.Wait()
		}
		send(0, 1) // is being written
		send(100, 20)
		close(goOn)
		senders.Wait()
		for _, r := range drain(t, c) {
			if !want[r.body] {
				t.Errorf("event %d is not what came: %s", r.sequence, r.body)
			}
			delete(want, r.body)
		}
		if a := account(t, s, "out"); len(want) > 0 || a.Entered != 22 {
			t.Errorf("not read: %v; the account is %+v", want, a)
		}
	})
}
