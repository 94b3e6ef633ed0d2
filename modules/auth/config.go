package auth

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwks"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/secret"
)

const (
	defaultScopesClaim  = "scope"
	defaultAPIKeyHeader = "X-Api-Key"
	maxLeeway           = 5 * time.Minute
	// maxName is the longest name of a header, cookie or parameter.
	maxName = 64
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
}

// given is how many of the fields are set.
func (a *Alternative) given() int {
	n := 0
	for _, set := range []bool{a.JWT != nil, a.APIKey != nil, a.MTLS != nil} {
		if set {
			n++
		}
	}
	return n
}

// JWT accepts signed tokens of one issuer.
type JWT struct {
	// Issuer is the token's iss claim, byte for byte. Required.
	Issuer string `json:"issuer,omitempty"`

	// Audience are the values of which the token's aud claim has to name one,
	// byte for byte. Required: without it, a token for any other service of the
	// same issuer would open this one.
	Audience []string `json:"audience,omitempty"`

	// Algorithms are the signature algorithms that are accepted: RS256 RS384
	// RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA. Each works only with keys
	// of its type, so the default is safe with any key; naming the one that the
	// issuer uses is safer still. Default: RS256 ES256 EdDSA.
	Algorithms []string `json:"algorithms,omitempty"`

	// JWKS is the URL of the issuer's JWK set. It is fetched in the background,
	// over https (http for loopback addresses, for tests). Either this or KeyFile
	// is required.
	JWKS string `json:"jwks,omitempty"`

	// KeyFile is a file with the issuer's public keys: PEM blocks with public keys or
	// certificates, or a JWK set. It is reread when it changes.
	KeyFile string `json:"key_file,omitempty"`

	// ScopesClaim is the claim with the scopes: words between spaces, or an array
	// of strings. Dots lead into objects ("ctx.scopes"), unless a claim has the
	// whole name. Default: scope.
	ScopesClaim string `json:"scopes_claim,omitempty"`

	// RolesClaim is the claim with the roles, an array of strings or one string,
	// such as realm_access.roles. Default: none.
	RolesClaim string `json:"roles_claim,omitempty"`

	// TierClaim is the claim with the class of service, a string. Default: none.
	TierClaim string `json:"tier_claim,omitempty"`

	// Leeway is how far the issuer's clock may differ from ours, at most 5m.
	// Default: 30s.
	Leeway *caddy.Duration `json:"leeway,omitempty"`

	// From is where the token is. Default: the Authorization header, as a bearer
	// token.
	From From `json:"from,omitzero"`

	// Forward leaves the token in the request to the backend. Default: it is
	// removed.
	Forward bool `json:"forward,omitempty"`
}

// From is the place of a token. At most one of its fields is set.
type From struct {
	// Header is the name of a header with the bare token in it. Authorization
	// stands for the default, with the word Bearer in front.
	Header string `json:"header,omitempty"`

	// Cookie is the name of a cookie. Browsers send it by themselves, so the
	// backend has to defend against cross-site requests.
	Cookie string `json:"cookie,omitempty"`

	// Query is the name of a query parameter. Tokens in URLs end up in logs and
	// histories (RFC 6750 section 2.3); use it only where nothing else works.
	Query string `json:"query,omitempty"`
}

// APIKey accepts keys from a file that `caddy sallyport key` writes.
type APIKey struct {
	// Header is the header with the key. Default: X-Api-Key.
	Header string `json:"header,omitempty"`

	// KeysFile is the file with the hashed keys. It is reread when it changes.
	// Required.
	KeysFile string `json:"keys_file,omitempty"`

	// Pepper is the secret under which the keys are hashed, as {env.NAME} or
	// {file.PATH}. Required.
	Pepper string `json:"pepper,omitempty"`

	// Forward leaves the key in the request to the backend. Default: it is
	// removed.
	Forward bool `json:"forward,omitempty"`
}

// check returns everything that is wrong with the configuration as a whole.
func (h *Handler) check() []error {
	var errs []error
	if len(h.Alternatives) == 0 {
		errs = append(errs, errors.New("auth has no alternative: give jwt, api_key or mtls"))
	}
	seen := make(map[string]string)
	for i, a := range h.Alternatives {
		switch {
		case a.given() != 1:
			errs = append(errs, fmt.Errorf("alternatives[%d]: not exactly one of jwt, api_key and mtls", i))
		case a.JWT != nil:
			s := a.JWT.From.source()
			errs = append(errs, clash(seen, s, wordJWT))
			if a.JWT.Issuer != "" {
				errs = append(errs, claim(seen, s.key()+" "+a.JWT.Issuer, fmt.Sprintf("jwt %s: the same issuer and source are", a.JWT.Issuer)))
			}
		case a.APIKey != nil:
			s := a.APIKey.source()
			errs = append(errs, claim(seen, s.key(), "api_key: "+s.name+" is"), clash(seen, s, wordAPIKey))
		case a.MTLS != nil:
			errs = append(errs, claim(seen, wordMTLS, "mtls is"))
		}
	}
	for i, name := range h.IdentityHeaders {
		if err := checkIdentityHeader(name); err != nil {
			errs = append(errs, fmt.Errorf("identity_headers[%d]: %q %w", i, name, err))
		}
	}
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

// claim refuses what was claimed before.
func claim(seen map[string]string, key, what string) error {
	if _, ok := seen[key]; ok {
		return errors.New(what + " given twice")
	}
	seen[key] = what
	return nil
}

// clash refuses one place for two kinds of credentials: which of them it holds
// would be a guess.
func clash(seen map[string]string, s source, word string) error {
	key := "kind " + s.key()
	if other, ok := seen[key]; ok && other != word {
		return fmt.Errorf("%s and %s are both read from %s", other, word, s.name)
	}
	seen[key] = word
	return nil
}

// key tells sources apart.
func (s source) key() string { return fmt.Sprint(s.kind, " ", s.name) }

// check returns everything that is wrong with one jwt block.
func (j *JWT) check() []error {
	return append(j.faults(), j.gaps(map[string]bool{
		"audience": len(j.Audience) > 0, "jwks": j.JWKS != "", "key_file": j.KeyFile != "",
	})...)
}

// gaps returns what is missing, or given although something else is, when these
// options are given.
func (j *JWT) gaps(given map[string]bool) []error {
	var errs []error
	if !given["audience"] {
		errs = append(errs, fmt.Errorf("jwt %s: audience is missing: a token for any other service would be accepted", j.Issuer))
	}
	switch {
	case given["jwks"] && given["key_file"]:
		errs = append(errs, fmt.Errorf("jwt %s: only one of jwks and key_file can be given", j.Issuer))
	case !given["jwks"] && !given["key_file"]:
		errs = append(errs, fmt.Errorf("jwt %s: one of jwks and key_file is needed", j.Issuer))
	}
	return errs
}

// faults returns what is wrong with single values.
func (j *JWT) faults() []error {
	var errs []error
	fault := func(option string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("jwt %s: %s: %w", j.Issuer, option, err))
		}
	}
	fault("issuer", checkNotEmpty(j.Issuer))
	for _, audience := range j.Audience {
		fault("audience", checkNotEmpty(audience))
	}
	for _, name := range j.Algorithms {
		_, err := parseAlgorithm(name)
		fault("algorithms "+name, err)
	}
	if j.JWKS != "" {
		fault("jwks", jwks.CheckURL(j.JWKS))
	}
	for _, path := range []string{j.ScopesClaim, j.RolesClaim, j.TierClaim} {
		if path != "" {
			_, err := parseClaimPath(path)
			fault("claim "+path, err)
		}
	}
	if j.Leeway != nil && (*j.Leeway < 0 || time.Duration(*j.Leeway) > maxLeeway) {
		fault("leeway", fmt.Errorf("not between 0s and %s", maxLeeway))
	}
	fault("from", j.From.check())
	return errs
}

func checkNotEmpty(s string) error {
	if s == "" {
		return errors.New("is empty")
	}
	return nil
}

func (f From) check() error {
	set := 0
	for _, name := range []string{f.Header, f.Cookie, f.Query} {
		if name != "" {
			set++
		}
	}
	switch {
	case set > 1:
		return errors.New("only one of header, cookie and query can be given")
	case f.Header != "":
		return checkSourceHeader(f.Header)
	case f.Cookie != "":
		return checkTokenName(f.Cookie)
	case f.Query != "":
		return checkTokenName(f.Query)
	}
	return nil
}

// source is the place that f names.
func (f From) source() source {
	switch header := http.CanonicalHeaderKey(f.Header); {
	case f.Cookie != "":
		return source{inCookie, f.Cookie}
	case f.Query != "":
		return source{inQuery, f.Query}
	case header != "" && header != "Authorization":
		return source{inHeader, header}
	}
	return source{inAuthorization, "Authorization"}
}

// check returns everything that is wrong with one api_key block.
func (a *APIKey) check() []error {
	errs := a.gaps(map[string]bool{"keys_file": a.KeysFile != "", "pepper": a.Pepper != ""})
	if a.Pepper != "" {
		if err := secret.Check(a.Pepper); err != nil {
			errs = append(errs, fmt.Errorf("api_key: pepper: %w", err))
		}
	}
	if err := checkKeyHeader(a.header()); err != nil {
		errs = append(errs, fmt.Errorf("api_key: header: %w", err))
	}
	return errs
}

func (a *APIKey) gaps(given map[string]bool) []error {
	var errs []error
	for _, option := range []string{"keys_file", "pepper"} {
		if !given[option] {
			errs = append(errs, fmt.Errorf("api_key: %s is missing", option))
		}
	}
	return errs
}

func (a *APIKey) header() string {
	if a.Header == "" {
		return defaultAPIKeyHeader
	}
	return a.Header
}

func (a *APIKey) source() source {
	return source{inHeader, http.CanonicalHeaderKey(a.header())}
}

func checkSourceHeader(name string) error {
	if err := checkTokenName(name); err != nil {
		return err
	}
	if strings.ContainsAny(name, "_.") {
		return errors.New("headers with '_' or '.' in their name are dropped by Caddy")
	}
	switch http.CanonicalHeaderKey(name) {
	case "Cookie", "Host", "Connection", "Content-Length", "Content-Type", "Transfer-Encoding", "Proxy-Authorization":
		return fmt.Errorf("%s does not hold a credential for us", name)
	}
	return nil
}

func checkKeyHeader(name string) error {
	if strings.EqualFold(name, "Authorization") {
		return errors.New("header Authorization is for schemes such as Bearer")
	}
	return checkSourceHeader(name)
}

// checkTokenName accepts names that need no encoding where they occur.
func checkTokenName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("a name has 1 to %d characters", maxName)
	}
	for i := range len(name) {
		c := name[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.') {
			return fmt.Errorf("%q may not be in a name", c)
		}
	}
	return nil
}

// checkIdentityHeader accepts a name, or the beginning of one with '*' behind it.
func checkIdentityHeader(name string) error {
	name, prefix := strings.CutSuffix(name, "*")
	if prefix && len(name) < bucketLetters {
		return errors.New("would remove headers that are no identity")
	}
	return checkTokenName(name)
}

func parseAlgorithm(name string) (string, error) {
	switch {
	case slices.Contains(jwt.Algorithms(), name):
		return name, nil
	case strings.HasPrefix(name, "HS"):
		return "", errors.New("symmetric algorithms do not exist here: who can check such a token can make one")
	case strings.EqualFold(name, "none"):
		return "", errors.New("a token without signature proves nothing")
	}
	return "", fmt.Errorf("not one of %s", strings.Join(jwt.Algorithms(), ", "))
}

func parseClaimPath(path string) (string, error) {
	if path == "" || slices.Contains(strings.Split(path, "."), "") {
		return "", errors.New("a claim is a name, or names with single dots between them")
	}
	return path, nil
}
