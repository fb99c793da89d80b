package console_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// severities of the risk words.
func severityOf(risk string) int {
	return map[string]int{"info": 10, "low": 21, "medium": 47, "high": 73, "critical": 99}[risk]
}

// newScene is a siemrelay on an ordinary working day: some companies, a month of
// events, an output that is down, dead letters and rejected bodies. It is the same
// each time for the same clock.
func newScene(now func() time.Time) *fake {
	f := newFake(now)
	at := now()
	companies := []struct{ id, name string }{{"abc12345-6789-0def", "Northwind Traders"}, {"c-2044", "Contoso Legal LLP"}, {"c-7781", "Fabrikam Foundry"}}
	var all []fakeEvent
	for i := range 220 {
		kind := threats[(i*7)%len(threats)]
		company := companies[(i*i)%len(companies)]
		age := time.Duration((220-i)*(220-i))*time.Minute*9/10 + time.Minute
		e := fakeEvent{EventSummary: admin.EventSummary{
			Accepted: at.Add(-age), Kind: "threat", Action: "threat-created", Code: "threat.create", Record: fmt.Sprintf("t-%04d", i),
			Title: kind.title, Company: company.id, Name: company.name, Risk: kind.risk, Severity: severityOf(kind.risk), State: "detected", Status: "open", Source: kind.source,
		}, Description: kind.description, Link: "https://my.defense.com/threats/" + fmt.Sprint(i)}
		all = append(all, e)
		switch i % 4 {
		case 1:
			e.Accepted, e.Action, e.Code, e.State = e.Accepted.Add(age/3), "threat-noted", "threat.note", "assigned"
			e.NoteBy, e.Note = []string{"Priya Shah", "Alex Morgan", "Tomasz Wójcik"}[i%3], kind.note
			all = append(all, e)
		case 2, 3:
			e.Accepted, e.Action, e.Code, e.State, e.Status = e.Accepted.Add(age/2), "threat-closed", "threat.closed", "remediated", "closed"
			all = append(all, e)
		}
	}
	for i, subject := range []string{"Question about my latest scan results", "Please approve the change of the firewall rule", "Access for a new colleague", "The weekly report did not arrive"} {
		state := []string{"awaiting_customer_reply", "approval", "closed", "open"}[i]
		status := "open"
		if state == "closed" {
			status = "closed"
		}
		all = append(all, fakeEvent{EventSummary: admin.EventSummary{
			Accepted: at.Add(-time.Duration(9-2*i) * time.Hour), Kind: "ticket", Action: "ticket-noted", Code: "ticket.note", Record: fmt.Sprintf("k-%d", i), Title: subject,
			Company: companies[i%3].id, Name: companies[i%3].name, Severity: 21, State: state, Status: status, NoteBy: "Alex Morgan", Note: "Thanks, that answers my question.",
		}, Reference: fmt.Sprintf("TES-TIN-G%04d", 1200+i), Priority: []string{"Standard", "Urgent"}[i%2]})
	}
	slices.SortStableFunc(all, func(a, b fakeEvent) int { return a.Accepted.Compare(b.Accepted) })
	for _, e := range all {
		f.add(e)
	}
	last := f.add(fakeEvent{EventSummary: admin.EventSummary{
		Accepted: at.Add(-40 * time.Second), Kind: "threat", Action: "threat-reopened", Code: "threat.reopen", Record: "t-9000", Title: "Many failed logins, then a success",
		Company: companies[0].id, Name: companies[0].name, Risk: "critical", Severity: 99, State: "detected", Status: "open", Source: "SIEM security event",
	}, Description: "An account was locked 14 times within ten minutes and then logged in.", Link: "https://my.defense.com/threats/9000"})
	f.letters = []admin.LetterDetail{
		letter(1, last, at.Add(-26*time.Hour), `mapper_parsing_exception: failed to parse field [defensecom.threat.risk] of type [keyword] in document`, "A container image with known vulnerabilities"),
		letter(2, f.events[3].ID, at.Add(-3*time.Hour), `illegal_argument_exception: Document contains at least one immense term in field="defensecom.extra.blob"`, "Outdated software detected on a public facing server"),
	}
	f.rejected = []admin.RejectedDetail{
		{Rejected: admin.Rejected{ID: 1, At: at.Add(-30 * time.Hour), Address: "203.0.113.9:51822", Reason: "malformed", Size: 1904}, Body: admin.NewBody([]byte(`{"record_type": "Threat", "id": "17", "title": "cut off in the mid`))},
		{Rejected: admin.Rejected{ID: 2, At: at.Add(-2 * time.Hour), Address: "203.0.113.9:51900", Reason: "not_an_object", Size: 12}, Body: admin.NewBody([]byte("[\"hello\"]\xff\n"))},
	}
	f.status = admin.Status{
		Version: "1.4.0", Running: true, Started: at.Add(-200 * time.Hour), Ready: true,
		Spool:    admin.SpoolStatus{Dir: "/var/lib/siemrelay", Bytes: 212 << 20, MaxBytes: 10 << 30, DeadLetterBytes: 4096, DeadLetterMax: 1 << 30},
		Receiver: &admin.ReceiverStats{Accepted: 4182, Duplicates: 3, Rejected: 2, LastAccepted: at.Add(-40 * time.Second)},
		Outputs: []admin.OutputStatus{
			output("kibana", "elasticsearch", admin.Ledger{Entered: 4182, Delivered: 4180, Dead: 2}, at),
			output("topic", "kafka", admin.Ledger{Entered: 4182, Delivered: 4065, Pending: 117}, at),
			output("arcsight", "syslog", admin.Ledger{Entered: 4182, Delivered: 1204, Filtered: 2978}, at),
			output("local", "local", admin.Ledger{Entered: 4182, Delivered: 4182}, at),
		},
		Problems: []string{"Output topic is retrying since 42 minutes: dial tcp 10.2.0.14:9093: connect: connection refused. 117 events wait for it.", "Output kibana has 2 dead letters."},
	}
	f.status.Outputs[2].Format = "cef"
	down := &f.status.Outputs[1]
	down.State, down.Reason, down.Error, down.Since = admin.StateRetrying, "unavailable", "dial tcp 10.2.0.14:9093: connect: connection refused", at.Add(-42*time.Minute)
	down.OldestPending, down.LagSeconds, down.LastSuccess, down.Replaying = at.Add(-42*time.Minute), 2520, at.Add(-42*time.Minute), 15
	return f
}

// newFake is a siemrelay that nothing has come to yet.
func newFake(now func() time.Time) *fake {
	return &fake{now: now, door: admin.TestResult{URL: "https://127.0.0.1:8443/webhooks/defense", Status: 200, Duration: .012}, status: admin.Status{
		Version: "1.4.0", Running: true, Started: now(), Ready: true, Spool: admin.SpoolStatus{Dir: "/var/lib/siemrelay", MaxBytes: 10 << 30},
		Receiver: &admin.ReceiverStats{}, Outputs: []admin.OutputStatus{output("local", "local", admin.Ledger{}, now())},
	}}
}

func output(name, kind string, l admin.Ledger, at time.Time) admin.OutputStatus {
	return admin.OutputStatus{
		Name: name, Type: kind, Format: "ecs", Configured: true, State: admin.StateOK, Since: at.Add(-200 * time.Hour), LastSuccess: at.Add(-40 * time.Second), Ledger: l,
	}
}

func letter(id int64, event string, at time.Time, why, title string) admin.LetterDetail {
	return admin.LetterDetail{
		Letter: admin.Letter{
			ID: id, Output: "kibana", Reason: "refused", Error: why, Tries: 1, First: at, Refused: at, Accepted: at.Add(-time.Second), EventID: event,
			Sequence: uint64(id), Kind: "threat", Company: "c-2044", Record: "t-0017", Title: title, Code: "threat.create", Size: 820,
		},
		Body: admin.NewBody([]byte(`{"record_type":"Threat","id":"t-0017","title":"` + title + `","risk":["high"]}`)),
		Now:  &admin.Preview{Format: "ecs", Record: admin.NewBody([]byte(`{"ecs":{"version":"9.4.0"},"message":"` + title + `"}`))},
	}
}

var threats = []struct{ title, risk, source, description, note string }{
	{"Outdated software detected on a public facing server", "high", "Vulnerability scan", "A version of the web server software with known vulnerabilities was found.", "Patched on Tuesday, the scan should agree by tomorrow."},
	{"SQL injection in the login form", "critical", "Application scan", "The parameter \"user\" of /login is put into a query without escaping.", "The developers have a fix, it is released tonight."},
	{"Weak password policy found by the penetration test", "medium", "Penetration test", "Domain accounts may have passwords of six characters.", "The policy is changed; the next password change enforces it."},
	{"Two users entered credentials", "low", "Phishing campaign", "Campaign \"Parcel delivery\": 2 of 40 users entered credentials.", "Both were called."},
	{"Secure Score recommendation: require MFA for administrators", "info", "Microsoft 365", "A recommendation of Microsoft Secure Score is not followed.", "Planned for the next quarter."},
	{"Company domain named in a paste", "medium", "Threat intelligence", "A paste names the company domain beside other domains.", "Old leak, passwords were changed in March."},
	{"A forgotten host answers on port 8080", "low", "Attack surface", "old-shop.example.com answers with a login page.", "The host will be switched off."},
	{"An endpoint without current signatures", "high", "Endpoint protection", "The signatures of LAPTOP-0231 are 30 days old.", "The laptop is in a cupboard."},
}
