package console_test

import (
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/testenv/chromium"
)

// The numbers beside the picture have room, also large ones.
func browserLargeNumbers(t *testing.T, b *chromium.Browser) {
	f := newScene(time.Now)
	for range 12_000 {
		f.add(fakeEvent{EventSummary: admin.EventSummary{Kind: "threat", Record: "many", Title: "Again", Risk: "high", Severity: 73, Status: "open", Company: "c-2044"}})
	}
	site := serve(t, open(t, f), operator) // ends after the page
	p := b.Page(t, chromium.Laptop)
	p.Go(site + "/")
	p.Wait(`document.querySelectorAll('#chart .u-axis').length === 2`)
	room := chromium.Eval[float64](p, `(() => {
		const pen = document.createElement('canvas').getContext('2d');
		pen.font = '11px system-ui, sans-serif';
		return document.querySelectorAll('#chart .u-axis')[1].getBoundingClientRect().width - pen.measureText('10\u202f000').width;
	})()`)
	if room < 15 { // its marks and the gap take that
		t.Errorf("there are %.0f px for the marks of an axis of 12,000", room)
	}
	if got := p.Text("#legend"); !strings.Contains(got, "12\u202f0") {
		t.Errorf("the legend says %q", got)
	}
}
