package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed assets vendored templates
var files embed.FS

const assetPrefix = "/assets/"

// assets are the files that pages load, each at an address with its hash in it: it
// never changes, so that browsers may keep it.
type assets struct {
	addresses map[string]string // by name, such as console.css
	byAddress map[string]asset
}

type asset struct {
	name    string
	plain   []byte
	gzipped []byte
	kind    string // Content-Type
}

func loadAssets() (*assets, error) {
	a := &assets{map[string]string{}, map[string]asset{}}
	for _, name := range []string{
		"assets/console.css", "assets/console.js", "assets/chart.js", "assets/theme.js", "assets/icon.svg",
		"vendored/htmx.min.js", "vendored/uPlot.iife.min.js", "vendored/uPlot.min.css",
	} {
		b, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("load the console's files: %w", err)
		}
		base, ext := path.Base(name), path.Ext(name)
		sum := sha256.Sum256(b)
		address := assetPrefix + strings.TrimSuffix(base, ext) + "." + hex.EncodeToString(sum[:6]) + ext
		var z bytes.Buffer
		zw := gzip.NewWriter(&z)
		_, _ = zw.Write(b) // neither fails on a buffer
		_ = zw.Close()
		a.addresses[base] = address
		a.byAddress[address] = asset{base, b, z.Bytes(), map[string]string{
			".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
		}[ext]}
	}
	return a, nil
}

// address returns where an asset is, for templates.
func (a *assets) address(name string) (string, error) {
	if to, ok := a.addresses[name]; ok {
		return to, nil
	}
	return "", fmt.Errorf("there is no asset %q", name)
}

func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	found, ok := a.byAddress[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", found.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	b := found.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		b = found.gzipped
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
}
