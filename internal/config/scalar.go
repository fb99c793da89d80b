package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// scalar reads text, a number and the like.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, f field, p place) {
	if n.Kind != yaml.ScalarNode {
		d.add(p, "must be "+a(v.Type())+", not "+describe(n))
		return
	}
	if isNull(n) {
		d.add(p, noValue)
		return
	}
	x := d.expand(n.Value)
	for _, problem := range x.problems {
		d.add(p, problem)
	}
	if len(x.problems) > 0 {
		return
	}
	here := spot{place: p, shown: x.shown(n, f), written: n.Value, foreign: x.used}
	d.spots[p.path] = here
	parsed := reflect.New(v.Type()).Elem()
	var problem string
	if f.multiline {
		problem = parseLines(parsed, x.text)
	} else {
		problem = parseInto(parsed, x.text, isPlain(n))
	}
	if problem == "" {
		problem = f.limits(parsed)
	}
	if problem != "" {
		d.add(p, here.sentence("%s", []any{problem}))
		return
	}
	v.Set(parsed)
}

const noValue = "has no value; give it one or remove the key"

// parseInto sets v to what text says, or tells what keeps it from doing so.
func parseInto(v reflect.Value, text string, plain bool) (problem string) {
	switch v.Type() {
	case typeString:
		if strings.ContainsFunc(text, isControl) || !utf8.ValidString(text) {
			return "holds a control character or is not UTF-8; write it on one line"
		}
		v.SetString(text)
	case typeBool:
		value, known := map[string]bool{"true": true, "True": true, "TRUE": true, "false": false, "False": false, "FALSE": false}[text]
		if !known || !plain {
			return "is not true or false; write one of the two, without quotes"
		}
		v.SetBool(value)
	case typeInt:
		n, ok := parseWhole(text)
		if !ok || !plain {
			return "is not a whole number; write digits, without quotes and leading zeros"
		}
		v.SetInt(n)
	case typeSize:
		n, ok := parseSize(text)
		if !ok {
			return "is not a size; " + sizeForm
		}
		v.SetInt(int64(n))
	case typeDuration:
		n, ok := parseDuration(text)
		if !ok {
			return "is not a duration; " + durationForm
		}
		v.SetInt(int64(n))
	case typePrefix:
		network, problem := parseNetwork(text)
		if problem != "" {
			return problem
		}
		v.Set(reflect.ValueOf(network))
	default:
		panic(fmt.Sprintf("config: a key can't be a %s", v.Type()))
	}
	return ""
}

// parseLines sets v to a text that may have several lines.
func parseLines(v reflect.Value, text string) (problem string) {
	if strings.ContainsFunc(strings.NewReplacer("\n", "", "\t", "").Replace(text), isControl) || !utf8.ValidString(text) {
		return "holds a control character or is not UTF-8; only line breaks and tabs are allowed"
	}
	v.SetString(text)
	return ""
}

// limits tells which limit of the field a value breaks.
func (f field) limits(v reflect.Value) (problem string) {
	switch v.Type() {
	case typeString:
		if f.oneof != nil {
			return notOneOf(v.String(), f.oneof)
		}
	case typeInt, typeSize, typeDuration:
		if low := f.limit(v.Type(), f.min); v.Int() < low.Int() {
			return "is too small; at least " + show(low)
		}
		if f.max == "" {
			return ""
		}
		if high := f.limit(v.Type(), f.max); v.Int() > high.Int() {
			return "is too large; at most " + show(high)
		}
	}
	return ""
}

// limit parses a min or max tag; none is 0.
func (f field) limit(t reflect.Type, tag string) reflect.Value {
	v := reflect.New(t).Elem()
	if tag == "" {
		return v
	}
	if problem := parseInto(v, tag, true); problem != "" {
		panic(fmt.Sprintf("config: the tag of %s: %q %s", f.key, tag, problem))
	}
	return v
}

func notOneOf(text string, allowed []string) (problem string) {
	if slices.Contains(allowed, text) {
		return ""
	}
	return "is unknown; one of " + strings.Join(allowed, ", ")
}

// parseNetwork reads a network or a single address.
func parseNetwork(text string) (network netip.Prefix, problem string) {
	const form = "is not a network; write one such as 203.0.113.0/24 or 2001:db8::/32, or a single address"
	if address, err := netip.ParseAddr(text); err == nil {
		if address.Zone() != "" {
			return network, "has a zone, which is not supported; write the address without it"
		}
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), ""
	}
	network, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return network, form
	case network.Addr().Is4In6():
		return netip.Prefix{}, "is IPv4 written as IPv6; write it as IPv4, such as 203.0.113.0/24"
	case network != network.Masked():
		return netip.Prefix{}, "is an address inside a network; write the network's first address, or the single address without the slash"
	}
	return network, ""
}

// show writes a value as it would stand in the file.
func show(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case time.Duration:
		return formatDuration(value)
	case netip.Prefix:
		return value.String()
	}
	return fmt.Sprint(v.Interface())
}

// shownDefault is how a message calls a value that is not in the file.
func shownDefault(v reflect.Value, f field) string {
	if v.IsZero() || f.hide {
		return ""
	}
	return show(v) + " (the default)"
}
