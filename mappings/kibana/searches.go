package kibana

// search is a saved search of Discover.
type search struct {
	id, title, description string
	view, kql              string
	columns                []string
	// sort is the order of the documents: field, direction, field, direction.
	sort []string
}

const (
	searchWorst   = "defensecom-open-threats-worst"
	searchOldest  = "defensecom-open-threats-oldest"
	searchTickets = "defensecom-open-tickets"
)

// What is open. A state that siemrelay does not know is neither open nor closed,
// and has a panel of its own.
const (
	openThreats = `defensecom.threat.status : "open"`
	openTickets = `defensecom.ticket.status : "open"`
)

func searches() []search {
	newest := []string{"@timestamp", "desc"}
	return []search{
		{
			id: "defensecom-threats", title: "Defense.com threats", view: eventsView, sort: newest,
			description: "What happened to threats, the newest first.",
			kql:         `event.dataset : "defensecom.threat"`,
			columns: []string{
				"event.action", "defensecom.threat.risk", "message", "defensecom.threat.source",
				"defensecom.threat.state", "organization.id", "event.url",
			},
		},
		{
			id: "defensecom-tickets", title: "Defense.com tickets", view: eventsView, sort: newest,
			description: "What happened to support tickets, the newest first.",
			kql:         `event.dataset : "defensecom.ticket"`,
			columns: []string{
				"event.action", "defensecom.ticket.priority", "defensecom.ticket.reference", "message",
				"defensecom.ticket.state", "organization.id", "event.url",
			},
		},
		{
			id: "defensecom-notes", title: "Defense.com notes", view: eventsView, sort: newest,
			description: "Notes on threats and support tickets, the newest first.",
			kql:         `defensecom.note.message : * or defensecom.note.author.name : *`,
			columns: []string{
				"event.action", "message", "defensecom.note.author.name", "defensecom.note.message", "organization.id", "event.url",
			},
		},
		{
			id: searchWorst, title: "Defense.com open threats, worst first", view: latestView,
			description: "The threats that are open now, the most severe first, and of these the oldest first.",
			kql:         openThreats, sort: []string{"event.severity", "desc", "event.start", "asc"},
			columns: []string{
				"defensecom.threat.risk", "message", "defensecom.threat.source", "defensecom.threat.state",
				"event.start", "organization.id", "event.url",
			},
		},
		{
			id: searchOldest, title: "Defense.com open threats, oldest first", view: latestView,
			description: "The threats that are open now, in the order in which they began.",
			kql:         openThreats, sort: []string{"event.start", "asc"},
			columns: []string{
				"event.start", "defensecom.threat.risk", "message", "defensecom.threat.source",
				"defensecom.threat.state", "@timestamp", "organization.id", "event.url",
			},
		},
		{
			id: searchTickets, title: "Defense.com open tickets", view: latestView,
			description: "The support tickets that are open now, the most urgent first, and of these the oldest first.",
			kql:         openTickets, sort: []string{"event.severity", "desc", "event.start", "asc"},
			columns: []string{
				"defensecom.ticket.priority", "defensecom.ticket.reference", "message", "defensecom.ticket.state",
				"event.start", "defensecom.note.created", "organization.id", "event.url",
			},
		},
	}
}

// sourceIndex is the name by which a saved search names its data view.
const sourceIndex = "kibanaSavedObjectMeta.searchSourceJSON.index"

func (s search) object() object {
	var sort [][]string
	for i := 0; i < len(s.sort); i += 2 {
		sort = append(sort, s.sort[i:i+2])
	}
	return object{
		Attributes: body{
			"columns":          s.columns,
			"description":      s.description,
			"grid":             body{},
			"hideChart":        false,
			"isTextBasedQuery": false,
			"kibanaSavedObjectMeta": body{"searchSourceJSON": text(body{
				"filter": []any{}, "indexRefName": sourceIndex, "query": query(s.kql),
			})},
			"sort":        sort,
			"timeRestore": false,
			"title":       s.title,
		},
		Core: coreVersion, ID: s.id, Type: typeSearch, Version: "8.0.0",
		References: []reference{{ID: s.view, Name: sourceIndex, Type: typeView}},
	}
}
