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

// MappingMistake is one thing that is wrong in a mapping file.
type MappingMistake struct {
	File string
	// Line and Column count from 1; Column counts characters.
	Line, Column int
	// Key is the path of the key, "risks[high].cef"; it is empty for the file as a whole.
	Key string
	// Text says what is wrong; what is allowed. It is one line.
	Text string
}

// MappingErrors is every mistake of every mapping file, in the order of the files.
type MappingErrors struct {
	Mistakes []MappingMistake
}

// Error gives one line for each mistake: "file:line:column: key: text".
func (e *MappingErrors) Error() string {
	lines := make([]string, len(e.Mistakes))
	for i, x := range e.Mistakes {
		key := x.Key
		if key != "" {
			key += ": "
		}
		lines[i] = fmt.Sprintf("%s:%d:%d: %s%s", x.File, x.Line, x.Column, key, x.Text)
	}
	return strings.Join(lines, "\n")
}

// MaxMappingFile is the largest mapping file in bytes.
const MaxMappingFile = 1 << 20

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
// them. Nothing can be removed. The error is a *MappingErrors, unless the options are
// wrong, which is told first.
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
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	var all MappingErrors
	for i, f := range files {
		r := &mappingReader{mapping: m, file: f.Name, first: i == 0}
		r.read(f.Data)
		all.Mistakes = append(all.Mistakes, r.sorted()...)
	}
	if len(all.Mistakes) > 0 {
		return nil, &all
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
