package admin

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/siemrelay/siemrelay/internal/certificate"
)

// serverName tells a siemrelay from other programs with the same path for health.
const serverName = "siemrelay"

// Check asks the admin listener at address (host:port) whether the process is healthy,
// and returns nil if it says so. With fingerprints (see Access) it speaks HTTPS and
// trusts these certificates only; the error is certificate.ErrOther if there is another.
func Check(ctx context.Context, address string, fingerprints ...string) error {
	transport := &http.Transport{DisableKeepAlives: true} // never through a proxy
	scheme := "http://"
	if len(fingerprints) > 0 {
		scheme, transport.TLSClientConfig = "https://", certificate.Pinned(fingerprints...)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+address+HealthyPath, http.NoBody)
	if err != nil {
		return fmt.Errorf("ask %q for health: %w", address, err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("ask %s for health: %w", address, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil {
		return fmt.Errorf("ask %s for health: %w", address, err)
	}
	if resp.Header.Get("Server") != serverName {
		return fmt.Errorf("ask %s for health: something else than siemrelay answers there, with status %d", address, resp.StatusCode)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask %s for health: status %d: %s", address, resp.StatusCode, text)
	}
	return nil
}
