package elasticsearch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/siemrelay/siemrelay/outputs"
)

// item is what a bulk reply says of one operation.
type item struct {
	ID           string    `json:"_id"`
	Status       int       `json:"status"`
	Result       string    `json:"result"`
	Error        *apiError `json:"error"`
	FailureStore string    `json:"failure_store"`
}

// apiError is an error as both products write it.
type apiError struct {
	Type     string    `json:"type"`
	Reason   string    `json:"reason"`
	CausedBy *apiError `json:"caused_by"`
}

// UnmarshalJSON also takes an error that is a mere text, as some refusals are.
func (e *apiError) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &e.Reason)
	}
	type plain apiError
	return json.Unmarshal(data, (*plain)(e))
}

// text is the error with its causes.
func (e *apiError) text() string {
	var parts []string
	for ; e != nil && len(parts) < 4; e = e.CausedBy {
		parts = append(parts, strings.TrimPrefix(e.Type+": "+e.Reason, ": "))
	}
	return strings.Join(parts, ", caused by ")
}

// has tells whether the error or one of its causes is of a type.
func (e *apiError) has(kind string) bool {
	for ; e != nil; e = e.CausedBy {
		if e.Type == kind {
			return true
		}
	}
	return false
}

// errMismatch is a reply that does not answer the request: cut, garbled, or from
// something between us and the cluster. Nothing is known then; sending again is safe
// because every document has its id.
var errMismatch = errors.New("the reply does not match the request")

// parseBulk reads a reply to ops: one item for each, in their order.
func parseBulk(body []byte, ops []operation) ([]item, error) {
	var reply struct {
		Items []map[string]item `json:"items"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(&reply); err != nil {
		return nil, fmt.Errorf("%w: no JSON of a bulk reply", errMismatch)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something follows the JSON", errMismatch)
	}
	if len(reply.Items) != len(ops) {
		return nil, fmt.Errorf("%w: it has %d items for %d operations", errMismatch, len(reply.Items), len(ops))
	}
	items := make([]item, len(ops))
	for i, entry := range reply.Items {
		x, ok := entry[ops[i].action]
		if len(entry) != 1 || !ok || x.ID != ops[i].id || x.Status < 200 || x.Status > 599 {
			return nil, fmt.Errorf("%w: item %d is not that of operation %d", errMismatch, i, i)
		}
		items[i] = x
	}
	return items, nil
}

// judge says what an item's status and error mean for its message. Only what the
// error's type calls a mistake of the document is refused for good.
func judge(x item, clean func(string) string) outputs.Result {
	if x.Error == nil && x.Status >= 200 && x.Status < 300 {
		if x.Result == "noop" { // which nothing else can be the outcome of what we do
			return outputs.Result{Status: outputs.Refused, Err: errDropped}
		}
		return outputs.Result{Status: outputs.Done}
	}
	err := errors.New(clean(x.Error.text()))
	if x.Status > 0 {
		err = fmt.Errorf("status %d: %w", x.Status, err)
	}
	retry := func(err error) outputs.Result { return outputs.Result{Status: outputs.Retry, Err: err} }
	kind := ""
	if x.Error != nil {
		kind = x.Error.Type
	}
	switch {
	case ofDocument(x.Error):
		return outputs.Result{Status: outputs.Refused, Err: err}
	case x.Status != http.StatusBadRequest && unavailable(x.Error):
		return retry(&outputs.Transient{Err: err})
	case noPlace(x.Error):
		return retry(&outputs.NotReady{Err: fmt.Errorf("%w: there is no index to write to, and none can be made", err)})
	case kind == "cluster_block_exception" && !strings.Contains(x.Error.Reason, "index closed"):
		return retry(&outputs.Transient{Err: err}) // a full disk, for example: it takes writes again by itself
	case kind == "cluster_block_exception", kind == "index_closed_exception":
		return retry(&outputs.NotReady{Err: fmt.Errorf("%w: open the index again", err)})
	case kind == "index_not_found_exception":
		return retry(&outputs.NotReady{Err: fmt.Errorf("%w: run siemrelay setup elasticsearch, and let this login create data streams (auto_configure)", err)})
	case x.Status == http.StatusBadRequest && strings.Contains(x.Error.text(), "pipeline with id"):
		return retry(&outputs.NotReady{Err: fmt.Errorf("%w: run siemrelay setup elasticsearch", err)})
	case x.Status == http.StatusUnauthorized, x.Status == http.StatusForbidden, kind == "security_exception":
		return retry(&outputs.NotReady{Err: fmt.Errorf("%w: give this login the privileges that the guide names", err)})
	case x.Status == http.StatusTooManyRequests, x.Status == http.StatusBadGateway,
		x.Status == http.StatusServiceUnavailable, x.Status == http.StatusGatewayTimeout:
		return retry(&outputs.Transient{Err: err})
	}
	return retry(err) // it counts against the message, and makes it a dead letter if others succeed for long
}

// ofDocument tells whether an error says that the document will never be taken.
func ofDocument(e *apiError) bool {
	if e == nil {
		return false
	}
	switch e.Type {
	case "document_parsing_exception", "mapper_parsing_exception", "strict_dynamic_mapping_exception",
		"parse_exception", "parsing_exception", "not_x_content_exception",
		"x_content_parse_exception", "x_content_e_o_f_exception", "json_parse_exception", "json_e_o_f_exception",
		"max_bytes_length_exceeded_exception":
		return true
	case "illegal_argument_exception":
		return e.has("max_bytes_length_exceeded_exception") || strings.Contains(e.Reason, "immense term") ||
			strings.Contains(e.Reason, "immense field")
	}
	return false
}

// errDropped is a document that was answered with success and is not there.
var errDropped = errors.New("an ingest pipeline of the cluster dropped it: mend the pipeline, or leave such events out with when")

// unavailable tells whether an error, whatever its status, says that a node, a shard
// or a disk is away, and nothing about the document. Many such errors have the status
// 500, as mistakes of the server have that a document brings about.
func unavailable(e *apiError) bool {
	for ; e != nil; e = e.CausedBy {
		for _, part := range []string{
			"node_closed", "node_disconnected", "node_not_connected", "transport_exception", "no_node_available", "shard",
			"retry_on_", "already_closed", "engine_closed", "failed_engine", "translog", "timeout", "not_master", "master_not_discovered",
			"cluster_manager", "failed_to_commit_cluster_state", "rejected_execution", "circuit_breaking", "task_cancelled",
			"i_o_exception", "file_system_exception", "no_such_file", "corrupt_index", "out_of_memory",
		} {
			if strings.Contains(e.Type, part) {
				return true
			}
		}
	}
	return false
}

// noPlace tells whether an error says that the index of a document can't be made or
// is not to be written to: its message tells, as its type is one of many uses.
func noPlace(e *apiError) bool {
	text := e.text()
	for _, part := range []string{
		"maximum normal shards open", "maximum shards open", "creates data streams only", "no matching index template found",
		"no write index is defined", "invalid_index_name_exception",
	} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// refusal says what the status of a whole reply means; nil for success.
func (c *client) refusal(what string, a answer) error {
	if a.status >= 200 && a.status < 300 {
		return nil
	}
	var reply struct {
		Error *apiError `json:"error"`
	}
	said := http.StatusText(a.status)
	if json.Unmarshal(a.body, &reply) == nil && reply.Error != nil {
		said = c.clean(reply.Error.text())
	}
	err := fmt.Errorf("%s: status %d: %s", what, a.status, said)
	blocked := reply.Error.has("cluster_block_exception")
	switch {
	case a.status == http.StatusRequestEntityTooLarge:
		return fmt.Errorf("%w: %w", outputs.ErrTooLarge, err)
	case a.status == http.StatusTooManyRequests || a.status >= 500 || a.status == http.StatusRequestTimeout || blocked:
		return patience(&outputs.Transient{Err: err}, a.header.Get("Retry-After"))
	case a.status == http.StatusUnauthorized:
		return notReady("%w: the login is not taken; renew api_key, or username and password (a file is read again by itself)", err)
	case a.status == http.StatusForbidden:
		return notReady("%w: give this login the privileges that the guide names", err)
	case a.status == http.StatusProxyAuthRequired:
		return notReady("%w: the proxy of HTTPS_PROXY wants a login", err)
	case reply.Error.has("index_closed_exception"):
		return notReady("%w: open the index again", err)
	case a.status >= 300 && a.status < 400:
		return notReady("%w: give the address that it redirects to in urls", err)
	}
	return notReady("%w: look whether urls is the address of Elasticsearch or OpenSearch", err)
}

// maxPatience is the longest wait that a server may ask for.
const maxPatience = time.Minute

// patience adds the wait that a Retry-After asks for: seconds, or a date.
func patience(err error, header string) error {
	wait := time.Duration(0)
	if n, e := strconv.Atoi(strings.TrimSpace(header)); e == nil {
		wait = time.Duration(min(max(n, 0), int(maxPatience/time.Second))) * time.Second
	} else if at, e := http.ParseTime(header); e == nil {
		wait = min(time.Until(at), maxPatience)
	}
	if wait <= 0 {
		return err
	}
	return &outputs.Wait{Err: err, After: wait}
}
