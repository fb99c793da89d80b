package elasticsearch

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/siemrelay/siemrelay/outputs"
)

// hit is a document that was found by its event id.
type hit struct {
	Index       string `json:"_index"`
	ID          string `json:"_id"`
	SeqNo       *int64 `json:"_seq_no"`
	PrimaryTerm *int64 `json:"_primary_term"`
	Source      struct {
		Event struct {
			Ingested json.RawMessage `json:"ingested"`
		} `json:"event"`
	} `json:"_source"`
}

// findIDs is how many documents are looked for at once, and how many copies of each
// are found: one in every index of the data stream that got one.
const findIDs, findCopies = 1000, 8

// findDocuments plans to write the messages with Overwrite: over their document
// wherever in the data stream it is, or anew if there is none.
func (o *output) findDocuments(ctx context.Context, w *work) error {
	byStream := map[string]map[string]int{} // the message by its id
	for i, m := range w.batch {
		if !m.Overwrite || w.results[i].Status == outputs.Refused {
			continue
		}
		name := stream(m, w.config.Namespace)
		if byStream[name] == nil {
			byStream[name] = map[string]int{}
		}
		if _, twice := byStream[name][m.ID]; twice {
			w.putOff(i, &outputs.Transient{Err: fmt.Errorf("another copy of event %s is in the same batch", m.ID)})
			continue
		}
		byStream[name][m.ID] = i
	}
	for name, messages := range byStream {
		ids := make([]string, 0, len(messages))
		for id := range messages {
			ids = append(ids, id)
		}
		for len(ids) > 0 {
			n := min(len(ids), findIDs)
			if err := o.find(ctx, w, name, ids[:n], messages); err != nil {
				return err
			}
			ids = ids[n:]
		}
	}
	return nil
}

// find looks for documents of one data stream.
func (o *output) find(ctx context.Context, w *work, name string, ids []string, messages map[string]int) error {
	what := "look for documents in " + name
	body, err := json.Marshal(map[string]any{
		"size": len(ids) * findCopies, "query": map[string]any{"ids": map[string]any{"values": ids}},
		"_source": []string{"event.ingested"}, "seq_no_primary_term": true, "track_total_hits": false,
	})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	// Not with ignore_unavailable, for which a closed index, and one that the login may
	// not read, is as good as none: what is there would be written a second time.
	a, err := o.client.perform(ctx, &o.buffers, request{
		method: http.MethodPost, path: "/" + url.PathEscape(name) + "/_search?allow_partial_search_results=false",
		body: body, limit: maxReply + len(ids)*findCopies*1024,
	})
	if err != nil {
		return err
	}
	if a.status == http.StatusNotFound && errorOf(a.body).has("index_not_found_exception") {
		for _, id := range ids { // nothing was ever sent there
			w.create(messages[id], name, w.batch[messages[id]].Body)
		}
		return nil
	}
	if err := o.client.refusal(what, a); err != nil {
		return err
	}
	var reply struct {
		TimedOut bool `json:"timed_out"`
		Hits     *struct {
			Hits []hit `json:"hits"`
		} `json:"hits"`
	}
	if err := json.Unmarshal(a.body, &reply); err != nil || reply.Hits == nil || reply.TimedOut {
		return fmt.Errorf("%s: %w", what, errMismatch)
	}
	found := map[string]bool{}
	for _, h := range reply.Hits.Hits {
		i, ours := messages[h.ID]
		if !ours || h.SeqNo == nil || h.PrimaryTerm == nil || !isIndex(h.Index) {
			return fmt.Errorf("%s: %w", what, errMismatch)
		}
		found[h.ID] = true
		doc := w.batch[i].Body
		if len(h.Source.Event.Ingested) > 0 {
			doc = splice(doc, "event", `"ingested":`+string(h.Source.Event.Ingested))
		}
		w.ops = append(w.ops, operation{
			msg: i, action: "index", index: h.Index, id: h.ID, doc: doc, at: &place{*h.SeqNo, *h.PrimaryTerm},
		})
	}
	for _, id := range ids {
		if !found[id] {
			w.create(messages[id], name, w.batch[messages[id]].Body)
		}
	}
	return nil
}
