package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwks"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/keysets"
)

const (
	defaultScopesClaim = "scope"
	maxLeeway          = 5 * time.Minute
)

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
	// issuer uses is safer still. HS256 HS384 HS512 are for Secrets, and for nothing
	// else. Default: RS256 ES256 EdDSA; with Secrets, HS256.
	Algorithms []string `json:"algorithms,omitempty"`

	// JWKS is where the issuer's JWK set is. It is fetched in the background. At most
	// one of this, Discovery, KeyFile and Secrets.
	JWKS *keysets.Fetch `json:"jwks,omitempty"`

	// Discovery is where the issuer's metadata are, which say where its JWK set is and
	// have to be of this very issuer: OpenID Connect Discovery, or RFC 8414. Default:
	// /.well-known/openid-configuration below the issuer, unless JWKS, KeyFile or
	// Secrets are given.
	Discovery *keysets.Fetch `json:"discovery,omitempty"`

	// KeyFile is a file with the issuer's public keys: PEM blocks with public keys or
	// certificates, or a JWK set. It is reread when it changes.
	KeyFile string `json:"key_file,omitempty"`

	// Secrets are shared with an issuer that signs with them, instead of public keys:
	// several while they are exchanged, at most 4. Each must be at least as long as
	// the hash of each of the algorithms: 32, 48 or 64 bytes. Whoever has one can
	// make tokens, so this gateway could.
	Secrets []Secret `json:"secrets,omitempty"`

	// Type is the kind of token: access_token (RFC 9068: typ at+jwt, and the claims
	// sub, client_id, iat and jti), id_token (OpenID Connect: typ JWT or none, and
	// azp among the audiences), or any: all but those whose typ says that they are
	// for something else, such as logout+jwt. Default: any.
	Type string `json:"type,omitempty"`

	// SubjectClaim is the claim that names the caller: a string or a whole number.
	// Dots lead into objects ("act.sub"), unless a claim has the whole name; a dot
	// that belongs to a name has a backslash in front. Default: sub, a string.
	SubjectClaim string `json:"subject_claim,omitempty"`

	// ScopesClaim are the claims with the scopes: words between spaces, or a list of
	// strings. What any of them grants is granted. Default: scope.
	ScopesClaim []string `json:"scopes_claim,omitempty"`

	// RolesClaim are the claims with the roles, lists of strings or one string, such
	// as realm_access.roles. What any of them grants is granted. Default: none.
	RolesClaim []string `json:"roles_claim,omitempty"`

	// TierClaim is the claim with the class of service, a string. Default: none.
	TierClaim string `json:"tier_claim,omitempty"`

	// RequireClaim are claims that a token must have. Default: none.
	RequireClaim []RequiredClaim `json:"require_claim,omitempty"`

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

func (*JWT) scheme() string { return schemeBearer }

func (j *JWT) claims(t taken) []error {
	s := j.From.source()
	errs := []error{t.place(s, "jwt")}
	if j.Issuer != "" {
		errs = append(errs, t.once(s.key()+" "+j.Issuer, fmt.Sprintf("jwt %s: the same issuer and source are", j.Issuer)))
	}
	return errs
}

// check returns everything that is wrong with one jwt block.
func (j *JWT) check() []error {
	return append(j.faults(), j.gaps(map[string]bool{
		"audience": len(j.Audience) > 0, "jwks": j.JWKS != nil, "discovery": j.Discovery != nil, "key_file": j.KeyFile != "", "secret": len(j.Secrets) > 0,
	})...)
}

// gaps returns what is missing, or given although something else is, when these
// options are given.
func (j *JWT) gaps(given map[string]bool) []error {
	var errs []error
	if !given["audience"] {
		errs = append(errs, fmt.Errorf("jwt %s: audience is missing: a token for any other service would be accepted", j.Issuer))
	}
	sources := 0
	for _, option := range []string{"jwks", "discovery", "key_file", "secret"} {
		if given[option] {
			sources++
		}
	}
	if sources > 1 {
		errs = append(errs, fmt.Errorf("jwt %s: only one of jwks, discovery, key_file and secret can be given", j.Issuer))
	}
	if sources == 0 && j.Issuer != "" {
		if _, err := jwks.DiscoveryURL(j.Issuer); err != nil {
			errs = append(errs, fmt.Errorf("jwt %s: one of jwks, discovery <url>, key_file and secret is needed: the issuer cannot be asked itself: %w", j.Issuer, err))
		}
	}
	for _, err := range j.checkSecrets(given["secret"]) {
		errs = append(errs, fmt.Errorf("jwt %s: %w", j.Issuer, err))
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
	if j.JWKS != nil {
		fault("jwks", j.JWKS.Check(""))
	}
	if j.Discovery != nil && j.Issuer != "" {
		fault("discovery", j.Discovery.Check(j.Issuer))
	}
	for _, s := range j.Secrets {
		fault("secret", s.check())
	}
	if j.Type != "" && !slices.Contains(jwt.Types(), j.Type) {
		fault("type", fmt.Errorf("not one of %s", strings.Join(jwt.Types(), ", ")))
	}
	for _, path := range slices.Concat(j.ScopesClaim, j.RolesClaim, j.requiredPaths(), []string{cmp.Or(j.SubjectClaim, "sub"), cmp.Or(j.TierClaim, "tier")}) {
		fault("claim "+path, jwt.CheckClaimPath(path))
	}
	if j.Leeway != nil && (*j.Leeway < 0 || time.Duration(*j.Leeway) > maxLeeway) {
		fault("leeway", fmt.Errorf("not between 0s and %s", maxLeeway))
	}
	fault("from", j.From.check())
	return errs
}

func (j *JWT) requiredPaths() []string {
	paths := make([]string, len(j.RequireClaim))
	for i, c := range j.RequireClaim {
		paths[i] = c.Claim
	}
	return paths
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

func (j *JWT) unmarshal(o *caddyfile.Dispenser) error {
	block := *o
	issuer := read.Value(o, valid(checkNotEmpty), &j.Issuer)
	given := make(map[string]bool)
	err := read.Block(o, []string{"audience", "algorithms", "secret", "scopes_claim", "roles_claim", "require_claim"}, func(o *caddyfile.Dispenser) error {
		given[o.Val()] = true
		return j.option(o)
	})
	if err == nil && issuer == nil && j.Discovery != nil && j.Discovery.URL == "" {
		if err = j.Discovery.Check(j.Issuer); err != nil {
			err = block.WrapErr(fmt.Errorf("discovery: %w", err))
		}
	}
	return errors.Join(issuer, err, located(block, j.gaps(given)))
}

func (j *JWT) option(o *caddyfile.Dispenser) error {
	switch o.Val() {
	case "audience":
		return read.Values(o, valid(checkNotEmpty), &j.Audience)
	case "algorithms":
		return read.Values(o, parseAlgorithm, &j.Algorithms)
	case "jwks":
		j.JWKS = new(keysets.Fetch)
		return j.JWKS.Unmarshal(o, false)
	case "discovery":
		j.Discovery = new(keysets.Fetch)
		return j.Discovery.Unmarshal(o, true)
	case "key_file":
		return read.String(o, &j.KeyFile)
	case "secret":
		var s Secret
		if err := s.unmarshal(o); err != nil {
			return err
		}
		j.Secrets = append(j.Secrets, s)
		return nil
	case "type":
		return read.Word(o, &j.Type, jwt.Types()...)
	case "subject_claim":
		return read.Value(o, parseClaimPath, &j.SubjectClaim)
	case "scopes_claim":
		return read.Values(o, parseClaimPath, &j.ScopesClaim)
	case "roles_claim":
		return read.Values(o, parseClaimPath, &j.RolesClaim)
	case "require_claim":
		var c RequiredClaim
		err := c.unmarshal(o)
		j.RequireClaim = append(j.RequireClaim, c)
		return err
	case "tier_claim":
		return read.Value(o, parseClaimPath, &j.TierClaim)
	case "leeway":
		j.Leeway = new(caddy.Duration)
		return read.Duration(o, 0, maxLeeway, j.Leeway)
	case "from":
		return j.From.unmarshal(o)
	case "forward":
		return read.Flag(o, &j.Forward)
	}
	return read.Unknown(o, "audience", "algorithms", "jwks", "discovery", "key_file", "secret", "type",
		"subject_claim", "scopes_claim", "roles_claim", "tier_claim", "require_claim", "leeway", "from", "forward")
}

func (f *From) unmarshal(o *caddyfile.Dispenser) error {
	var place string
	if err := read.Word(o, &place, "header", "cookie", "query"); err != nil {
		return err
	}
	switch place {
	case "header":
		return read.Value(o, valid(checkSourceHeader), &f.Header)
	case "cookie":
		return read.Value(o, valid(checkTokenName), &f.Cookie)
	default:
		return read.Value(o, valid(checkTokenName), &f.Query)
	}
}

// open makes the issuer one of those whose tokens come from its source.
func (j *JWT) open(b *builder) error {
	issuer, err := j.issuer(b)
	if err != nil {
		return fmt.Errorf("jwt %s: %w", j.Issuer, err)
	}
	from := j.From.source()
	if b.tokens[from] == nil {
		b.tokens[from] = new(tokens)
	}
	t := b.tokens[from]
	b.door(from, t)
	issuer.Revocations = b.revoked()
	t.issuers = append(t.issuers, issuer)
	t.forward = append(t.forward, j.Forward)
	t.leaves = append(t.leaves, b.leaf)
	return nil
}

// keySource opens the key file, or takes a share of the fetched key set.
func (j *JWT) keySource(b *builder) (jwt.KeySource, error) {
	if j.KeyFile != "" {
		source, held, err := keysets.File(b.Suite(), b.Logger(), j.KeyFile, j.algorithms())
		b.hold(held)
		return source, err
	}
	from, err := j.fetched()
	if err != nil {
		return nil, err
	}
	source, held, err := keysets.Fetched(b.ctx, b.Suite(), "auth", from)
	b.hold(held)
	return source, err
}

// fetched is where keys are fetched from that are in no file.
func (j *JWT) fetched() (jwks.Config, error) {
	if j.JWKS != nil {
		return j.JWKS.Config("")
	}
	discovery := j.Discovery
	if discovery == nil {
		discovery = new(keysets.Fetch)
	}
	return discovery.Config(j.Issuer)
}

func (j *JWT) issuer(b *builder) (i jwt.Issuer, err error) {
	i = jwt.Issuer{
		Name: j.Issuer, Audiences: j.Audience, Algorithms: j.algorithms(), Type: jwt.Type(j.Type), Leeway: jwt.DefaultLeeway,
		SubjectClaim: j.SubjectClaim, ScopesClaims: j.ScopesClaim, RolesClaims: j.RolesClaim, TierClaim: j.TierClaim,
	}
	if j.Leeway != nil {
		i.Leeway = time.Duration(*j.Leeway)
	}
	if len(i.ScopesClaims) == 0 {
		i.ScopesClaims = []string{defaultScopesClaim}
	}
	for _, c := range j.RequireClaim {
		i.Required = append(i.Required, jwt.RequiredClaim{Path: c.Claim, Values: c.Values})
	}
	if len(j.Secrets) > 0 {
		i.Secrets, err = j.resolve()
	} else {
		i.Keys, err = j.keySource(b)
	}
	return i, err
}

func (j *JWT) algorithms() []string {
	switch {
	case len(j.Algorithms) > 0:
		return j.Algorithms
	case len(j.Secrets) > 0:
		return []string{"HS256"}
	}
	return jwt.DefaultAlgorithms
}

// tokens are the issuers whose tokens come from one source.
type tokens struct {
	issuers  []jwt.Issuer
	forward  []bool // by issuer
	leaves   []leaf // by issuer
	verifier *jwt.Verifier
}

// compile makes the verifier of the issuers.
func (t *tokens) compile() (err error) {
	t.verifier, err = jwt.NewVerifier(t.issuers...)
	return err
}

func (t *tokens) verify(ctx context.Context, token string, _ netip.Addr, now time.Time) verdict {
	verified, err := t.verifier.Verify(ctx, token, now)
	if err != nil {
		return verdict{reason: tokenReason(err), cause: err}
	}
	return verdict{who: verified.Principal, leaf: t.leaves[verified.Issuer], forward: t.forward[verified.Issuer]}
}

func (*tokens) token() bool { return true }
func (*tokens) dear() bool  { return true }

// tokenReasons are the refusals of tokens, by kind of failure.
var tokenReasons = [jwt.Kinds]*decision.Reason{
	jwt.Malformed:         invalid("auth.token_malformed"),
	jwt.UnsupportedHeader: invalid("auth.token_header"),
	jwt.IssuerUnknown:     invalid("auth.token_issuer"),
	jwt.AlgorithmRefused:  invalid("auth.token_algorithm"),
	jwt.KeysUnavailable:   decision.NewReason("auth.keys_unavailable", http.StatusServiceUnavailable, titleUnavailable),
	jwt.KeyUnknown:        invalid("auth.token_key"),
	jwt.SignatureInvalid:  invalid("auth.token_signature"),
	jwt.ClaimsInvalid:     invalid("auth.token_claims"),
	jwt.AudienceMismatch:  invalid("auth.token_audience"),
	jwt.Expired:           invalid("auth.token_expired"),
	jwt.NotYetValid:       invalid("auth.token_not_yet_valid"),
	jwt.Revoked:           invalid("auth.token_revoked"),
	jwt.RevocationUnknown: decision.NewReason("auth.revocations_unavailable", http.StatusServiceUnavailable, titleUnavailable),
}

// tokenReason is why err refused a token. What is not a refusal is a failure of
// ours.
func tokenReason(err error) *decision.Reason {
	var failure *jwt.Failure
	if errors.As(err, &failure) && failure.Kind < jwt.Kinds {
		return tokenReasons[failure.Kind]
	}
	return reasonFailed
}
