// Package elasticsearch is the output that writes events into the data streams of
// Elasticsearch or OpenSearch, and, if asked, each record's latest state into an
// index beside them.
//
// It guarantees that a Send calls a message done only if the cluster said of exactly
// that document that it has it, now or from an earlier try: every document is created
// under its event id, so that sending again never makes a second one in the same
// index. What the cluster refuses is judged document by document, by the type of the
// error; a reply that doesn't match the request counts for nothing. A message with
// Overwrite is written over its document, wherever in the data stream that is. The
// latest state of a record is written with the time of its acceptance as its version,
// so that an older state never replaces a newer one.
//
// It refuses to know what the documents say, but for two places: event.ingested,
// which stays when a document is written again, and defensecom.note, which a state
// without a note keeps.
package elasticsearch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/siemrelay/siemrelay/outputs"
)

// Options are what an output needs besides its configuration.
type Options struct {
	// Name is the output's name, the metric's label.
	Name string
	// Logger is told of what an operator should know. Nil discards.
	Logger *slog.Logger
	// Registry gets the output's one metric. Nil counts for nobody.
	Registry prometheus.Registerer
}

// New makes an output from a configuration. It dials nothing; the error is about the
// configuration.
func New(c Config, o Options) (outputs.Output, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	client, err := newClient(c)
	if err != nil {
		return nil, err
	}
	out := &output{config: c, client: client, log: o.Logger, redirected: redirected(o)}
	if c.TLS.InsecureSkipVerify {
		o.Logger.Warn("tls.insecure_skip_verify is set: anybody on the way to the cluster can read and change events, and learn the password")
	}
	readable := func(url string) bool { return strings.HasPrefix(strings.ToLower(url), "http:") }
	if c.authorization() != "" && slices.ContainsFunc(c.URLs, readable) {
		o.Logger.Warn("urls has an address without TLS: the login is sent readable")
	}
	return out, nil
}

// redirected counts documents that went to a failure store.
func redirected(o Options) prometheus.Counter {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "siemrelay_elasticsearch_failure_store_total",
		Help: "Events that Elasticsearch put into the data stream's failure store instead of the data stream. They count as delivered.",
	}, []string{"output"})
	if o.Registry != nil {
		var already prometheus.AlreadyRegisteredError
		if err := o.Registry.Register(vec); errors.As(err, &already) {
			if existing, ok := already.ExistingCollector.(*prometheus.CounterVec); ok {
				vec = existing
			}
		}
	}
	return vec.WithLabelValues(o.Name)
}

type output struct {
	config     Config
	client     *client
	log        *slog.Logger
	redirected prometheus.Counter
	buffers    buffers // of Send
	streams    streams
	// known is set once the product is.
	known bool
	// told is set once the log has a line about a failure store.
	told bool
}

// Send implements outputs.Output. A batch is one bulk request; before it, records
// whose note must be kept and documents to be written again are looked up.
func (o *output) Send(ctx context.Context, batch []outputs.Message) error {
	if ctx.Err() != nil {
		return fmt.Errorf("send batch: %w", context.Cause(ctx))
	}
	ctx, cancel := context.WithTimeout(ctx, o.config.Timeout)
	defer cancel()
	w := o.newWork(batch)
	defer func() {
		o.buffers.ops = w.ops
		o.buffers.rest()
	}()
	if err := o.findDocuments(ctx, w); err != nil {
		return err
	}
	if o.config.Latest {
		if err := o.planStates(ctx, w); err != nil {
			return err
		}
	}
	if len(w.ops) > 0 {
		if err := o.write(ctx, w); err != nil {
			return err
		}
	}
	return w.outcome()
}

// write sends the operations and settles what became of each.
func (o *output) write(ctx context.Context, w *work) error {
	a, err := o.client.bulk(ctx, &o.buffers, w.ops)
	if err != nil {
		return err
	}
	if err := o.client.refusal("send batch", a); err != nil {
		return err
	}
	all := allDone(a.body, w.ops)
	var items []item
	if !all {
		items, err = parseBulk(a.body, w.ops)
	}
	if wrong := o.checkProduct(ctx, a); wrong != nil {
		return wrong // it says more than that the reply makes no sense
	}
	if err != nil {
		return fmt.Errorf("send batch: %w", err)
	}
	if all {
		return nil
	}
	if blame := spoiled(w.ops, items); blame != nil {
		return fmt.Errorf("%w: %s", outputs.ErrTooLarge, o.client.clean(blame.text()))
	}
	for i, x := range items {
		if x.FailureStore == "used" {
			o.redirected.Inc()
			if !o.told {
				o.told = true
				o.log.Warn("elasticsearch puts events into the failure store of the data stream: they are delivered, but no dashboard shows them; run siemrelay setup elasticsearch")
			}
		}
		w.settle(w.ops[i], x, o.client.clean)
	}
	return nil
}

// spoiled tells whether events were refused for what may be the mistake of one of
// them: an ingest pipeline that can't read a document says so of all. Only smaller
// batches tell which one it is.
func spoiled(ops []operation, items []item) *apiError {
	var first *apiError
	for i, x := range items {
		if ops[i].state || x.Error == nil || x.Error.Type != "parse_exception" {
			continue
		}
		if first != nil {
			return first
		}
		first = x.Error
	}
	return nil
}

// checkProduct asks once who answers, if a reply doesn't say.
func (o *output) checkProduct(ctx context.Context, a answer) error {
	if o.known {
		return nil
	}
	flavor := o.config.Flavor
	switch {
	case a.product == "Elasticsearch":
		flavor = flavorElasticsearch
	case flavor == flavorElasticsearch:
		return notReady("this does not say that it is Elasticsearch, by the header %s: look whether urls is right and nothing on the way takes headers out, or set flavor to opensearch", productHeader)
	case flavor == flavorAuto:
		info, err := o.client.info(ctx)
		if err != nil {
			return err
		}
		flavor = info.Flavor
	}
	if err := o.config.suits(flavor); err != nil {
		return err
	}
	o.known = true
	return nil
}

// suits tells whether a product is the one that the configuration means; "" is
// neither.
func (c *Config) suits(flavor string) error {
	switch {
	case flavor == "":
		return notReady("this is neither Elasticsearch nor OpenSearch: look whether urls is right and nothing on the way takes headers out")
	case c.Flavor != flavorAuto && c.Flavor != flavor:
		return notReady("this is %s, and flavor says %s: correct the one or the other", flavor, c.Flavor)
	}
	return nil
}

// Close implements outputs.Output.
func (o *output) Close() error {
	o.client.close()
	return nil
}

// stream is the name of a message's data stream.
func stream(m outputs.Message, namespace string) string {
	return "logs-" + m.Dataset + "-" + cmp.Or(m.Namespace, namespace)
}
