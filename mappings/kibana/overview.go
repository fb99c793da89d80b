package kibana

import "strings"

// Test events (siemrelay send --test) are in the saved searches, so that who sends
// one finds it, and not in the dashboard's numbers. The latest state never has them.
const noTests = ` and not tags : "siemrelay_test"`

// What opens a threat and what closes it.
const (
	opened = `event.action : ("threat-created" or "threat-reopened")` + noTests
	closed = `event.action : "threat-closed"` + noTests
)

// risks are the words of log.level, worst first, with their colors.
func risks() []struct{ word, label, color string } {
	return []struct{ word, label, color string }{
		{"critical", "Critical", "#BD271E"},
		{"high", "High", "#E7664C"},
		{"medium", "Medium", "#D6BF57"},
		{"low", "Low", "#6092C0"},
		{"info", "Info", "#98A2B3"},
	}
}

// byRisk counts documents, in one column for each risk, and one for what is neither:
// words that siemrelay does not know, and none.
func byRisk() []colored {
	var all []colored
	var words []string
	for _, r := range risks() {
		all = append(all, colored{count(r.word, r.label, `log.level : "`+r.word+`"`), r.color})
		words = append(words, `"`+r.word+`"`)
	}
	other := count("other", "Other", `not log.level : (`+strings.Join(words, " or ")+`)`)
	return append(all, colored{other, "#54B399"})
}

func plain(series []colored) []column {
	var columns []column
	for _, s := range series {
		columns = append(columns, s.column)
	}
	return columns
}

// severe is what an analyst looks at first.
const severe = `log.level : ("critical" or "high")`

// introduction is the text at the top.
const introduction = `**Threats and support tickets of [Defense.com](https://my.defense.com), as siemrelay delivered them.** ` +
	`What is *open now* is so whatever the time range; what was *opened* and *closed*, and the last event, are within it. ` +
	`A state that siemrelay does not know counts as neither open nor closed, see *Threats by state*. ` +
	`To search: Discover, the saved searches *Defense.com threats*, *tickets*, *notes*. ` +
	`To change this dashboard, save it under another name: setting up again replaces it.`

func panels() []panel {
	total := count("total", "All", "")
	return []panel{
		{id: "introduction", w: 48, h: 4, hideTitle: true, content: markdown(introduction)},

		{id: "open-now", title: "Open threats now", x: 0, y: 4, w: 8, h: 6, hideTitle: true,
			content: metric(latestView, openThreats, count("value", "Open threats now", ""))},
		{id: "severe-now", title: "Critical and high, open now", x: 8, y: 4, w: 8, h: 6, hideTitle: true,
			content: metric(latestView, openThreats+" and "+severe, count("value", "Critical and high, open now", ""))},
		{id: "opened", title: "Opened", x: 16, y: 4, w: 8, h: 6, hideTitle: true,
			content: metric(eventsView, opened, count("value", "Opened in the time range", ""))},
		{id: "closed", title: "Closed", x: 24, y: 4, w: 8, h: 6, hideTitle: true,
			content: metric(eventsView, closed, count("value", "Closed in the time range", ""))},
		{id: "oldest-open", title: "Oldest open threat began", x: 32, y: 4, w: 8, h: 6, hideTitle: true,
			content: metric(latestView, openThreats, earliest("value", "Oldest open threat began", "event.start"))},
		{id: "last-event", title: "Last event arrived", x: 40, y: 4, w: 8, h: 6, hideTitle: true,
			content: metric(eventsView, "", latest("value", "Last event arrived", "event.ingested"))},

		{id: "opened-over-time", title: "Threats opened, by risk", x: 0, y: 10, w: 24, h: 12,
			content: bars(eventsView, opened, "bar_stacked", barColumns{x: overTime("time", "@timestamp"), series: byRisk()})},
		{id: "closed-over-time", title: "Threats closed, by risk", x: 24, y: 10, w: 24, h: 12,
			content: bars(eventsView, closed, "bar_stacked", barColumns{x: overTime("time", "@timestamp"), series: byRisk()})},

		{id: "source-risk", title: "Open threats by source and risk", x: 0, y: 22, w: 24, h: 14,
			content: table(latestView, openThreats, append([]column{
				terms("source", "Source", "defensecom.threat.source", total.id), total,
			}, plain(byRisk())...)...)},
		{id: "company", title: "Open threats by company", x: 24, y: 22, w: 12, h: 14,
			content: table(latestView, openThreats,
				terms("company", "Company", "organization.id", total.id), total, count("severe", "Critical and high", severe))},
		{id: "state", title: "Threats by state", x: 36, y: 22, w: 12, h: 14,
			content: donut(latestView, `event.dataset : "defensecom.threat"`,
				terms("state", "State", "defensecom.threat.state", total.id), total)},

		{id: "worst", title: "Top open threats", x: 0, y: 36, w: 48, h: 15, content: saved(searchWorst)},
		{id: "oldest", title: "Oldest open threats", x: 0, y: 51, w: 48, h: 12, content: saved(searchOldest)},

		{id: "open-tickets", title: "Open tickets now", x: 0, y: 63, w: 8, h: 12, hideTitle: true,
			content: metric(latestView, openTickets, count("value", "Open tickets now", ""))},
		{id: "priority-state", title: "Open tickets by priority and state", x: 8, y: 63, w: 40, h: 12,
			content: bars(latestView, openTickets, "bar_horizontal_stacked", barColumns{
				x:      terms("priority", "Priority", "defensecom.ticket.priority", total.id),
				split:  ptr(terms("state", "State", "defensecom.ticket.state", total.id)),
				series: []colored{{column: total}},
			})},
		{id: "tickets", title: "Open tickets", x: 0, y: 75, w: 48, h: 12, content: saved(searchTickets)},
	}
}

func ptr[T any](v T) *T { return &v }

// controls are the filters above the panels. They offer what is there now; both
// kinds of documents have these fields, so a choice holds for every panel.
func controls() []struct{ id, title, field string } {
	return []struct{ id, title, field string }{
		{"company", "Company", "organization.name"},
		{"company-id", "Company id", "organization.id"},
		{"source", "Source", "defensecom.threat.source"},
		{"risk", "Risk", "defensecom.threat.risk"},
		{"state", "State", "defensecom.threat.state"},
	}
}

const dashboardTitle = "Defense.com overview"

func overview() object {
	var bodies []body
	references := []reference{}
	for _, p := range panels() {
		b, named := p.body()
		bodies = append(bodies, b)
		references = append(references, named...)
	}
	group := body{}
	for i, c := range controls() {
		group[c.id] = body{
			"explicitInput": body{
				"enhancements": body{}, "fieldName": c.field, "id": c.id, "searchTechnique": "prefix",
				"selectedOptions": []any{}, "title": c.title,
			},
			"grow": true, "order": i, "type": "optionsListControl", "width": "medium",
		}
		references = append(references, reference{ID: latestView, Name: "controlGroup_" + c.id + ":optionsListDataView", Type: typeView})
	}
	return object{
		Attributes: body{
			"controlGroupInput": body{
				"chainingSystem": "HIERARCHICAL",
				"controlStyle":   "oneLine",
				"ignoreParentSettingsJSON": text(body{
					"ignoreFilters": false, "ignoreQuery": false, "ignoreTimerange": false, "ignoreValidations": false,
				}),
				"panelsJSON": text(group),
			},
			"description":           "Threats and support tickets of Defense.com: what is open now, and what was opened and closed.",
			"kibanaSavedObjectMeta": body{"searchSourceJSON": text(body{"filter": []any{}, "query": query("")})},
			"optionsJSON": text(body{
				"hidePanelTitles": false, "syncColors": false, "syncCursor": true, "syncTooltips": false, "useMargins": true,
			}),
			"panelsJSON":      text(bodies),
			"refreshInterval": body{"pause": false, "value": 60000},
			"timeFrom":        "now-30d",
			"timeRestore":     true,
			"timeTo":          "now",
			"title":           dashboardTitle,
			"version":         1,
		},
		Core: coreVersion, ID: Dashboard, References: references, Type: typeDashboard, Version: "8.9.0",
	}
}
