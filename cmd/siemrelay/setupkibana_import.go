package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/siemrelay/siemrelay/mappings/kibana"
)

// importedObject is one of what Kibana says it took.
type importedObject struct {
	Type, ID      string
	DestinationID string
	Overwrite     bool
	Meta          struct{ Title string }
}

// name is what people call it. Kibana's own title of a data view is its pattern.
func (o importedObject) name() string {
	if name := kibana.Names()[o.Type+"/"+o.ID]; name != "" {
		return name
	}
	return o.Meta.Title
}

func (o importedObject) became() string {
	if o.Overwrite {
		return "replaced"
	}
	return "imported"
}

// kindNames are what Kibana's pages call the types.
func kindNames() map[string]string {
	return map[string]string{"index-pattern": "data view", "search": "search", "dashboard": "dashboard"}
}

// dashboardID is the dashboard's id in this space. It gets another one where an object
// with its own is in another space.
func dashboardID(imported []importedObject) string {
	for _, o := range imported {
		if o.ID == kibana.Dashboard && o.DestinationID != "" {
			return o.DestinationID
		}
	}
	return kibana.Dashboard
}

// importObjects imports saved objects and returns those that were taken, with an
// error unless that is all of them.
func (k *kibanaClient) importObjects(ctx context.Context, file []byte) ([]importedObject, error) {
	const what = "import saved objects"
	a, err := k.upload(ctx, importObjectsPath, kibana.SavedObjectsFile, file)
	if err != nil {
		return nil, err
	}
	if err := k.refusal(what, a, "Saved Objects Management: All"); err != nil {
		return nil, err
	}
	var reply struct {
		Success        *bool
		SuccessCount   int
		SuccessResults []importedObject
		Errors         []struct {
			Type, ID string
			Error    struct {
				Type, Message string
				References    []struct{ Type, ID string }
			}
		}
	}
	if err := json.Unmarshal(a.body, &reply); err != nil || reply.Success == nil {
		return nil, &exitError{exitUnavailable, fmt.Errorf("%s: the reply is none of Kibana's, and what became of them is unknown; doing it again does no harm: %s", what, k.clean(string(a.body)))}
	}
	var errs []error
	for _, e := range reply.Errors {
		text := e.Error.Type + " " + e.Error.Message
		for _, r := range e.Error.References {
			text += " " + r.Type + "/" + r.ID
		}
		errs = append(errs, fmt.Errorf("%s: %s/%s: %s", what, k.clean(e.Type), k.clean(e.ID), k.clean(text)))
	}
	all := bytes.Count(file, []byte("\n"))
	if errs == nil && (!*reply.Success || reply.SuccessCount != all) {
		errs = append(errs, fmt.Errorf("%s: Kibana took %d of %d and does not say why", what, reply.SuccessCount, all))
	}
	return reply.SuccessResults, errors.Join(errs...)
}

// importRules imports detection rules and returns the ids of those that were there.
func (k *kibanaClient) importRules(ctx context.Context, file []byte) (map[string]bool, error) {
	const what = "import detection rules"
	a, err := k.upload(ctx, importRulesPath, kibana.RulesFile, file)
	if err != nil {
		return nil, err
	}
	if a.status == http.StatusNotFound {
		return nil, fmt.Errorf("%s: this Kibana has no Elastic Security (404): %s", what, k.clean(kibanaMessage(a.body)))
	}
	if err := k.refusal(what, a, "Security: All"); err != nil {
		return nil, err
	}
	var reply struct {
		Success      *bool
		SuccessCount int `json:"success_count"`
		Errors       []struct {
			RuleID string `json:"rule_id"`
			Error  struct {
				StatusCode int `json:"status_code"`
				Message    string
			}
		}
	}
	if err := json.Unmarshal(a.body, &reply); err != nil || reply.Success == nil {
		return nil, &exitError{exitUnavailable, fmt.Errorf("%s: the reply is none of Kibana's, and what became of them is unknown; doing it again does no harm: %s", what, k.clean(string(a.body)))}
	}
	there := map[string]bool{}
	var errs []error
	for _, e := range reply.Errors {
		if e.Error.StatusCode == http.StatusConflict {
			there[e.RuleID] = true
			continue
		}
		errs = append(errs, fmt.Errorf("%s: %s (%d): %s", what, k.clean(e.RuleID), e.Error.StatusCode, k.clean(e.Error.Message)))
	}
	if all := bytes.Count(file, []byte("\n")); errs == nil && reply.SuccessCount+len(there) != all {
		errs = append(errs, fmt.Errorf("%s: Kibana took %d of %d and does not say why", what, reply.SuccessCount, all-len(there)))
	}
	return there, errors.Join(errs...)
}

type ruleName struct {
	ID   string `json:"rule_id"`
	Name string `json:"name"`
}

func ruleNames() []ruleName {
	var names []ruleName
	for line := range bytes.Lines(kibana.Rules()) {
		var n ruleName
		if err := json.Unmarshal(line, &n); err != nil {
			panic(err) // ours
		}
		names = append(names, n)
	}
	return names
}
