package main_test

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// ecsOnly is a relay with one output.
func ecsOnly(s endtoend.Setup) endtoend.Setup {
	s.Binary, s.Outputs = binary, []endtoend.Output{{Format: "ecs"}}
	return s
}

// TestCertificateReplaced: a new certificate is served without a restart, also to
// who was connected before; a broken one never is.
func TestCertificateReplaced(t *testing.T) {
	t.Parallel()
	r := endtoend.NewRig(t, ecsOnly(endtoend.Setup{}))
	p := r.Start()
	old := r.Client()
	mustPost(t, old, "old")

	renewed, err := endtoend.NewCertificate()
	if err == nil {
		err = renewed.Write(r.CertificateFiles())
	}
	if err != nil {
		t.Fatal(err)
	}
	fresh := r.Client()
	fresh.TLS = renewed.Client()
	r.Eventually("the new certificate is served", func() bool { return fresh.Dial() == nil })
	mustPost(t, fresh, "new")
	mustPost(t, old, "still connected")

	cert, key := r.CertificateFiles()
	for _, broken := range []struct {
		what, told string
		change     func() error
	}{
		{"is garbage", "keeping the old one", func() error { return endtoend.Replace(cert, []byte("garbage")) }},
		{"belongs to another key", "does not match", func() error { return endtoend.Replace(cert, r.Certificate.Cert) }},
		{"has no key", "read private key", func() error { return os.Remove(key) }},
		{"is mended", "good again", func() error { return renewed.Write(cert, key) }},
	} {
		if err := broken.change(); err != nil {
			t.Fatal(err)
		}
		r.Eventually("the log tells that the certificate "+broken.what, func() bool {
			if shown := served(t, r, renewed); !bytes.Equal(shown, der(renewed)) {
				t.Fatalf("when the certificate %s, another one than the last good one is served", broken.what)
			}
			return strings.Contains(p.Log(), broken.told)
		})
		want := "siemrelay_receiver_certificate_refused 1\n"
		if broken.what == "is mended" {
			want = "siemrelay_receiver_certificate_refused 0\n"
		}
		if _, text := r.Admin("/metrics"); !strings.Contains(text, want) {
			t.Errorf("when the certificate %s, there is no %s", broken.what, want)
		}
	}
	mustPost(t, old, "still connected at the end")
	r.Stop(p)
}

// served is the certificate that a new connection is shown; its client trusts
// the one that is expected.
func served(t *testing.T, r *endtoend.Rig, trusted endtoend.Certificate) []byte {
	t.Helper()
	c := r.Client()
	c.TLS = trusted.Client()
	if err := c.Dial(); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.Certificate()
}

func der(c endtoend.Certificate) []byte {
	block, _ := pem.Decode(c.Cert)
	return block.Bytes
}

func mustPost(t *testing.T, c *endtoend.Client, title string) {
	t.Helper()
	answer, err := c.Post(fmt.Appendf(nil, `{"record_type":"Threat","id":"r","title":%q}`, title))
	if err != nil || !answer.Accepted() {
		t.Fatalf("webhook %q got %+v, %v", title, answer, err)
	}
}

// TestPasswordRotated: both logins of a rotation are good, a password file that
// changes is followed without a restart, and one that is broken changes nothing.
func TestPasswordRotated(t *testing.T) {
	t.Parallel()
	r := endtoend.NewRig(t, ecsOnly(endtoend.Setup{Logins: 2}))
	p := r.Start()
	status := func(password string) int {
		c := r.Client()
		c.Login.Password = password
		answer, err := c.Post([]byte(`{"record_type":"Threat","id":"r"}`))
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		return answer.Status
	}
	first, second := r.Logins[0].Password, r.Logins[1].Password
	renewed := endtoend.Secret + " is the third"
	if got := []int{status(first), status(second), status(renewed)}; !slices.Equal(got, []int{200, 200, 401}) {
		t.Fatalf("before the rotation the answers are %d", got)
	}
	if err := endtoend.Replace(r.PasswordFile(0), []byte(renewed+"\r\n")); err != nil {
		t.Fatal(err)
	}
	r.Eventually("the new password is accepted", func() bool { return status(renewed) == 200 })
	if got := []int{status(first), status(second)}; !slices.Equal(got, []int{401, 200}) {
		t.Errorf("after the rotation the answers for the old passwords are %d", got)
	}
	if err := endtoend.Replace(r.PasswordFile(0), nil); err != nil {
		t.Fatal(err)
	}
	r.Eventually("the log tells of the empty file", func() bool {
		if got := status(renewed); got != 200 {
			t.Fatalf("with an empty password file the last good password gets %d", got)
		}
		return strings.Contains(p.Log(), "its last value stays in use")
	})
	if got := status(""); got != 401 {
		t.Errorf("the empty password gets %d", got)
	}
	_, _ = r.Admin("/metrics") // for its search for passwords
	r.Stop(p)
}
