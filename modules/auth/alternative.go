package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Alternative is one way to authenticate. Exactly one of its fields is set.
type Alternative struct {
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

// method returns what is set, if it is exactly one.
func (a *Alternative) method() (method, error) {
	var set method
	n := 0
	for _, m := range methods {
		if given, ok := m.of(a); ok {
			set = given
			n++
		}
	}
	if n != 1 {
		return nil, errors.New("not exactly one of " + strings.Join(words(), ", "))
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

// given returns the methods of the alternatives that have one.
func (h *Handler) given() []method {
	var list []method
	for i := range h.Alternatives {
		if m, err := h.Alternatives[i].method(); err == nil {
			list = append(list, m)
		}
	}
	return list
}

// taken is what alternatives have that only one of them can have.
type taken map[string]string

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
		m, err := h.Alternatives[i].method()
		if err != nil {
			errs = append(errs, fmt.Errorf("alternatives[%d]: %w", i, err))
			continue
		}
		errs = append(errs, m.claims(seen)...)
	}
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}
