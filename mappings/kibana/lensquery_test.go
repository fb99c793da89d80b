package kibana_test

import (
	"encoding/json"
	"fmt"
	"testing"
)

// A chart's data as Lens asks a cluster for it: the buckets one within the other, and
// in the innermost the numbers.

// day is the interval of the charts over time; Kibana takes one that fits the screen.
const day = "1d"

// missing is the bucket of documents without a value.
const missing = "(missing)"

// request makes the search for a layer, with the panel's query and time range.
func (l layer) request(filters []any) body {
	return body{"size": 0, "track_total_hits": true, "query": body{"bool": body{"filter": filters}}, "aggs": l.aggregations(l.ColumnOrder)}
}

func (l layer) aggregations(order []string) body {
	aggs := body{}
	for i, id := range order {
		c := l.Columns[id]
		switch c.OperationType {
		case "terms", "date_histogram":
			return body{id: l.bucket(c, order[i+1:])}
		case "min", "max":
			aggs[id] = body{c.OperationType: body{"field": c.SourceField}}
		case "count":
			if c.Filter != nil {
				parsed, err := parseKQL(c.Filter.Query)
				if err != nil {
					panic(err)
				}
				aggs[id] = body{"filter": parsed.search()}
			}
		default:
			panic("no aggregation is known for " + c.OperationType)
		}
	}
	return aggs
}

func (l layer) bucket(c column, inner []string) body {
	agg := body{"aggs": l.aggregations(inner)}
	if c.OperationType == "date_histogram" {
		agg["date_histogram"] = body{"field": c.SourceField, "fixed_interval": day, "min_doc_count": 1}
		return agg
	}
	terms := body{"field": c.SourceField, "size": c.Params.Size, "order": body{"_count": "desc"}}
	if by := l.Columns[c.Params.OrderBy.ColumnID]; by.OperationType != "count" || by.Filter != nil {
		panic("terms are ordered by something else than their count")
	}
	if c.Params.MissingBucket {
		terms["missing"] = missing
	}
	agg["terms"] = terms
	return agg
}

// rows are a chart's numbers: by the keys of the buckets, and by the column's id. A
// number that is 0 is left out, and so is a row of nothing else.
type rows map[string]map[string]float64

func (r rows) add(key, column string, n float64) {
	if n == 0 {
		return
	}
	if r[key] == nil {
		r[key] = map[string]float64{}
	}
	r[key][column] += n
}

// read takes the answer apart. total is the number of documents that there are.
func (l layer) read(t *testing.T, answer []byte) rows {
	t.Helper()
	var a struct {
		Hits         struct{ Total struct{ Value float64 } }
		Aggregations map[string]json.RawMessage
	}
	decode(t, answer, &a)
	all := rows{}
	l.readInto(t, bucketOf{order: l.ColumnOrder, count: a.Hits.Total.Value, aggs: a.Aggregations}, all)
	return all
}

type bucketOf struct {
	key   string
	order []string
	count float64
	aggs  map[string]json.RawMessage
}

func (l layer) readInto(t *testing.T, b bucketOf, all rows) {
	t.Helper()
	for i, id := range b.order {
		c := l.Columns[id]
		if c.IsBucketed {
			var v struct {
				Other   float64 `json:"sum_other_doc_count"`
				Buckets []map[string]json.RawMessage
			}
			decode(t, b.aggs[id], &v)
			if v.Other != 0 {
				t.Errorf("%s leaves %v documents out", c.Label, v.Other)
			}
			for _, inner := range v.Buckets {
				var count float64
				decode(t, inner["doc_count"], &count)
				var key any
				decode(t, inner["key"], &key)
				if text, ok := inner["key_as_string"]; ok {
					decode(t, text, &key)
				}
				name := fmt.Sprint(key)
				if b.key != "" {
					name = b.key + " / " + name
				}
				l.readInto(t, bucketOf{key: name, order: b.order[i+1:], count: count, aggs: inner}, all)
			}
			return
		}
		switch {
		case c.OperationType == "count" && c.Filter == nil:
			all.add(b.key, id, b.count)
		case c.OperationType == "count":
			var v struct {
				DocCount float64 `json:"doc_count"`
			}
			decode(t, b.aggs[id], &v)
			all.add(b.key, id, v.DocCount)
		default:
			var v struct{ Value float64 }
			decode(t, b.aggs[id], &v)
			all.add(b.key, id, v.Value)
		}
	}
}
