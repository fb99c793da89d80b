package normalize

import (
	"strings"
	"time"
)

// maxMillis is the last millisecond of the year 9999, which RFC 3339 can still write.
const maxMillis = 253402300799999

// parseDate reads a date as the vendor sends it and returns it in milliseconds
// since 1970, cut, not rounded. It takes RFC 3339 narrowed: YYYY-MM-DD, then T, t
// or a space, hh:mm:ss with at most nine decimals after a point, then Z, z or
// ±hh:mm; no leap second, and in UTC a year from 1970 to 2100. Outer white space
// is ignored.
func parseDate(s string) (millis int64, ok bool) {
	s = strings.TrimSpace(s)
	if len(s) < len("2006-01-02T15:04:05Z") || s[4] != '-' || s[7] != '-' || s[13] != ':' || s[16] != ':' {
		return 0, false
	}
	if s[10] != 'T' && s[10] != 't' && s[10] != ' ' {
		return 0, false
	}
	valid := true
	number := func(digits string, low, high int) int {
		n := 0
		for _, c := range []byte(digits) {
			valid = valid && c >= '0' && c <= '9'
			n = n*10 + int(c-'0')
		}
		valid = valid && n >= low && n <= high
		return n
	}
	year, month, day := number(s[0:4], 0, 9999), number(s[5:7], 1, 12), number(s[8:10], 1, 31)
	hour, minute, second := number(s[11:13], 0, 23), number(s[14:16], 0, 59), number(s[17:19], 0, 59)
	s = s[19:]
	nanos := 0
	if s[0] == '.' {
		end := 1
		for end < len(s) && s[end] >= '0' && s[end] <= '9' {
			end++
		}
		if end == 1 || end > 10 || end == len(s) {
			return 0, false
		}
		for _, c := range []byte(s[1:end]) {
			nanos = nanos*10 + int(c-'0')
		}
		for range 10 - end {
			nanos *= 10
		}
		s = s[end:]
	}
	offset := 0
	switch {
	case s == "Z" || s == "z":
	case len(s) == len("+00:00") && (s[0] == '+' || s[0] == '-') && s[3] == ':':
		offset = number(s[1:3], 0, 23)*3600 + number(s[4:6], 0, 59)*60
		if s[0] == '-' {
			offset = -offset
		}
	default:
		return 0, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	valid = valid && t.Day() == day // the 30th of February would be the 2nd of March
	t = t.Add(-time.Duration(offset) * time.Second)
	return t.UnixMilli(), valid && t.Year() >= 1970 && t.Year() <= 2100
}

// receiptMillis returns t in milliseconds, within what RFC 3339 can write.
func receiptMillis(t time.Time) int64 {
	return min(max(t.UnixMilli(), 0), maxMillis)
}

// appendTime appends millis, 0 to maxMillis, as RFC 3339 in UTC with three decimals.
func appendTime(dst []byte, millis int64) []byte {
	t := time.UnixMilli(millis).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	start := len(dst)
	dst = append(dst, "0000-00-00T00:00:00.000Z"...)
	out := dst[start:]
	putDigits(out[0:4], year)
	putDigits(out[5:7], int(month))
	putDigits(out[8:10], day)
	putDigits(out[11:13], hour)
	putDigits(out[14:16], minute)
	putDigits(out[17:19], second)
	putDigits(out[20:23], int(millis%1000))
	return dst
}

// putDigits fills out with the last digits of n, which is not negative.
func putDigits(out []byte, n int) {
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = byte('0' + n%10)
		n /= 10
	}
}
