package elasticsearch

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// serverInfo is what a cluster says of itself.
type serverInfo struct {
	// Flavor is "elasticsearch", "opensearch", or "" for something else.
	Flavor string
	// Version is its number, "8.19.7" for example.
	Version string
}

// atLeast compares versions.
func (s serverInfo) atLeast(major, minor int) bool {
	parts := strings.SplitN(s.Version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	a, errA := strconv.Atoi(parts[0])
	b, errB := strconv.Atoi(parts[1])
	return errA == nil && errB == nil && (a > major || a == major && b >= minor)
}

// info asks a cluster who it is.
func (c *client) info(ctx context.Context) (serverInfo, error) {
	a, err := c.do(ctx, request{method: http.MethodGet, path: "/"})
	if err != nil {
		return serverInfo{}, err
	}
	return c.identify(a)
}

// identify reads what a cluster says of itself.
func (c *client) identify(a answer) (serverInfo, error) {
	if err := c.refusal("ask for the product", a); err != nil {
		return serverInfo{}, fmt.Errorf("%w (set flavor if the login may not ask)", err)
	}
	var reply struct {
		Version struct {
			Number       string `json:"number"`
			Distribution string `json:"distribution"`
		} `json:"version"`
	}
	_ = json.Unmarshal(a.body, &reply) // what isn't JSON is neither product
	info := serverInfo{Version: reply.Version.Number}
	switch {
	case reply.Version.Distribution == flavorOpenSearch:
		info.Flavor = flavorOpenSearch
	case a.product == "Elasticsearch":
		info.Flavor = flavorElasticsearch
	}
	return info, nil
}
