package kibana

// dataView is a data view, which Kibana's API still calls an index pattern.
type dataView struct {
	id, name, pattern string
	// time is the field that the time range is about; "" where there is none.
	time string
}

const (
	eventsView = "defensecom-events"
	latestView = "defensecom-latest"
)

// dataViews are two: what happened, and how things are. The second has no time
// field, because a threat that nobody has touched for a month is open all the same:
// the dashboard's time range must not hide it.
func dataViews() []dataView {
	return []dataView{
		{id: eventsView, name: "Defense.com events", pattern: "logs-defensecom.*-*", time: "@timestamp"},
		{id: latestView, name: "Defense.com latest state", pattern: "defensecom-latest-*"},
	}
}

func (v dataView) object() object {
	attributes := body{
		"allowNoIndex": true, // there are no data streams before the first event
		"fieldAttrs":   "{}",
		"fieldFormatMap": text(body{
			"event.url": body{"id": "url", "params": body{"labelTemplate": "Open in Defense.com", "openLinkInCurrentTab": false}},
		}),
		"fields":          "[]",
		"name":            v.name,
		"runtimeFieldMap": "{}",
		"sourceFilters":   "[]",
		"title":           v.pattern,
		"typeMeta":        "{}",
	}
	if v.time != "" {
		attributes["timeFieldName"] = v.time
	}
	return object{
		Attributes: attributes, Core: coreVersion, ID: v.id, References: []reference{}, Type: typeView, Version: "8.0.0",
	}
}
