package elasticsearch

import (
	"bytes"
	"encoding/json"
)

// splice puts a member at the beginning of the object that doc, a JSON object, has
// under the key name; without such an object doc stays as it is. text is the member,
// `"key":value`.
func splice(doc []byte, name, text string) []byte {
	d := json.NewDecoder(bytes.NewReader(doc))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return doc
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return doc
		}
		if key != name {
			var skipped json.RawMessage
			if d.Decode(&skipped) != nil {
				return doc
			}
			continue
		}
		if t, err := d.Token(); err != nil || t != json.Delim('{') {
			return doc
		}
		at := d.InputOffset()
		if d.More() {
			text += ","
		}
		out := make([]byte, 0, len(doc)+len(text))
		out = append(out, doc[:at]...)
		out = append(out, text...)
		return append(out, doc[at:]...)
	}
	return doc
}
