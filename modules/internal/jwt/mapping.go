package jwt

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

// maxSubject is the longest sub, in bytes. OpenID Connect allows 255.
const maxSubject = 1024

// claimPath is where a value stands among the claims: the name of a claim, or
// names joined by dots that lead into objects. A claim with the whole name wins,
// because some issuers use URLs as names. A dot behind a backslash belongs to the
// name.
type claimPath struct {
	whole string // the whole name, if it is one
	steps []string
}

func newClaimPath(path string) claimPath {
	if !strings.Contains(path, `\`) {
		return claimPath{path, strings.Split(path, ".")}
	}
	var steps []string
	var step strings.Builder
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '\\' && i+1 < len(path):
			i++
			step.WriteByte(path[i])
		case c == '.':
			steps = append(steps, step.String())
			step.Reset()
		default:
			step.WriteByte(c)
		}
	}
	steps = append(steps, step.String())
	return claimPath{"", steps}
}

// CheckClaimPath refuses what is no path of a claim.
func CheckClaimPath(path string) error {
	for i := 0; i < len(path); i++ {
		if path[i] != '\\' {
			continue
		}
		if i++; i == len(path) || path[i] != '.' && path[i] != '\\' {
			return errors.New("a backslash stands before a dot or a backslash that belongs to a name")
		}
	}
	if slices.Contains(newClaimPath(path).steps, "") {
		return errors.New("a claim is a name, or names with single dots between them")
	}
	return nil
}

// find returns the value, or nil where there is none.
func (c *claimPath) find(claims map[string]any) any {
	if c.whole != "" {
		if v, ok := claims[c.whole]; ok {
			return v
		}
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
	method        string // of the principal
	name          func(claims map[string]any) (string, error)
	subject       claimPath
	numeric       bool // the subject may be a number
	scopes, roles []claimPath
	tier          *claimPath
}

func newMapping(c *Issuer) mapping {
	m := mapping{method: cmp.Or(c.Method, "jwt"), name: c.Judge, subject: newClaimPath("sub")}
	if c.SubjectClaim != "" {
		m.subject = newClaimPath(c.SubjectClaim)
		m.numeric = c.SubjectClaim != "sub"
	}
	for _, path := range c.ScopesClaims {
		m.scopes = append(m.scopes, newClaimPath(path))
	}
	for _, path := range c.RolesClaims {
		m.roles = append(m.roles, newClaimPath(path))
	}
	if c.TierClaim != "" {
		tier := newClaimPath(c.TierClaim)
		m.tier = &tier
	}
	return m
}

// principal makes p the principal of the claims. All the claims of a list count: what
// one of them grants is granted.
func (m *mapping) principal(p *principal.Principal, issuer string, claims map[string]any) error {
	id, err := m.id(claims)
	if err != nil {
		return err
	}
	*p = principal.Principal{ID: id, Issuer: issuer, Method: m.method, Claims: claims}
	if p.Scopes, err = collect(m.scopes, claims, scopes); err != nil {
		return err
	}
	if p.Roles, err = collect(m.roles, claims, roles); err != nil {
		return err
	}
	if m.tier == nil {
		return nil
	}
	switch tier := m.tier.find(claims).(type) {
	case nil:
	case string:
		if hasControl(tier) {
			return errMapped
		}
		p.Tier = tier
	default:
		return errMapped
	}
	return nil
}

// id reads the claim that names the caller: a string, or, where it is not sub (which
// RFC 7519 section 4.1.2 makes a string), a whole number, exactly as it is written.
func (m *mapping) id(claims map[string]any) (string, error) {
	if m.name != nil {
		id, err := m.name(claims)
		if err == nil && !IsName(id) {
			err = errSubject
		}
		return id, err
	}
	switch id := m.subject.find(claims).(type) {
	case string:
		if id != "" && len(id) <= maxSubject && !hasControl(id) {
			return id, nil
		}
	case json.Number:
		// 1e3 and 1000.0 would be other spellings of 1000.
		if m.numeric && len(id) <= maxSubject && strings.Trim(string(id), "0123456789") == "" {
			return string(id), nil
		}
	}
	return "", errSubject
}

// collect reads the claims at the paths with read, in order.
func collect(paths []claimPath, claims map[string]any, read func(any) ([]string, error)) ([]string, error) {
	var all []string
	for i := range paths {
		list, err := read(paths[i].find(claims))
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = list
		} else {
			all = append(all, list...)
		}
	}
	return all, nil
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

// RequiredClaim is a claim that a token must have.
type RequiredClaim struct {
	// Path is the claim, or with dots the path into claims.
	Path string
	// Values are those of which the claim must be one or, if it is an array, have
	// one. Strings are compared byte for byte, numbers and true and false as they
	// are written in JSON. Empty: the claim must be there and not null.
	Values []string
}

type requirement struct {
	path   claimPath
	values []string
}

func newRequirement(c RequiredClaim) (requirement, error) {
	if err := CheckClaimPath(c.Path); err != nil {
		return requirement{}, fmt.Errorf("required claim %q: %w", c.Path, err)
	}
	return requirement{newClaimPath(c.Path), c.Values}, nil
}

func (r *requirement) check(claims map[string]any) error {
	value := r.path.find(claims)
	ok := value != nil
	if len(r.values) > 0 {
		list, isList := value.([]any)
		ok = isList && slices.ContainsFunc(list, r.allows) || !isList && r.allows(value)
	}
	if !ok {
		return errRequired
	}
	return nil
}

// allows reports whether one value is among those that are asked for.
func (r *requirement) allows(value any) bool {
	switch v := value.(type) {
	case string:
		return slices.Contains(r.values, v)
	case json.Number:
		return slices.Contains(r.values, string(v))
	case bool:
		if v {
			return slices.Contains(r.values, "true")
		}
		return slices.Contains(r.values, "false")
	}
	return false
}
