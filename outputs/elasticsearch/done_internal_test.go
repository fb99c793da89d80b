package elasticsearch

import (
	"strings"
	"testing"
)

// The replies of Elasticsearch 8.19 and OpenSearch 2.19 to bulkPath.
const (
	doneFirst  = `{"create":{"_id":"00000000000000000000000000000001","result":"created","status":201}}`
	doneSecond = `{"index":{"_id":"0a","result":"updated","status":200}}`
)

func doneOps() []operation {
	return []operation{{action: "create", id: "00000000000000000000000000000001"}, {action: "index", id: "0a"}}
}

func TestAllDone(t *testing.T) {
	for _, c := range []struct {
		name, reply string
		want        bool
	}{
		{"as it comes", `{"errors":false,"items":[` + doneFirst + `,` + doneSecond + `]}`, true},
		{"with times", `{"took":30,"ingest_took":0,"errors":false,"items":[` + doneFirst + `,` + doneSecond + "]}\n", true},
		{"members in another order", `{"items":[{"create":{"status":201,"result":"created","_id":"00000000000000000000000000000001"}},` + doneSecond + `]}`, true},
		{"errors", `{"errors":true,"items":[` + doneFirst + `,` + doneSecond + `]}`, false},
		{"one item less", `{"errors":false,"items":[` + doneFirst + `]}`, false},
		{"one item more", `{"errors":false,"items":[` + doneFirst + `,` + doneSecond + `,` + doneSecond + `]}`, false},
		{"another order", `{"errors":false,"items":[` + doneSecond + `,` + doneFirst + `]}`, false},
		{"another action", `{"errors":false,"items":[` + strings.Replace(doneFirst, "create", "index", 1) + `,` + doneSecond + `]}`, false},
		{"a longer id", `{"errors":false,"items":[` + doneFirst + `,` + strings.Replace(doneSecond, "0a", "0ab", 1) + `]}`, false},
		{"dropped by a pipeline", `{"errors":false,"items":[` + doneFirst + `,` + strings.Replace(doneSecond, "updated", "noop", 1) + `]}`, false},
		{"a conflict", `{"errors":false,"items":[` + strings.Replace(doneFirst, "201", "409", 1) + `,` + doneSecond + `]}`, false},
		{"the failure store", `{"errors":false,"items":[` + strings.Replace(doneFirst, `}}`, `,"failure_store":"used"}}`, 1) + `,` + doneSecond + `]}`, false},
		{"without an id", `{"errors":false,"items":[{"create":{"result":"created","status":201,"status":201}},` + doneSecond + `]}`, false},
		{"something behind it", `{"errors":false,"items":[` + doneFirst + `,` + doneSecond + `]}{}`, false},
		{"cut", `{"errors":false,"items":[` + doneFirst + `,` + doneSecond + `]`, false},
	} {
		if got := allDone([]byte(c.reply), doneOps()); got != c.want {
			t.Errorf("%s: got %t", c.name, got)
		}
	}
}

// FuzzAllDone: where allDone is content, parseBulk reads the same.
func FuzzAllDone(f *testing.F) {
	f.Add([]byte(`{"errors":false,"items":[` + doneFirst + `,` + doneSecond + `]}`))
	f.Add([]byte(`{"took":30,"errors":false,"items":[` + doneFirst + `,` + doneSecond + `]} `))
	f.Fuzz(func(t *testing.T, reply []byte) {
		ops := doneOps()
		if !allDone(reply, ops) {
			return
		}
		items, err := parseBulk(reply, ops)
		if err != nil {
			t.Fatalf("parseBulk does not take it: %v", err)
		}
		for i, x := range items {
			if r := judge(x, strings.Clone); r.Err != nil || r.Status != 0 || x.FailureStore != "" {
				t.Errorf("item %d is %+v", i, x)
			}
		}
	})
}
