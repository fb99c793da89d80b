package outputstest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/outputstest"
)

const secret = "hunter2-very-secret"

func harness(fault string) outputstest.Harness {
	return outputstest.Harness{
		KeepsOrder: true,
		Secrets:    []string{secret},
		Setup: func(tb testing.TB) outputstest.Subject {
			r := &receiver{stop: make(chan struct{}), state: "up"}
			tb.Cleanup(func() { close(r.stop) })
			return outputstest.Subject{
				New: func() (outputs.Output, error) {
					if fault == "dials in the constructor" && r.is("down") {
						return nil, errors.New("connection refused")
					}
					return &output{r: r, fault: fault}, nil
				},
				Received: r.received,
				Break:    func() { r.become("down", "") },
				Mend:     func() { r.become("up", "") },
				Hang:     func() { r.become("silent", "") },
				Spoil:    func(body []byte) []byte { return append([]byte("bad:"), body...) },
				Defer:    func(marker string) { r.become("up", marker) },
			}
		},
	}
}

// receiver is where an output delivers to.
type receiver struct {
	mu       sync.Mutex
	state    string // up, down or silent
	deferred string
	bodies   [][]byte
	stop     chan struct{}
}

func (r *receiver) become(state, deferred string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state, r.deferred = state, deferred
}

func (r *receiver) is(state string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state == state
}

func (r *receiver) take(body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bodies = append(r.bodies, slices.Clone(body))
}

func (r *receiver) received() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.bodies)
}

// output is a right output with at most one fault.
type output struct {
	r      *receiver
	fault  string
	kept   [][]byte
	failed bool
	sent   bool
}

func (o *output) Send(ctx context.Context, batch []outputs.Message) error {
	o.sent = true
	if ctx.Err() != nil {
		if o.fault == "says nil though it was cancelled" {
			return nil
		}
		return ctx.Err()
	}
	if o.r.is("silent") {
		switch o.fault {
		case "ignores the context":
			<-o.r.stop
		case "calls a timeout a success":
			<-ctx.Done()
			return nil
		}
		<-ctx.Done()
		if o.fault == "blames a message for the silence" {
			p := &outputs.Partial{Results: make([]outputs.Result, len(batch))}
			for i := range p.Results {
				p.Results[i] = outputs.Result{Status: outputs.Retry, Err: errors.New("no answer")}
			}
			return p
		}
		return ctx.Err()
	}
	if o.r.is("down") || o.failed && o.fault == "never reconnects" {
		o.failed = true
		return o.broken(batch)
	}
	for _, body := range o.kept {
		o.r.take(body)
	}
	o.kept = nil
	return o.deliver(batch)
}

// broken is the outcome of a batch while the receiver is down.
func (o *output) broken(batch []outputs.Message) error {
	for _, m := range batch {
		switch o.fault {
		case "keeps bodies of a failed batch":
			o.kept = append(o.kept, m.Body)
		case "queues a failed batch":
			o.kept = append(o.kept, slices.Clone(m.Body))
		}
	}
	switch o.fault {
	case "says nil while broken":
		return nil
	case "tells the secret":
		return fmt.Errorf("dial https://user:%s@siem.example.com: connection refused", secret)
	case "blames the messages while broken":
		p := &outputs.Partial{Results: make([]outputs.Result, len(batch))}
		for i := range p.Results {
			p.Results[i] = outputs.Result{Status: outputs.Retry, Err: errors.New("connection refused")}
		}
		return p
	case "refuses for good while broken":
		p := &outputs.Partial{Results: make([]outputs.Result, len(batch))}
		for i := range p.Results {
			p.Results[i] = outputs.Result{Status: outputs.Refused, Err: errors.New("connection refused")}
		}
		return p
	}
	return errors.New("connection refused")
}

// deliver is the outcome of a batch while the receiver works.
func (o *output) deliver(batch []outputs.Message) error {
	results := make([]outputs.Result, len(batch))
	waiting := map[string]bool{}
	partial := false
	for i, m := range batch {
		switch {
		case strings.HasPrefix(string(m.Body), "bad:"):
			results[i] = outputs.Result{Status: outputs.Refused, Err: errors.New("bad body")}
			if o.fault == "delivers what it calls refused" {
				o.r.take(m.Body)
			}
		case o.r.deferred != "" && strings.Contains(string(m.Body), o.r.deferred):
			results[i] = outputs.Result{Status: outputs.Retry, Err: o.later("not now")}
			waiting[m.Key] = true
		case waiting[m.Key] && o.fault != "overtakes a message to be retried":
			results[i] = outputs.Result{Status: outputs.Retry, Err: o.later("an earlier one waits")}
		default:
			o.take(batch, i)
			continue
		}
		partial = true
	}
	if o.fault == "leaves a goroutine" {
		go func() { <-o.r.stop }()
	}
	if partial {
		return o.partial(results)
	}
	return nil
}

// later is the reason of a message that the receiver put off.
func (o *output) later(text string) error {
	if o.fault == "blames a message that was put off" {
		return errors.New(text)
	}
	return &outputs.Transient{Err: errors.New(text)}
}

// take delivers message i of a batch.
func (o *output) take(batch []outputs.Message, i int) {
	body := batch[i].Body
	switch {
	case o.fault == "loses the last message of a batch" && i > 0 && i == len(batch)-1:
		return
	case o.fault == "delivers after it returned":
		o.kept = append(o.kept, slices.Clone(body))
		return
	case o.fault == "delivers twice":
		o.r.take(body)
	case o.fault == "swaps two messages of a record" && i+21 < len(batch) && i%42 < 21:
		body = batch[i+21].Body
	case o.fault == "swaps two messages of a record" && i%42 >= 21:
		body = batch[i-21].Body
	case o.fault == "trims bodies":
		body = []byte(strings.ReplaceAll(string(body), "  ", " "))
	case o.fault == "cuts large bodies":
		body = body[:min(len(body), 64<<10)]
	case o.fault == "unescapes bodies":
		body = []byte(strings.ReplaceAll(string(body), `\u0000`, "\x00"))
	case o.fault == "writes into the batch":
		defer func() { batch[i].Key = "" }()
	}
	o.r.take(body)
}

// partial is the error that says what became of each message.
func (o *output) partial(results []outputs.Result) error {
	for i := range results {
		r := &results[i]
		refused := r.Status == outputs.Refused
		switch {
		case o.fault == "says refused without a reason" && refused:
			r.Err = nil
		case o.fault == "says done with an error" && r.Status == outputs.Done:
			r.Err = errors.New("fine")
		case o.fault == "says an unknown status" && refused:
			r.Status = 7
		case o.fault == "blames the neighbours":
			*r = outputs.Result{Status: outputs.Refused, Err: errors.New("bad batch")}
		case o.fault == "calls a deferred message refused" && r.Status == outputs.Retry:
			r.Status = outputs.Refused
		case o.fault == "tells the secret in one result" && refused:
			r.Err = errors.New("bad body for " + secret)
		}
	}
	switch {
	case o.fault == "says too few results":
		results = results[:len(results)-1]
	case o.fault == "drops refused messages silently":
		return nil
	case o.fault == "drops a batch that is refused as a whole" && len(results) == 1:
		return nil
	}
	return &outputs.Partial{Results: results}
}

func (o *output) Close() error {
	switch {
	case o.fault == "cannot be closed unused" && !o.sent:
		return errors.New("not connected")
	case o.fault == "greets the receiver on close":
		o.r.take([]byte("bye"))
	case o.fault == "hangs on close while broken" && o.r.is("down"):
		<-o.r.stop
	}
	for _, body := range o.kept {
		o.r.take(body)
	}
	return nil
}
