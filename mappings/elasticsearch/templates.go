package elasticsearch

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// Flavor is a product.
type Flavor string

// The products.
const (
	Elasticsearch Flavor = "elasticsearch"
	OpenSearch    Flavor = "opensearch"
)

// Names of what lies in the cluster.
const (
	// EventsPattern is the pattern of the data streams' names,
	// logs-DATASET-NAMESPACE, and EventsTemplate the index template that they follow.
	EventsPattern  = "logs-defensecom.*-*"
	EventsTemplate = "defensecom"
	// LatestPattern is the pattern of the names of the indices with each record's
	// latest state, and LatestTemplate the index template that they follow.
	LatestPattern  = "defensecom-latest-*"
	LatestTemplate = "defensecom-latest"
	LatestThreat   = "defensecom-latest-threat"
	LatestTicket   = "defensecom-latest-ticket"
	// Pipeline is the ingest pipeline of the data streams.
	Pipeline = "defensecom@pipeline"
	// Custom is the component template in which an operator may put settings and
	// fields of his own; siemrelay never writes it.
	Custom = "defensecom@custom"

	// EventsMappings, EventsSettings and LatestMappings are the component templates.
	EventsMappings = "defensecom@mappings"
	EventsSettings = "defensecom@settings"
	LatestMappings = "defensecom-latest@mappings"
	// Retention is the policy of OpenSearch's index state management.
	Retention = "defensecom-retention"
)

// ManagedBy is what _meta.managed_by says of everything that is ours.
const ManagedBy = "siemrelay"

// Kind says what an Object is.
type Kind string

// The kinds, in the order in which they are installed.
const (
	KindPipeline  Kind = "ingest pipeline"
	KindComponent Kind = "component template"
	KindTemplate  Kind = "index template"
	KindPolicy    Kind = "retention policy"
	KindIndex     Kind = "index"
)

// Object is one thing to be installed.
type Object struct {
	Kind Kind
	Name string
	// Path is where it is put, "/_index_template/defensecom" for example.
	Path string
	// Body is a JSON object, indented, with a line ending at its end; nil for none.
	Body []byte
}

// File is the name of the file in which it lies in this folder.
func (o Object) File() string {
	return strings.ReplaceAll(string(o.Kind), " ", "-") + "." + o.Name + ".json"
}

// Options are what an operator chooses.
type Options struct {
	Flavor Flavor
	// Retention is after how long events are deleted, in Elasticsearch's units,
	// "365d" for example; empty keeps them for ever.
	Retention string
}

// priority is above that of Elastic's own templates for logs-*-*, which is 100,
// and of those of its integrations, which is 200 and 250.
const priority = 300

// Objects returns everything that the output needs, in the order in which it is
// to be installed. An object has the table's version, in "version" where the
// product has such a key.
func Objects(o Options) []Object {
	t := Fields()
	objects := []Object{
		t.object(KindPipeline, Pipeline, "/_ingest/pipeline/", pipeline()),
		t.object(KindComponent, EventsMappings, "/_component_template/", body{"template": body{"mappings": t.mappings(o.Flavor, false)}}),
		t.object(KindComponent, EventsSettings, "/_component_template/", body{"template": settings(o)}),
		t.object(KindComponent, LatestMappings, "/_component_template/", body{"template": body{"mappings": t.mappings(o.Flavor, true)}}),
		t.object(KindTemplate, EventsTemplate, "/_index_template/", eventsTemplate(o)),
		t.object(KindTemplate, LatestTemplate, "/_index_template/", body{
			"index_patterns": []string{LatestPattern},
			"priority":       priority,
			"composed_of":    []string{LatestMappings},
		}),
	}
	if o.Flavor == OpenSearch && o.Retention != "" {
		objects = append(objects, Object{KindPolicy, Retention, "/_plugins/_ism/policies/" + Retention, indented(t.policy(o.Retention))})
	}
	for _, name := range []string{LatestThreat, LatestTicket} {
		objects = append(objects, Object{Kind: KindIndex, Name: name, Path: "/" + name})
	}
	return objects
}

type body = map[string]any

// object adds what tells a version of ours from another, and from what isn't ours.
func (t Table) object(kind Kind, name, folder string, content body) Object {
	sum := sha256.Sum256(indented(content))
	content["version"] = t.Version
	if kind == KindPipeline { // OpenSearch's pipelines have no _meta
		content["description"] = fmt.Sprintf("%s (managed by %s)", content["description"], ManagedBy)
	} else {
		content["_meta"] = body{"managed_by": ManagedBy, "fingerprint": hex.EncodeToString(sum[:8])}
	}
	return Object{kind, name, folder + name, indented(content)}
}

func indented(content body) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(content); err != nil {
		panic(err) // texts, numbers, lists and maps of these
	}
	return b.Bytes()
}

// pipeline sets when a document arrived. It keeps a time that is there, which is so
// only when an event is written again: siemrelay sends the first time with it.
func pipeline() body {
	return body{
		"description": "Defense.com events: when they arrived",
		"processors": []any{body{"set": body{
			"field": "event.ingested", "value": "{{{_ingest.timestamp}}}", "override": false,
		}}},
	}
}

func settings(o Options) body {
	index := body{"default_pipeline": Pipeline, "codec": "best_compression"}
	template := body{"settings": body{"index": index}}
	if o.Flavor == Elasticsearch {
		// From version 9 on, logs-*-* would get logsdb: it adds a field host.name, and
		// makes _source up from the index, where we promise the document as it was sent.
		index["mode"] = "standard"
		lifecycle := body{}
		if o.Retention != "" {
			lifecycle["data_retention"] = o.Retention
		}
		template["lifecycle"] = lifecycle
	}
	return template
}

func eventsTemplate(o Options) body {
	template := body{
		"index_patterns": []string{EventsPattern},
		"priority":       priority,
		"data_stream":    body{},
		"composed_of":    []string{EventsMappings, EventsSettings},
	}
	if o.Flavor == Elasticsearch {
		template["composed_of"] = []string{EventsMappings, EventsSettings, Custom}
		template["ignore_missing_component_templates"] = []string{Custom}
	}
	return template
}

// policy makes OpenSearch's index state management roll a data stream over and
// delete what is older than retention.
func (t Table) policy(retention string) body {
	return body{"policy": body{
		"description":   fmt.Sprintf("Defense.com events are deleted after %s (version %d, managed by %s)", retention, t.Version, ManagedBy),
		"default_state": "write",
		"ism_template":  []any{body{"index_patterns": []string{EventsPattern}, "priority": priority}},
		"states": []any{
			body{
				"name":        "write",
				"actions":     []any{body{"rollover": body{"min_index_age": "30d", "min_primary_shard_size": "50gb"}}},
				"transitions": []any{body{"state_name": "delete", "conditions": body{"min_rollover_age": retention}}},
			},
			body{"name": "delete", "actions": []any{body{"delete": body{}}}, "transitions": []any{}},
		},
	}}
}

// mappings makes the mapping of the events, or of the latest states. Fields that are
// not in the table are kept in the document and not indexed: no payload can add one.
func (t Table) mappings(flavor Flavor, latest bool) body {
	properties := body{}
	for name, field := range t.Fields {
		if latest && !field.Latest {
			continue
		}
		at := properties
		parts := strings.Split(name, ".")
		for _, part := range parts[:len(parts)-1] {
			if at[part] == nil {
				at[part] = body{"properties": body{}}
			}
			at = at[part].(body)["properties"].(body)
		}
		at[parts[len(parts)-1]] = field.mapping(flavor)
	}
	return body{"dynamic": false, "date_detection": false, "properties": properties}
}

func (f Field) mapping(flavor Flavor) body {
	m := body{"type": f.Type}
	if f.IgnoreAbove > 0 {
		m["ignore_above"] = f.IgnoreAbove
	}
	if f.Stored {
		m["index"], m["doc_values"] = false, false
	}
	if f.Text {
		m["fields"] = body{"text": body{"type": "match_only_text"}}
	}
	if flavor != OpenSearch {
		return m
	}
	switch f.Type {
	case "constant_keyword": // whose value OpenSearch wants to know beforehand
		m["type"] = "keyword"
	case "flattened":
		// Its flat_object refuses a document for one long text and can't be told not
		// to, so what is unknown is kept there and not searched.
		return body{"type": "object", "enabled": false}
	}
	return m
}
