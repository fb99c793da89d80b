package suggest_test

import (
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/suggest"
)

func TestNearest(t *testing.T) {
	known := []string{"password", "username", "max_size", "min_free", "low", "high", strings.Repeat("k", 200)}
	for word, want := range map[string]string{
		"pasword": "password", "passwrod": "password", "PASSWORD": "password", "max-size": "max_size", "mn_free": "min_free",
		"hihg": "high", "lo": "low", "lwo": "low", "user_name": "username",
		"banana": "", "": "", "x": "", "hello world": "", strings.Repeat("k", 199): "",
	} {
		if got := suggest.Nearest(word, known); got != want {
			t.Errorf("%q gave %q instead of %q", word, got, want)
		}
	}
}
