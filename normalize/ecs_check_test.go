package normalize_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/siemrelay/siemrelay/mappings/elasticsearch"
)

// loadECSTable returns the one table of fields, which makes the index templates too.
var loadECSTable = sync.OnceValue(elasticsearch.Fields)

var knownTags = []string{
	"defensecom-threat", "defensecom-ticket", "defensecom-other", "forwarded",
	"defensecom_unknown_record_type", "defensecom_unknown_trigger", "defensecom_unknown_risk",
	"defensecom_unknown_state", "defensecom_unknown_type", "defensecom_unknown_priority",
	"defensecom_missing_record_type", "defensecom_missing_trigger", "defensecom_missing_risk",
	"defensecom_missing_state", "defensecom_missing_type", "defensecom_missing_priority",
	"defensecom_missing_id", "defensecom_missing_company", "defensecom_missing_title",
	"defensecom_wrong_type", "defensecom_bad_date", "defensecom_bad_url", "defensecom_invalid_utf8",
	"defensecom_duplicate_key", "defensecom_cut", "defensecom_possible_retry",
	"siemrelay_test", "siemrelay_mapping_error",
}

var dateForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)

// checkECS holds a document to ECS and to our own list of fields, and returns its
// leaves by their dotted names.
func checkECS(tb testing.TB, document []byte) map[string]any {
	tb.Helper()
	leaves := checkFields(tb, document)
	checkWhole(tb, leaves)
	return leaves
}

// checkFields is checkECS without asking whether the document is whole.
func checkFields(tb testing.TB, document []byte) map[string]any {
	tb.Helper()
	for _, r := range string(document) {
		if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 {
			tb.Errorf("character %U in the document: not one line for everybody", r)
		}
	}
	if !utf8.Valid(document) || !json.Valid(document) {
		tb.Fatalf("not JSON in UTF-8: %q", document)
	}
	if err := uniqueKeys(json.NewDecoder(bytes.NewReader(document))); err != nil {
		tb.Errorf("%v in %s", err, document)
	}
	var root map[string]any
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	if err := decoder.Decode(&root); err != nil {
		tb.Fatal(err)
	}
	var plain any
	if err := json.Unmarshal(document, &plain); err != nil {
		tb.Errorf("a plain reader refuses the document: %v", err)
	}
	leaves := map[string]any{}
	flatten(tb, leaves, "", root)
	for name, value := range leaves {
		checkLeaf(tb, name, value)
	}
	return leaves
}

func flatten(tb testing.TB, leaves map[string]any, prefix string, object map[string]any) {
	tb.Helper()
	if len(object) == 0 {
		tb.Errorf("empty object %q", prefix)
	}
	for key, value := range object {
		name := prefix + key
		if strings.Contains(key, ".") {
			tb.Errorf("dotted key %q instead of nested objects", name)
		}
		if nested, ok := value.(map[string]any); ok && name != "defensecom.extra" {
			flatten(tb, leaves, name+".", nested)
			continue
		}
		leaves[name] = value
	}
}

func checkLeaf(tb testing.TB, name string, value any) {
	tb.Helper()
	if name == "defensecom.extra" {
		checkFlattened(tb, value, 1)
		return
	}
	field := loadECSTable().Fields[name]
	if field.Type == "" || field.Pipeline {
		tb.Errorf("field %q is not one that siemrelay may write", name)
	}
	list, isList := value.([]any)
	if isList != field.Array || isList && len(list) == 0 {
		tb.Errorf("field %q is %v, array: %t", name, value, field.Array)
	}
	if !isList {
		list = []any{value}
	}
	for _, v := range list {
		if err := checkType(field.Type, v); err != nil {
			tb.Errorf("field %q: %v", name, err)
		}
		if len(field.Allowed) > 0 && !slices.Contains(field.Allowed, fmt.Sprint(v)) {
			tb.Errorf("field %q is %v, allowed is %v", name, v, field.Allowed)
		}
	}
}

func checkType(kind string, v any) error {
	switch kind {
	case "long", "float":
		if _, err := v.(json.Number).Int64(); err != nil {
			return err
		}
		return nil
	case "date":
		text, _ := v.(string)
		if _, err := time.Parse(time.RFC3339, text); err != nil || !dateForm.MatchString(text) {
			return fmt.Errorf("%v is no date with milliseconds", v)
		}
		return nil
	}
	if text, ok := v.(string); !ok || text == "" {
		return fmt.Errorf("%v is no text, or an empty one", v)
	}
	return nil
}

// checkFlattened holds defensecom.extra to what the flattened type takes.
func checkFlattened(tb testing.TB, value any, depth int) {
	tb.Helper()
	switch v := value.(type) {
	case map[string]any:
		for key, value := range v {
			if key == "" || strings.Contains(key, "\x00") || utf8.RuneCountInString(key) > 512 {
				tb.Errorf("key %.600q in extra", key)
			}
			checkFlattened(tb, value, depth+1)
		}
	case []any:
		for _, value := range v {
			checkFlattened(tb, value, depth+1)
		}
	default:
		return
	}
	if depth > 10 {
		tb.Errorf("extra is %d deep", depth)
	}
}

func checkWhole(tb testing.TB, leaves map[string]any) {
	tb.Helper()
	for _, name := range []string{"@timestamp", "ecs.version", "data_stream.type", "data_stream.dataset",
		"data_stream.namespace", "event.kind", "event.action", "event.code", "event.module", "event.dataset",
		"event.severity", "event.hash", "message", "observer.vendor", "observer.product", "observer.name",
		"agent.type", "agent.version", "tags"} {
		if leaves[name] == nil {
			tb.Errorf("field %q is missing", name)
		}
	}
	if leaves["ecs.version"] != loadECSTable().ECS {
		tb.Errorf("ecs.version is %v", leaves["ecs.version"])
	}
	if leaves["event.dataset"] != leaves["data_stream.dataset"] {
		tb.Errorf("data sets differ: %v, %v", leaves["event.dataset"], leaves["data_stream.dataset"])
	}
	if leaves["event.created"] == leaves["@timestamp"] {
		tb.Error("event.created repeats @timestamp")
	}
	threat := leaves["event.dataset"] == "defensecom.threat"
	if threat != (leaves["event.risk_score"] != nil) || threat && leaves["event.risk_score"] != leaves["event.severity"] {
		tb.Errorf("event.risk_score is %v with severity %v", leaves["event.risk_score"], leaves["event.severity"])
	}
	categories, _ := leaves["event.category"].([]any)
	types, _ := leaves["event.type"].([]any)
	if (len(categories) == 0) != (len(types) == 0) {
		tb.Errorf("category %v with type %v", categories, types)
	}
	for _, category := range categories {
		for _, kind := range types {
			if !slices.Contains(loadECSTable().CategoryTypes[category.(string)], kind.(string)) {
				tb.Errorf("type %v does not go with category %v", kind, category)
			}
		}
	}
	tags := leaves["tags"].([]any)
	for i, tag := range tags {
		if !slices.Contains(knownTags, tag.(string)) || slices.Contains(tags[:i], tag) {
			tb.Errorf("tag %q is unknown, or there twice", tag)
		}
	}
}

// uniqueKeys says whether any object of the JSON value has two equal keys.
func uniqueKeys(d *json.Decoder) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	open, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for d.More() {
		if open == '{' {
			key, err := d.Token()
			if err != nil {
				return err
			}
			if seen[key.(string)] {
				return fmt.Errorf("key %q is there twice", key)
			}
			seen[key.(string)] = true
		}
		if err := uniqueKeys(d); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}
