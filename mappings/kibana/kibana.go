// Package kibana is the data of what an analyst opens in Kibana: data views, saved
// searches, a dashboard, and detection rules.
//
// It guarantees that the same build gives the same bytes with the same ids, so that
// importing again replaces and never adds, and that all is in the shape of the
// oldest Kibana that it is for: Kibana brings older shapes up to its own when it
// imports, and refuses newer ones. It refuses to know how they get into a Kibana.
//
// The shapes are facts read off published exports (elastic/integrations and others,
// Kibana 8.9 to 9.x). Kibana has the one true check of them, and there is none in the
// tests: nothing here was imported into a live one. What the tests hold is that the
// objects fit together, that every field is in the templates, and that every query,
// run by a real node, returns what the webhooks say.
package kibana

import (
	"bytes"
	"encoding/json"
)

// Oldest is the oldest version of Kibana that takes the saved objects.
const Oldest = "8.9.0"

// Dashboard is the id of the dashboard.
const Dashboard = "defensecom-overview"

// Names of the files in this folder, which are there to be imported by hand.
const (
	SavedObjectsFile = "saved-objects.ndjson"
	RulesFile        = "detection-rules.ndjson"
)

// SavedObjects returns data views, saved searches and the dashboard as Kibana's
// saved objects API imports them: one JSON object on each line.
func SavedObjects() []byte {
	var objects []any
	for _, v := range dataViews() {
		objects = append(objects, v.object())
	}
	for _, s := range searches() {
		objects = append(objects, s.object())
	}
	return lines(append(objects, overview()))
}

// Names returns what Kibana's pages call the saved objects, by type and id as in
// "dashboard/defensecom-overview".
func Names() map[string]string {
	names := map[string]string{}
	for _, v := range dataViews() {
		names[typeView+"/"+v.id] = v.name
	}
	for _, s := range searches() {
		names[typeSearch+"/"+s.id] = s.title
	}
	names[typeDashboard+"/"+Dashboard] = dashboardTitle
	return names
}

// Rules returns detection rules as the detection engine imports them: one JSON
// object on each line. None is enabled.
func Rules() []byte {
	return lines(rules())
}

type body = map[string]any

func lines(objects []any) []byte {
	var b bytes.Buffer
	for _, o := range objects {
		b.WriteString(text(o))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// text is v as JSON, which Kibana keeps as a string in many places.
func text(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // texts, numbers, lists and maps of these
	}
	return string(bytes.TrimRight(b.Bytes(), "\n"))
}

// object is a saved object. version is the one of its type's shape, see Oldest.
type object struct {
	Attributes body        `json:"attributes"`
	Core       string      `json:"coreMigrationVersion"`
	ID         string      `json:"id"`
	References []reference `json:"references"`
	Type       string      `json:"type"`
	Version    string      `json:"typeMigrationVersion"`
}

// coreVersion is the version of the shape that all types have in common.
const coreVersion = "8.8.0"

// reference is how one saved object names another: by a name that stands in its
// attributes. Kibana puts another id in where an object had to get one.
type reference struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Type string `json:"type"`
}

const (
	typeView      = "index-pattern"
	typeSearch    = "search"
	typeDashboard = "dashboard"
)

// query is a query in KQL.
func query(kql string) body { return body{"language": "kuery", "query": kql} }
