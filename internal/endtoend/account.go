package endtoend

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Account is what became of the events of one output, as the relay tells it.
type Account struct {
	Entered, Delivered, Sent, Filtered, Dead, Dropped, Unreadable, Pending int64
}

// Check returns an error if a number can't be, or they don't add up.
func (a Account) Check() error {
	for _, n := range []int64{a.Entered, a.Delivered, a.Sent, a.Filtered, a.Dead, a.Dropped, a.Unreadable, a.Pending} {
		if n < 0 || n > 1<<52 {
			return fmt.Errorf("%+v: %d can't be a number of events", a, n)
		}
	}
	if sum := a.Delivered + a.Sent + a.Filtered + a.Dead + a.Dropped + a.Unreadable + a.Pending; sum != a.Entered {
		return fmt.Errorf("%+v: the states add up to %d", a, sum)
	}
	return nil
}

// Status is what "siemrelay status" tells.
type Status struct {
	Running, Ready bool
	Receiver       *StatusReceiver // nil of a stopped relay
	Outputs        []StatusOutput
	Rejected       int
	Problems       []string
}

// StatusReceiver counts webhooks since the start.
type StatusReceiver struct {
	Accepted, Duplicates, Rejected int
	LastAccepted                   time.Time `json:"last_accepted"`
}

// StatusOutput is one output in a Status.
type StatusOutput struct {
	Name, State, Error string
	Configured         bool
	Account
	Replaying, Queued int64
}

// Output returns the output of the name, and nothing of it if it is not there.
func (s Status) Output(name string) (StatusOutput, bool) {
	for _, o := range s.Outputs {
		if o.Name == name {
			return o, true
		}
	}
	return StatusOutput{}, false
}

// Status runs "siemrelay status". What it tells has to add up.
func (r *Rig) Status() Status {
	r.tb.Helper()
	var s Status
	r.JSON(&s, "status")
	for _, o := range s.Outputs {
		if err := o.Check(); err != nil {
			r.tb.Errorf("status of output %s: %v", o.Name, err)
		}
	}
	return s
}

// Accounts reads the accounts of all outputs from the metrics, which have to add up.
func (r *Rig) Accounts() map[string]Account {
	r.tb.Helper()
	_, text := r.Admin("/metrics")
	accounts, err := ParseAccounts(text)
	r.must(err)
	for name, a := range accounts {
		if err := a.Check(); err != nil {
			r.tb.Errorf("metrics of output %s: %v", name, err)
		}
	}
	return accounts
}

// AwaitAccount waits until the metrics say that of the output.
func (r *Rig) AwaitAccount(output string, want Account) {
	r.tb.Helper()
	r.Eventually(fmt.Sprintf("the account of %s is %+v", output, want), func() bool { return r.Accounts()[output] == want })
}

// ParseAccounts reads the accounts out of a scrape.
func ParseAccounts(text string) (map[string]Account, error) {
	accounts := map[string]Account{}
	for line := range strings.Lines(text) {
		series, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		name, labels, _ := strings.Cut(series, "{")
		if !ok || name != "siemrelay_output_entered_total" && name != "siemrelay_output_events" {
			continue
		}
		parts := strings.Split(labels, `"`) // output="NAME",state="STATE"
		f, err := strconv.ParseFloat(value, 64)
		n := int64(f)
		if err != nil || float64(n) != f || len(parts) < 3 {
			return nil, fmt.Errorf("read metrics: %q is no number of events", line)
		}
		a := accounts[parts[1]]
		if name == "siemrelay_output_entered_total" {
			a.Entered = n
		} else if !a.set(parts[3], n) {
			return nil, fmt.Errorf("read metrics: %q has an unknown state", line)
		}
		accounts[parts[1]] = a
	}
	if len(accounts) == 0 {
		return nil, errors.New("read metrics: there is no account of an output")
	}
	return accounts, nil
}

func (a *Account) set(state string, n int64) bool {
	switch state {
	case "delivered":
		a.Delivered = n
	case "sent":
		a.Sent = n
	case "filtered":
		a.Filtered = n
	case "dead":
		a.Dead = n
	case "dropped":
		a.Dropped = n
	case "unreadable":
		a.Unreadable = n
	case "pending":
		a.Pending = n
	default:
		return false
	}
	return true
}
