package normalize

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// MappingFile is the text of a mapping file, and how messages call it.
type MappingFile struct {
	Name string
	Data []byte
}

// maxMappingFile is the largest mapping file in bytes.
const maxMappingFile = 1 << 20

// ParseMapping reads one mapping file that is complete by itself, see ParseMappings.
func ParseMapping(name string, data []byte, o MappingOptions) (*Mapping, error) {
	return ParseMappings([]MappingFile{{Name: name, Data: data}}, o)
}

// ParseMappings reads mapping files in YAML. The first one must have every section;
// mappings/defensecom.yaml is the built-in one and explains the format. The others
// are merged over it in their order, and give only what they change:
//
//   - a word that is not there yet is added, with all that such a word needs;
//   - of a word that is there, a source, a risk or a priority, and of what unknown
//     words count as, the keys that are given change, the others stay; a list
//     replaces the list before;
//   - a record type, a trigger or a state that is there gets the new meaning.
//
// Words are the same without case, and keep the spelling of the first file that has
// them. Nothing can be removed. The error joins every mistake of every file, one a
// line, as "file:line:column: key: what is wrong; what is allowed".
func ParseMappings(files []MappingFile, o MappingOptions) (*Mapping, error) {
	m := &Mapping{outcomes: outcomes(), companies: maps.Clone(o.Companies)}
	var errs []error
	for _, host := range o.LinkHosts {
		if !validHost(host) {
			errs = append(errs, fmt.Errorf("link host %q must be a host name of letters, digits, dots and dashes", host))
		}
		m.linkHosts = append(m.linkHosts, host)
	}
	for _, id := range slices.Sorted(maps.Keys(o.Companies)) {
		if n := o.Companies[id].Namespace; n != "" {
			if err := checkNamespace(n); err != nil {
				errs = append(errs, fmt.Errorf("company %q: %w", id, err))
			}
		}
	}
	if len(files) == 0 {
		errs = append(errs, errors.New("there must be a mapping file"))
	}
	for i, f := range files {
		r := &mappingReader{mapping: m, first: i == 0}
		r.read(f.Data)
		for _, x := range r.sorted() {
			errs = append(errs, fmt.Errorf("%s:%w", f.Name, x))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return m, nil
}

// outcomes names every action and class id, so that no event has to compose them.
func outcomes() map[string]map[string]outcome {
	past := map[string]string{
		triggerCreate: "created", triggerUpdate: "updated", triggerNote: "noted",
		triggerClosed: "closed", triggerReopen: "reopened", triggerOther: "other",
	}
	all := map[string]map[string]outcome{}
	for _, kind := range []string{kindThreat, kindTicket} {
		all[kind] = map[string]outcome{}
		for trigger, verb := range past {
			all[kind][trigger] = outcome{action: kind + "-" + verb, code: kind + "." + trigger}
		}
	}
	return all
}

func validHost(host string) bool {
	return host != "" && strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789.-") == ""
}
