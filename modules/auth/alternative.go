package auth

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Alternative is one way to authenticate. Exactly one of its fields is set.
type Alternative struct {
	// All are two to four alternatives whose credentials are all needed. The first
	// one's principal is the caller; what the others say about scopes, roles or
	// claims is not used, they are conditions. Groups are not nested.
	All []Alternative `json:"all,omitempty"`

	// JWT accepts signed tokens of one issuer.
	JWT *JWT `json:"jwt,omitempty"`

	// APIKey accepts keys from a file.
	APIKey *APIKey `json:"api_key,omitempty"`

	// MTLS accepts the certificate of the client's connection, for requests that
	// have no other credential. At most once.
	MTLS *MTLS `json:"mtls,omitempty"`

	// AWSALBOIDC accepts users whom an Application Load Balancer authenticated.
	// At most once.
	AWSALBOIDC *AWSALBOIDC `json:"aws_alb_oidc,omitempty"`

	// AWSALBMTLS accepts certificates that clients showed to an Application Load
	// Balancer. At most once.
	AWSALBMTLS *AWSALBMTLS `json:"aws_alb_mtls,omitempty"`

	// GCPIAP accepts users whom Google's Identity-Aware Proxy authenticated. At most
	// once.
	GCPIAP *GCPIAP `json:"gcp_iap,omitempty"`

	// CloudflareAccess accepts users and services that Cloudflare Access let through.
	// At most once.
	CloudflareAccess *CloudflareAccess `json:"cloudflare_access,omitempty"`
}

// method is what is set in an Alternative. Each has a file of its own.
type method interface {
	// check returns everything that is wrong with it by itself.
	check() []error
	// claims takes what no other alternative may have, and returns what another has.
	claims(t taken) []error
	// scheme is its authentication scheme in challenges (RFC 9110 section 11.1).
	scheme() string
	// unmarshal reads it from a Caddyfile.
	unmarshal(o *caddyfile.Dispenser) error
	// open makes it judge requests.
	open(b *builder) error
}

// methods are all there are, by their word in the configuration.
var methods = []struct {
	word string
	new  func(*Alternative) method
	of   func(*Alternative) (method, bool)
}{
	{"jwt", func(a *Alternative) method { a.JWT = new(JWT); return a.JWT }, func(a *Alternative) (method, bool) { return a.JWT, a.JWT != nil }},
	{"api_key", func(a *Alternative) method { a.APIKey = new(APIKey); return a.APIKey }, func(a *Alternative) (method, bool) { return a.APIKey, a.APIKey != nil }},
	{"mtls", func(a *Alternative) method { a.MTLS = new(MTLS); return a.MTLS }, func(a *Alternative) (method, bool) { return a.MTLS, a.MTLS != nil }},
	{wordALBOIDC, func(a *Alternative) method { a.AWSALBOIDC = new(AWSALBOIDC); return a.AWSALBOIDC }, func(a *Alternative) (method, bool) { return a.AWSALBOIDC, a.AWSALBOIDC != nil }},
	{wordALBMTLS, func(a *Alternative) method { a.AWSALBMTLS = new(AWSALBMTLS); return a.AWSALBMTLS }, func(a *Alternative) (method, bool) { return a.AWSALBMTLS, a.AWSALBMTLS != nil }},
	{wordIAP, func(a *Alternative) method { a.GCPIAP = new(GCPIAP); return a.GCPIAP }, func(a *Alternative) (method, bool) { return a.GCPIAP, a.GCPIAP != nil }},
	{wordAccess, func(a *Alternative) method { a.CloudflareAccess = new(CloudflareAccess); return a.CloudflareAccess }, func(a *Alternative) (method, bool) { return a.CloudflareAccess, a.CloudflareAccess != nil }},
}

// words are the words of the methods.
func words() []string {
	var list []string
	for _, m := range methods {
		list = append(list, m.word)
	}
	return list
}

// wordAll begins a group.
const wordAll = "all"

// maxMembers bounds the members of a group: what is found out about a request lives
// on the stack.
const maxMembers = 4

// method returns what is set, if it is exactly one; nil for a group.
func (a *Alternative) method() (method, error) {
	var set method
	n := 0
	if a.All != nil {
		n++
	}
	for _, m := range methods {
		if given, ok := m.of(a); ok {
			set = given
			n++
		}
	}
	if n != 1 {
		return nil, errors.New("not exactly one of " + strings.Join(append(words(), wordAll), ", "))
	}
	return set, nil
}

// newMethod returns the empty method called word in an Alternative of its own.
func newMethod(word string) (*Alternative, method) {
	for _, m := range methods {
		if m.word == word {
			a := new(Alternative)
			return a, m.new(a)
		}
	}
	return nil, nil
}

// leaf is a place in the tree of alternatives.
type leaf struct {
	alternative int
	member      int // in its group, or 0
}

// leaves returns the methods of the alternatives and where each stands.
func (h *Handler) leaves() ([]method, []leaf) {
	var list []method
	var at []leaf
	for i := range h.Alternatives {
		for j, a := range h.Alternatives[i].members() {
			if m, err := a.method(); err == nil && m != nil {
				list, at = append(list, m), append(at, leaf{i, j})
			}
		}
	}
	return list, at
}

// given returns the methods of the alternatives.
func (h *Handler) given() []method {
	list, _ := h.leaves()
	return list
}

// members are what a group consists of, or the alternative alone.
func (a *Alternative) members() []Alternative {
	if a.All != nil {
		return a.All
	}
	return []Alternative{*a}
}

// taken is what alternatives have that only one of them can have: a credential has
// to say by its place, and a token by its issuer, for which alternative it is.
type taken map[string]string

// groupKey is where taken keeps the group whose members are being looked at.
const groupKey = "group"

// once refuses what was taken before.
func (t taken) once(key, what string) error {
	if _, ok := t[key]; ok {
		return errors.New(what + " given twice")
	}
	t[key] = what
	return nil
}

// place refuses one place for two kinds of credentials: which of them it holds
// would be a guess.
func (t taken) place(s source, word string) error {
	key := "kind " + s.key()
	if other, ok := t[key]; ok && other != word {
		return fmt.Errorf("%s and %s are both read from %s", other, word, s.name)
	}
	t[key] = word
	if group := t[groupKey]; group != "" {
		if _, twice := t[group+" "+s.key()]; twice {
			return fmt.Errorf("all: two members are read from %s, where only one credential can be", s.name)
		}
		t[group+" "+s.key()] = word
	}
	return nil
}

// checkAlternatives returns what is wrong with the alternatives as a whole.
func (h *Handler) checkAlternatives() []error {
	if len(h.Alternatives) == 0 {
		return []error{errors.New("auth has no alternative: it would refuse every request")}
	}
	var errs []error
	seen := make(taken)
	for i := range h.Alternatives {
		a, name := &h.Alternatives[i], fmt.Sprintf("alternatives[%d]", i)
		if _, err := a.method(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			continue
		}
		if a.All != nil {
			seen[groupKey] = name
			errs = append(errs, checkGroup(name, a.All)...)
		}
		for _, member := range a.members() {
			if m, err := member.method(); err == nil && m != nil {
				errs = append(errs, m.claims(seen)...)
			}
		}
		delete(seen, groupKey)
	}
	return withoutNil(errs)
}

// checkGroup returns what is wrong with the members of a group as such.
func checkGroup(name string, members []Alternative) []error {
	var errs []error
	if len(members) < 2 || len(members) > maxMembers {
		errs = append(errs, fmt.Errorf("%s: all has %d members, not 2 to %d", name, len(members), maxMembers))
	}
	for j := range members {
		if members[j].All != nil {
			errs = append(errs, fmt.Errorf("%s: all[%d]: a group in a group", name, j))
			continue
		}
		if _, err := members[j].method(); err != nil {
			errs = append(errs, fmt.Errorf("%s: all[%d]: %w", name, j, err))
		}
	}
	return errs
}
