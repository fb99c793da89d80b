package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
)

// Only lets h answer the method, GET also HEAD. Every other one is for refuse: it answers
// 405, to which the header Allow is set; allow names the methods, with ", " between them.
func Only(method string, h http.HandlerFunc, refuse func(w http.ResponseWriter, r *http.Request, allow string)) http.HandlerFunc {
	allow := method
	if method == http.MethodGet {
		allow = "GET, HEAD"
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == method || r.Method == http.MethodHead && method == http.MethodGet {
			h(w, r)
			return
		}
		w.Header().Set("Allow", allow)
		refuse(w, r, allow)
	}
}

// refuseMethod is the API's answer to a wrong method.
func refuseMethod(w http.ResponseWriter, _ *http.Request, allow string) {
	writeJSON(w, http.StatusMethodNotAllowed, Errorf(Invalid, "the method must be %s", allow))
}

// requestError puts what is wrong with the JSON of a request into words that need no
// knowledge of this program.
func requestError(err error) error {
	var tooLarge *http.MaxBytesError
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &tooLarge):
		return Errorf(Invalid, "the request is larger than %d bytes", tooLarge.Limit)
	case errors.Is(err, io.EOF):
		return Errorf(Invalid, "the request is empty; it must be a JSON object")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return Errorf(Invalid, "the request ends inside its JSON")
	case errors.As(err, &syntax):
		return Errorf(Invalid, "the request is not JSON at byte %d", syntax.Offset)
	case errors.As(err, &kind) && kind.Field == "":
		return Errorf(Invalid, "the request is a JSON %s; it must be an object", jsonName(kind.Value))
	case errors.As(err, &kind):
		return Errorf(Invalid, "%s is a %s; it must be %s", kind.Field, jsonName(kind.Value), wanted(kind.Type))
	}
	text := strings.TrimPrefix(err.Error(), "json: ")
	if field, ok := strings.CutPrefix(text, "unknown field "); ok {
		return Errorf(Invalid, "there is no field %s in this request", field)
	}
	if strings.Contains(text, "parsing time") || strings.Contains(text, "Time.UnmarshalJSON") {
		return Errorf(Invalid, "a time in the request must be RFC 3339, as \"2026-06-19T09:30:04Z\"")
	}
	return Errorf(Invalid, "read the request: %s", text)
}

// jsonName is what JSON calls the value, of which encoding/json may add the text.
func jsonName(value string) string {
	name, _, _ := strings.Cut(value, " ")
	if name == "bool" {
		return "boolean"
	}
	return name
}

// wanted is what JSON calls a value that fits into t.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Uint, reflect.Uint64:
		return "a whole number from 0"
	case reflect.Slice:
		return "a list"
	default:
		return "an object"
	}
}
