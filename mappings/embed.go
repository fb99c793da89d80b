// Package mappings holds the data of the mapping: the vendor's vocabulary and
// example webhooks. It knows nothing of the code that reads them.
package mappings

import (
	"embed"
	"fmt"
)

//go:embed defensecom.yaml
var defensecom string

//go:embed samples/*.json
var samples embed.FS

// File is the name of the built-in mapping file, for error messages.
const File = "mappings/defensecom.yaml"

// Defensecom returns the built-in mapping file.
func Defensecom() []byte { return []byte(defensecom) }

// Sample is an example webhook.
type Sample struct {
	// Name says what it shows, "01-threat-create" for example.
	Name string
	// Body is the JSON body as it would be delivered.
	Body []byte
}

// Samples returns the example webhooks in the order of their names.
func Samples() []Sample {
	files, err := samples.ReadDir("samples")
	if err != nil {
		panic(fmt.Errorf("read embedded samples: %w", err)) // a build without its data
	}
	out := make([]Sample, 0, len(files))
	for _, f := range files {
		body, err := samples.ReadFile("samples/" + f.Name())
		if err != nil {
			panic(fmt.Errorf("read embedded sample %s: %w", f.Name(), err))
		}
		out = append(out, Sample{Name: f.Name()[:len(f.Name())-len(".json")], Body: body})
	}
	return out
}
