package elasticsearch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/siemrelay/siemrelay/mappings/elasticsearch"
)

// Check implements outputs.Checker.
func (o *output) Check(ctx context.Context) error {
	_, _, err := o.Inspect(ctx)
	return err
}

// Inspect asks who answers, whether the login may do what a Send needs, and whether
// the templates are there. What the login may not ask is taken for good.
func (o *output) Inspect(ctx context.Context) (facts, warnings []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, o.config.Timeout)
	defer cancel()
	a, err := o.client.do(ctx, request{method: http.MethodGet, path: "/"})
	if err != nil {
		return nil, nil, err
	}
	if a.status != http.StatusForbidden { // a login that may only write is a good one
		info, err := o.client.identify(a)
		if err != nil {
			return nil, nil, err
		}
		if err := o.config.suits(info.Flavor); err != nil {
			return nil, nil, err
		}
		facts = append(facts, "is "+info.Flavor+" "+o.client.clean(info.Version))
	}
	if err := o.checkPrivileges(ctx); err != nil {
		return facts, nil, err
	}
	warnings, err = o.checkTemplates(ctx)
	return facts, warnings, err
}

// checkPrivileges asks Elasticsearch what the login may do. Without security there is
// nothing to ask, and OpenSearch has no such question.
func (o *output) checkPrivileges(ctx context.Context) error {
	type part struct {
		Names      []string `json:"names"`
		Privileges []string `json:"privileges"`
	}
	ask := map[string][]part{"index": {{[]string{"logs-defensecom.threat-" + o.config.Namespace}, []string{"create_doc"}}}}
	if o.config.Latest {
		ask["index"] = append(ask["index"], part{[]string{elasticsearch.LatestThreat, elasticsearch.LatestTicket}, []string{"index", "read"}})
	}
	body, err := json.Marshal(ask)
	if err != nil {
		return fmt.Errorf("ask for privileges: %w", err)
	}
	a, err := o.client.do(ctx, request{method: http.MethodPost, path: "/_security/user/_has_privileges", body: body})
	if err != nil {
		return err
	}
	if a.status == http.StatusUnauthorized {
		return o.client.refusal("ask for privileges", a)
	}
	var reply struct {
		All   *bool                      `json:"has_all_requested"`
		Index map[string]map[string]bool `json:"index"`
	}
	readable := json.Unmarshal(a.body, &reply) == nil
	if a.status != http.StatusOK || !readable || reply.All == nil || *reply.All {
		return nil
	}
	var errs []error
	for _, p := range ask["index"] {
		for _, name := range p.Names {
			for _, privilege := range p.Privileges {
				if !reply.Index[name][privilege] {
					errs = append(errs, fmt.Errorf("the login lacks the privilege %s on %s", privilege, name))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// checkTemplates warns of a template that is missing or old.
func (o *output) checkTemplates(ctx context.Context) (warnings []string, err error) {
	names := []string{elasticsearch.EventsTemplate}
	if o.config.Latest {
		names = append(names, elasticsearch.LatestTemplate)
	}
	for _, name := range names {
		a, err := o.client.do(ctx, request{method: http.MethodGet, path: "/_index_template/" + name})
		switch {
		case err != nil:
			return nil, err
		case a.status == http.StatusNotFound:
			warnings = append(warnings, fmt.Sprintf("the index template %s is missing, so that fields get the wrong types; run siemrelay setup elasticsearch", name))
			continue
		case a.status != http.StatusOK:
			continue // the login may not look
		}
		var reply struct {
			Templates []struct {
				Template managed `json:"index_template"`
			} `json:"index_templates"`
		}
		if json.Unmarshal(a.body, &reply) != nil || len(reply.Templates) != 1 {
			return nil, fmt.Errorf("look at the index template %s: %w", name, errMismatch)
		}
		if there, ours := reply.Templates[0].Template.Version, elasticsearch.Fields().Version; there < ours {
			warnings = append(warnings, fmt.Sprintf("the index template %s has version %d, and this siemrelay needs %d; run siemrelay setup elasticsearch", name, there, ours))
		}
	}
	return warnings, nil
}
