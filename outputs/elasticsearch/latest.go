package elasticsearch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/siemrelay/siemrelay/mappings/elasticsearch"
	"github.com/siemrelay/siemrelay/outputs"
)

// latestIndex is where the latest states of a kind of record are; "" for none.
func latestIndex(kind string) string {
	switch kind {
	case "threat":
		return elasticsearch.LatestThreat
	case "ticket":
		return elasticsearch.LatestTicket
	}
	return ""
}

// record is what a batch says of one record: one state is written for it.
type record struct {
	index, id string
	// members are the messages with a state, in their order.
	members []int
	// chosen is the one whose state is written: the last that is no creation, else
	// the first. A creation behind other events is a late retry of the sender.
	chosen int
	// note is the last note, as JSON; nil if the batch has none.
	note json.RawMessage
}

// created tells whether all that the batch says of the record is that it was created.
func (r record) created(batch []outputs.Message) bool { return batch[r.chosen].Trigger == "create" }

// records collects the states of the batch by record, in the order of their first.
func (w *work) records() []*record {
	var list []*record
	byKey := map[string]*record{}
	for i, m := range w.batch {
		index := latestIndex(m.Kind)
		if len(m.State) == 0 || index == "" || w.results[i].Status == outputs.Refused {
			continue
		}
		r := byKey[m.Key]
		if r == nil {
			sum := sha256.Sum256([]byte(m.Key))
			r = &record{index: index, id: hex.EncodeToString(sum[:]), chosen: i}
			byKey[m.Key] = r
			list = append(list, r)
		}
		r.members = append(r.members, i)
		if m.Trigger != "create" {
			r.chosen = i
		}
		if note := noteOf(m.State); note != nil && r.chosen == i { // that of a late creation is an old one
			r.note = note
		}
	}
	return list
}

// noteOf returns defensecom.note of a state, nil if it has none.
func noteOf(state []byte) json.RawMessage {
	var s struct {
		Defensecom struct {
			Note json.RawMessage `json:"note"`
		} `json:"defensecom"`
	}
	if json.Unmarshal(state, &s) != nil {
		return nil
	}
	return s.Defensecom.Note
}

// planStates plans to write the latest states. A state that has no note keeps the one
// that is there, so these are looked up first.
func (o *output) planStates(ctx context.Context, w *work) error {
	records := w.records()
	var ask []*record
	for _, r := range records {
		needed := r.note == nil // to keep the one that is there
		if r.created(w.batch) {
			needed = w.batch[r.chosen].Overwrite // to replace what a creation wrote, and nothing else
		}
		if needed {
			ask = append(ask, r)
		}
	}
	there, err := o.states(ctx, ask)
	if err != nil {
		return err
	}
	for _, r := range records {
		w.planState(r, there[r.id])
	}
	return nil
}

// planState plans to write one state over what is there, which is nil if it was not
// looked up or there is nothing.
func (w *work) planState(r *record, there *stored) {
	m := w.batch[r.chosen]
	op := operation{msg: r.chosen, action: "index", index: r.index, id: r.id, doc: m.State, state: true}
	for _, i := range r.members {
		if i != r.chosen {
			op.others = append(op.others, i)
		}
	}
	note := r.note
	if note == nil && there != nil {
		note = there.Source.Defensecom.Note
	}
	if note != nil && noteOf(m.State) == nil {
		op.doc = splice(m.State, "defensecom", `"note":`+string(note))
	}
	switch {
	case !r.created(w.batch):
		// Its own version again is written only if the mapping may have changed.
		op.version, op.versionType = m.Accepted.UnixNano(), "external"
		if m.Overwrite {
			op.versionType = "external_gte"
		}
	case !m.Overwrite || there == nil:
		op.action = "create" // and never over a state that is there
	case there.Source.Event.ID != m.ID:
		return // something happened to the record since, or it was created before
	default:
		op.at = &place{there.SeqNo, there.PrimaryTerm}
	}
	w.ops = append(w.ops, op)
}

// stored is a state that is there.
type stored struct {
	ID          string `json:"_id"`
	Found       bool   `json:"found"`
	SeqNo       int64  `json:"_seq_no"`
	PrimaryTerm int64  `json:"_primary_term"`
	Source      struct {
		Event struct {
			ID string `json:"id"`
		} `json:"event"`
		Defensecom struct {
			Note json.RawMessage `json:"note"`
		} `json:"defensecom"`
	} `json:"_source"`
	Error *apiError `json:"error"`
}

// states looks up the states of records, by their ids.
func (o *output) states(ctx context.Context, records []*record) (map[string]*stored, error) {
	if len(records) == 0 {
		return nil, nil
	}
	const what = "look up latest states"
	type doc struct {
		Index string `json:"_index"`
		ID    string `json:"_id"`
	}
	var ask struct {
		Docs []doc `json:"docs"`
	}
	for _, r := range records {
		ask.Docs = append(ask.Docs, doc{r.index, r.id})
	}
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	limit := maxReply + len(records)*maxBody
	if len(records) == 1 {
		limit = maxState
	}
	a, err := o.client.perform(ctx, &o.buffers, request{
		method: http.MethodPost, path: "/_mget?_source_includes=defensecom.note,event.id", body: body,
		limit: limit,
	})
	switch {
	case errors.Is(err, errReplySize) && len(records) > 1:
		return nil, fmt.Errorf("%w: %w", outputs.ErrTooLarge, err)
	case err != nil:
		return nil, err
	}
	if err := o.client.refusal(what, a); err != nil {
		return nil, err
	}
	var reply struct {
		Docs []*stored `json:"docs"`
	}
	if err := json.Unmarshal(a.body, &reply); err != nil || len(reply.Docs) != len(records) {
		return nil, fmt.Errorf("%s: %w", what, errMismatch)
	}
	found := map[string]*stored{}
	for i, d := range reply.Docs {
		switch {
		case d == nil || d.ID != records[i].id:
			return nil, fmt.Errorf("%s: %w", what, errMismatch)
		case d.Error != nil && d.Error.Type != "index_not_found_exception": // which writing makes, or complains of
			r := judge(item{Error: d.Error}, o.client.clean)
			return nil, fmt.Errorf("%s: %w", what, r.Err)
		case d.Found:
			found[d.ID] = d
		}
	}
	return found, nil
}

// maxBody is what a note may take in a reply on average. Where notes are longer fewer
// records are looked up at once, and the note of one alone may take maxState: a note is
// at most as long as a webhook, where bytes are no UTF-8 three times that, and no
// document is longer than the 100 MB of http.max_content_length.
const maxBody, maxState = 64 << 10, 128 << 20
