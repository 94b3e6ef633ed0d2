package jwt

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

const (
	// maxSubject is the longest sub, in bytes. OpenID Connect allows 255.
	maxSubject = 1024
	// maxDate is the end of the year 9999, in seconds. Beyond it a date is a
	// mistake or an attempt to overflow somebody's clock.
	maxDate = 253402300799
)

// period is when a token may be used, with the leeway in it: at from and after
// it, before until.
type period struct {
	from, until time.Time
	errEarly    *Failure
}

// check compares now with the period.
func (v *period) check(now time.Time) error {
	if !now.Before(v.until) {
		return errExpired
	}
	if now.Before(v.from) {
		return v.errEarly
	}
	return nil
}

// validity reads exp, nbf and iat (RFC 7519 section 4.1). iat in the future is
// refused: whoever issued the token has a wrong clock or a wrong idea.
func validity(claims map[string]any, leeway time.Duration) (period, error) {
	var v period
	exp, ok := claims["exp"]
	if !ok {
		return v, errDate
	}
	until, err := date(exp)
	if err != nil {
		return v, err
	}
	v.until = until.Add(leeway)
	for _, early := range []struct {
		name string
		err  *Failure
	}{{"nbf", errNotYet}, {"iat", errFuture}} {
		claim, ok := claims[early.name]
		if !ok {
			continue
		}
		t, err := date(claim)
		if err != nil {
			return v, err
		}
		if t = t.Add(-leeway); t.After(v.from) {
			v.from, v.errEarly = t, early.err
		}
	}
	return v, nil
}

// date reads a NumericDate: a number of seconds, possibly with a fraction.
func date(claim any) (time.Time, error) {
	number, ok := claim.(json.Number)
	if !ok {
		return time.Time{}, errDate
	}
	if seconds, err := strconv.ParseInt(string(number), 10, 64); err == nil {
		if seconds < 0 || seconds > maxDate {
			return time.Time{}, errDate
		}
		return time.Unix(seconds, 0), nil
	}
	seconds, err := strconv.ParseFloat(string(number), 64)
	if err != nil || !(seconds >= 0 && seconds <= maxDate) {
		return time.Time{}, errDate
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)), nil
}

// checkAudience demands that aud, a string or an array of strings, names one of
// the expected audiences exactly (RFC 7519 section 4.1.3).
func checkAudience(claim any, expected map[string]bool) error {
	switch aud := claim.(type) {
	case string:
		if expected[aud] {
			return nil
		}
	case []any:
		found := false
		for _, element := range aud {
			s, ok := element.(string)
			if !ok {
				return errAudience
			}
			found = found || expected[s]
		}
		if found {
			return nil
		}
	}
	return errAudience
}

// claimPath is where a value stands among the claims: the name of a claim, or
// names joined by dots that lead into objects. A claim with the whole name wins,
// because some issuers use URLs as names.
type claimPath struct {
	name  string
	steps []string
}

func newClaimPath(path string) claimPath {
	return claimPath{path, strings.Split(path, ".")}
}

// find returns the value, or nil where there is none.
func (c *claimPath) find(claims map[string]any) any {
	if c.name == "" {
		return nil
	}
	if v, ok := claims[c.name]; ok {
		return v
	}
	var v any = claims
	for _, step := range c.steps {
		object, _ := v.(map[string]any)
		v = object[step]
	}
	return v
}

// Claim returns the claim at path, a name or names joined by dots, or nil.
func Claim(claims map[string]any, path string) any {
	c := newClaimPath(path)
	return c.find(claims)
}

// mapping is which claims make which parts of the principal.
type mapping struct {
	scopes, roles, tier claimPath
}

func (m *mapping) principal(issuer string, claims map[string]any) (*principal.Principal, error) {
	sub, ok := claims["sub"].(string)
	if !ok || sub == "" || len(sub) > maxSubject || hasControl(sub) {
		return nil, errSubject
	}
	p := &principal.Principal{ID: sub, Issuer: issuer, Method: "jwt", Claims: claims}
	var err error
	if p.Scopes, err = scopes(m.scopes.find(claims)); err != nil {
		return nil, err
	}
	if p.Roles, err = roles(m.roles.find(claims)); err != nil {
		return nil, err
	}
	switch tier := m.tier.find(claims).(type) {
	case nil:
	case string:
		if hasControl(tier) {
			return nil, errMapped
		}
		p.Tier = tier
	default:
		return nil, errMapped
	}
	return p, nil
}

// scopes reads a list of scopes: words between single spaces (RFC 8693 section
// 4.2) or an array of strings. What is no scope-token (RFC 6749 section 3.3), as
// with a tab or a no-break space in it, grants nothing and is left out.
func scopes(claim any) ([]string, error) {
	var words []string
	switch c := claim.(type) {
	case nil:
		return nil, nil
	case string:
		words = strings.Split(c, " ")
	case []any:
		var err error
		if words, err = stringList(c); err != nil {
			return nil, err
		}
	default:
		return nil, errMapped
	}
	kept := words[:0]
	for _, w := range words {
		if isScope(w) {
			kept = append(kept, w)
		}
	}
	return kept, nil
}

func isScope(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return false
		}
	}
	return s != ""
}

// roles reads an array of roles, or one role. A role is never split: one that
// contains a comma or a space is one role. Empty ones and those with control
// characters are left out.
func roles(claim any) ([]string, error) {
	var list []string
	switch c := claim.(type) {
	case nil:
		return nil, nil
	case string:
		list = []string{c}
	case []any:
		var err error
		if list, err = stringList(c); err != nil {
			return nil, err
		}
	default:
		return nil, errMapped
	}
	return slices.DeleteFunc(list, func(role string) bool {
		return role == "" || hasControl(role)
	}), nil
}

func stringList(array []any) ([]string, error) {
	list := make([]string, len(array))
	for i, element := range array {
		s, ok := element.(string)
		if !ok {
			return nil, errMapped
		}
		list[i] = s
	}
	return list, nil
}

// hasControl finds line breaks, NUL and their like, which must reach neither a
// header nor a log.
func hasControl(s string) bool {
	return strings.IndexFunc(s, unicode.IsControl) >= 0
}
