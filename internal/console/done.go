package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// done leads from a form to the page that says what the form did: a reload of it does
// nothing again. back is one of our own paths, with a query or without.
func done(w http.ResponseWriter, r *http.Request, back, what string, n uint64) {
	sign := "?"
	if strings.Contains(back, "?") {
		sign = "&"
	}
	back += sign + url.Values{"done": {what}, "n": {strconv.FormatUint(n, 10)}}.Encode()
	if fragment(r) != "" {
		w.Header().Set("HX-Redirect", back)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	http.Redirect(w, r, back, http.StatusSeeOther) //nolint:gosec // it begins with one of our own paths
}

// doneText is the sentence for what done left in the address. It has nothing from the
// address but a number, so that nobody can put words into it.
func doneText(q url.Values) string {
	n, err := strconv.ParseUint(q.Get("n"), 10, 64)
	if err != nil {
		return ""
	}
	switch q.Get("done") {
	case "replayed":
		return "The replay has begun: " + pluralEvents(n) + " were entered again."
	case "canceled":
		return "The replay was canceled: " + pluralEvents(n) + " were dropped."
	case "forgotten":
		return "The output was forgotten, with " + pluralEvents(n) + " that it never delivered."
	case "letters-replayed":
		return plural(n, "dead letter is", "dead letters are") + " pending again."
	case "letters-dropped":
		return plural(n, "dead letter was", "dead letters were") + " dropped."
	}
	return ""
}
