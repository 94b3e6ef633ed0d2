package upstream

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/upstream/assertion"
)

// UnmarshalCaddyfile reads the transport:
//
//	transport sallyport {
//		assertion {
//			audience <text>
//			ttl      <duration>
//			header   <name>
//			issuer   <text>
//		}
//		name <text>
//		...     # every option of transport http
//	}
//
// What it does not know is read by Caddy's own transport, from the same places of the
// file, so that its errors name them.
func (t *Transport) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	name := d.Token()
	var errs []error
	var rest []caddyfile.Token
	seen := make(map[string]bool)
	for d.NextArg() {
		errs = append(errs, d.Errf("unexpected argument %q", d.Val()))
	}
	for d.NextBlock(0) {
		segment := d.NextSegment()
		var readOwn func(*caddyfile.Dispenser) error
		switch segment[0].Text {
		case "assertion":
			readOwn = t.readAssertion
		case "name":
			readOwn = func(o *caddyfile.Dispenser) error { return read.Value(o, parseText, &t.Name) }
		default:
			rest = append(rest, segment...)
			continue
		}
		o := caddyfile.NewDispenser(segment)
		o.Next()
		if seen[o.Val()] {
			errs = append(errs, o.Errf("%s is given twice", o.Val()))
			continue
		}
		seen[o.Val()] = true
		if err := readOwn(o); err != nil {
			errs = append(errs, err)
		} else if o.Next() {
			errs = append(errs, o.Errf("unexpected %q after %s", o.Val(), segment[0].Text))
		}
	}
	if err := t.HTTPTransport.UnmarshalCaddyfile(caddyfile.NewDispenser(inBlock(name, rest))); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// inBlock puts tokens into a block behind name.
func inBlock(name caddyfile.Token, tokens []caddyfile.Token) []caddyfile.Token {
	brace := name
	brace.Text = "{"
	all := append([]caddyfile.Token{name, brace}, tokens...)
	if len(tokens) > 0 {
		brace = tokens[len(tokens)-1]
	}
	brace.Line++
	brace.Text = "}"
	return append(all, brace)
}

func (t *Transport) readAssertion(o *caddyfile.Dispenser) error {
	t.Assertion = new(Assertion)
	err := read.Block(o, nil, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "audience":
			return read.Value(o, parseText, &t.Assertion.Audience)
		case "ttl":
			return read.Duration(o, minTTL, assertion.MaxTTL, &t.Assertion.TTL)
		case "header":
			return read.Value(o, parseHeader, &t.Assertion.Header)
		case "issuer":
			return read.Value(o, parseText, &t.Assertion.Issuer)
		}
		return read.Unknown(o, "audience", "ttl", "header", "issuer")
	})
	if err == nil && t.Assertion.Audience == "" {
		return read.At(o, errNoAudience)
	}
	return err
}

var errNoAudience = errors.New("assertion: audience is missing: every service would accept what is meant for another")

// check returns what is wrong with a configuration that did not come from a
// Caddyfile.
func (t *Transport) check() []error {
	var errs []error
	fault := func(option string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", option, err))
		}
	}
	if t.Name != "" {
		_, err := parseText(t.Name)
		fault("name", err)
	}
	a := t.Assertion
	if a == nil {
		return errs
	}
	if a.Audience == "" {
		errs = append(errs, errNoAudience)
	} else {
		_, err := parseText(a.Audience)
		fault("assertion: audience", err)
	}
	if a.TTL != 0 && (time.Duration(a.TTL) < minTTL || time.Duration(a.TTL) > assertion.MaxTTL) {
		fault("assertion: ttl", fmt.Errorf("not between %s and %s", minTTL, assertion.MaxTTL))
	}
	if a.Header != "" {
		_, err := parseHeader(a.Header)
		fault("assertion: header", err)
	}
	if a.Issuer != "" {
		_, err := parseText(a.Issuer)
		fault("assertion: issuer", err)
	}
	return errs
}

func parseText(s string) (string, error) {
	if s == "" || len(s) > maxText || strings.ContainsFunc(s, unicode.IsControl) || !utf8.ValidString(s) {
		return "", fmt.Errorf("not a text of up to %d bytes without control characters", maxText)
	}
	return s, nil
}

func parseHeader(s string) (string, error) { return s, guard.CheckAssertionHeader(s) }

// Interface guards
var _ caddyfile.Unmarshaler = (*Transport)(nil)
