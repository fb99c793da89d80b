package console_test

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestVendoredFilesAreWhatTheirPageSays(t *testing.T) {
	page, err := os.ReadFile("vendored/VENDORED.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| (\S+) \| [^|]+ \| [0-9.]+ \| (0BSD|MIT) \| ([0-9a-f]{64}) \|$`)
	var named []string
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		named = append(named, m[1])
		b, err := os.ReadFile(filepath.Join("vendored", m[1]))
		if err != nil {
			t.Error(err)
			continue
		}
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != m[3] {
			t.Errorf("%s is not what VENDORED.md says: %x", m[1], sum)
		}
	}
	entries, err := os.ReadDir("vendored")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "VENDORED.md" && !slices.Contains(named, e.Name()) {
			t.Errorf("VENDORED.md does not name %s", e.Name())
		}
	}
}

func TestAssets(t *testing.T) {
	c := open(t, newScene(noon))
	found := regexp.MustCompile(`(?:src|href)="(/assets/[^"]+)"`).FindAllStringSubmatch(get(c, "/").Body.String(), -1)
	if len(found) < 8 {
		t.Fatalf("the page loads %v", found)
	}
	for _, m := range found {
		plain, small := get(c, m[1]), get(c, m[1], "Accept-Encoding", "gzip, br")
		if plain.Code != http.StatusOK || plain.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s: status %d, %v", m[1], plain.Code, plain.Header())
		}
		if small.Header().Get("Content-Encoding") != "gzip" || small.Body.Len() >= plain.Body.Len() && plain.Body.Len() > 1000 {
			t.Errorf("%s is not smaller when it may be", m[1])
		}
		if !regexp.MustCompile(`\.[0-9a-f]{12}\.(css|js|svg)$`).MatchString(m[1]) {
			t.Errorf("%s has no hash", m[1])
		}
	}
}

// A page and what it loads by itself are small enough for a phone.
func TestWeight(t *testing.T) {
	c := open(t, newScene(noon))
	sum := 0
	for _, m := range regexp.MustCompile(`(?:src|href)="(/assets/[^"]+)"`).FindAllStringSubmatch(get(c, "/").Body.String(), -1) {
		sum += get(c, m[1], "Accept-Encoding", "gzip").Body.Len()
	}
	if sum > 80<<10 {
		t.Errorf("the assets are %d bytes", sum)
	}
}

// pairs are the colours that stand on each other: text of normal size, which needs
// 4.5:1 (WCAG 2.2, 1.4.3), and what is no text but needs to be seen, 3:1 (1.4.11).
var pairs = []struct {
	front, ground string
	ratio         float64
}{
	{"ink", "ground", 4.5}, {"ink", "panel", 4.5}, {"ink", "raised", 4.5}, {"ink", "accent-soft", 4.5}, {"ink", "warn-soft", 4.5},
	{"quiet", "ground", 4.5}, {"quiet", "panel", 4.5}, {"quiet", "raised", 4.5}, {"quiet", "accent-soft", 4.5},
	{"accent", "ground", 4.5}, {"accent", "panel", 4.5}, {"accent", "raised", 4.5}, {"accent", "accent-soft", 4.5}, {"accent-ink", "accent", 4.5},
	{"good", "panel", 4.5}, {"good", "good-soft", 4.5}, {"warn", "panel", 4.5}, {"warn", "warn-soft", 4.5}, {"bad", "panel", 4.5}, {"bad", "bad-soft", 4.5},
	{"critical", "critical-soft", 4.5}, {"high", "high-soft", 4.5}, {"medium", "medium-soft", 4.5}, {"low", "low-soft", 4.5}, {"info", "info-soft", 4.5},
	{"edge", "panel", 3}, {"edge", "ground", 3}, {"accent", "panel", 3}, {"good", "panel", 3},
}

func TestContrast(t *testing.T) {
	css, err := os.ReadFile("assets/console.css")
	if err != nil {
		t.Fatal(err)
	}
	colours := map[string][2]string{}
	for _, m := range regexp.MustCompile(`--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);`).FindAllStringSubmatch(string(css), -1) {
		colours[m[1]] = [2]string{m[2], m[3]}
	}
	for _, p := range pairs {
		for i, scheme := range []string{"light", "dark"} {
			if r := contrast(t, colours[p.front][i], colours[p.ground][i]); r < p.ratio {
				t.Errorf("%s: %s on %s has a contrast of %.2f, not %.1f", scheme, p.front, p.ground, r, p.ratio)
			}
		}
	}
	// Text has no other colour than those above.
	_, rules, _ := strings.Cut(string(css), "[data-theme=light]")
	for _, m := range regexp.MustCompile(`[;{\s](color|background|border-color): ?([^;}]+)[;}]`).FindAllStringSubmatch(rules, -1) {
		if !strings.Contains(m[2], "var(--") && !slices.Contains([]string{"none", "transparent", "inherit", "rgb(8 12 18 / .5)"}, m[2]) {
			t.Errorf("a colour that is no variable: %s", m[0])
		}
	}
}

// contrast is the ratio of WCAG 2.2 of two colours.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + .05) / (min(x, y) + .05)
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimPrefix(colour, "#"), 16, 32)
	if err != nil || len(colour) != 7 {
		t.Fatalf("the colour %q: %v", colour, err)
	}
	part := func(shift int) float64 {
		v := float64(n>>shift&0xff) / 255
		if v <= .04045 {
			return v / 12.92
		}
		return math.Pow((v+.055)/1.055, 2.4)
	}
	return .2126*part(16) + .7152*part(8) + .0722*part(0)
}
