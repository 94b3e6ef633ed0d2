package jwt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

// DefaultLeeway is how far clocks may differ if nothing is configured.
const DefaultLeeway = 30 * time.Second

// Issuer is who may sign tokens, and how.
type Issuer struct {
	// Name is the iss claim, compared byte for byte.
	Name string
	// Audiences are the accepted values of aud; a token has to name one.
	Audiences []string
	// Algorithms are the accepted values of alg.
	Algorithms []string
	// Keys are the issuer's public keys, and nobody else's.
	Keys KeySource
	// Secrets are what the issuer signs with instead of private keys, if its
	// algorithms are those of SecretAlgorithms. It has either Keys or Secrets.
	Secrets []Secret
	// Type is the kind of its tokens that is accepted. Empty: TypeAny.
	Type Type
	// Leeway is how far the issuer's clock and ours may differ.
	Leeway time.Duration
	// SubjectClaim names the claim, or with dots the path into claims, that names
	// the caller. Empty: sub, which tokens then must have.
	SubjectClaim string
	// ScopesClaims and RolesClaims are those of which each grants scopes and roles.
	ScopesClaims, RolesClaims []string
	// TierClaim is that of the caller's class of service. Empty: none.
	TierClaim string
	// Required are claims that tokens must have.
	Required []RequiredClaim
	// Judge, if it is not nil, judges the claims beyond what all tokens need, once when
	// a token is verified, and names the caller in place of SubjectClaim. Its errors
	// must be a *Failure.
	Judge func(claims map[string]any) (caller string, err error)
	// Method is the principal's. Empty: jwt.
	Method string
	// Revocations judge each use of a token. Nil: tokens are not revoked.
	Revocations Revocations
}

// Token is a verified token. It is shared between requests and must not be
// changed.
type Token struct {
	Principal *principal.Principal
	// Issuer is the index of the token's issuer in the list that the Verifier
	// was made of.
	Issuer int

	facts TokenFacts
}

// Verifier verifies tokens of several issuers and remembers those it verified.
// It is safe for concurrent use.
type Verifier struct {
	issuers map[string]*issuer
	cache   *cache
}

type issuer struct {
	index      int
	name       string
	audiences  map[string]bool
	algorithms map[string]*algorithm
	keys       KeySource
	leeway     time.Duration
	kind       Type
	mapping    mapping
	required   []requirement
	revoked    Revocations
}

// NewVerifier compiles issuers, whose names must differ. All errors are
// returned at once.
func NewVerifier(issuers ...Issuer) (*Verifier, error) {
	v := &Verifier{issuers: make(map[string]*issuer, len(issuers)), cache: newCache()}
	var errs []error
	for i, config := range issuers {
		compiled, err := config.compile(i)
		if err != nil {
			errs = append(errs, fmt.Errorf("issuer %q: %w", config.Name, err))
		}
		if v.issuers[config.Name] != nil {
			errs = append(errs, fmt.Errorf("issuer %q is given twice", config.Name))
		}
		v.issuers[config.Name] = compiled
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return v, nil
}

func (c *Issuer) compile(index int) (*issuer, error) {
	var errs []error
	if c.Name == "" {
		errs = append(errs, errors.New("has no name"))
	}
	if len(c.Audiences) == 0 {
		errs = append(errs, errors.New("has no audience"))
	}
	if len(c.Algorithms) == 0 {
		errs = append(errs, errors.New("has no algorithms"))
	}
	if c.Leeway < 0 {
		errs = append(errs, errors.New("has a negative leeway"))
	}
	i := &issuer{
		index: index, name: c.Name, keys: c.Keys, leeway: c.Leeway, revoked: c.Revocations,
		audiences:  make(map[string]bool, len(c.Audiences)),
		algorithms: make(map[string]*algorithm, len(c.Algorithms)),
		kind:       c.Type,
		mapping:    newMapping(c),
	}
	for _, audience := range c.Audiences {
		if audience == "" {
			errs = append(errs, errors.New("has an empty audience"))
		}
		i.audiences[audience] = true
	}
	for _, name := range c.Algorithms {
		if algorithms[name] == nil {
			errs = append(errs, fmt.Errorf("algorithm %q does not exist here", name))
		}
		i.algorithms[name] = algorithms[name]
	}
	errs = append(errs, c.compileKeys(i)...)
	errs = append(errs, c.compileClaims(i)...)
	return i, errors.Join(errs...)
}

// compileKeys makes secrets a key set, and keeps the two kinds of algorithms apart:
// with both, whoever reads the public key could sign with it as if it were a secret.
func (c *Issuer) compileKeys(i *issuer) []error {
	var public, secret bool
	for _, alg := range i.algorithms {
		secret = secret || alg != nil && alg.kty == ktySecret
		public = public || alg != nil && alg.kty != ktySecret
	}
	var errs []error
	switch {
	case c.Keys != nil && len(c.Secrets) > 0:
		errs = append(errs, errors.New("has both keys and secrets"))
	case c.Keys == nil && len(c.Secrets) == 0:
		errs = append(errs, errors.New("has no keys"))
	case secret && c.Keys != nil:
		errs = append(errs, errors.New("has an HS algorithm without a secret: a public key must never check an HMAC"))
	case public && c.Keys == nil:
		errs = append(errs, errors.New("has secrets, which are only for HS256, HS384 and HS512"))
	}
	if len(c.Secrets) > 0 {
		set, faults := newSecretSet(c.Secrets, c.Algorithms)
		i.keys = set
		errs = append(errs, faults...)
	}
	return errs
}

// compileClaims compiles what is asked of the claims.
func (c *Issuer) compileClaims(i *issuer) []error {
	var errs []error
	switch c.Type {
	case "":
		i.kind = TypeAny
	case TypeAny, TypeAccessToken, TypeIDToken:
	default:
		errs = append(errs, fmt.Errorf("type %q is not one of %s", c.Type, strings.Join(Types(), ", ")))
	}
	for _, required := range c.Required {
		r, err := newRequirement(required)
		if err != nil {
			errs = append(errs, err)
		}
		i.required = append(i.required, r)
	}
	for _, path := range slices.Concat(c.ScopesClaims, c.RolesClaims, []string{cmp.Or(c.SubjectClaim, "sub"), cmp.Or(c.TierClaim, "tier")}) {
		if err := CheckClaimPath(path); err != nil {
			errs = append(errs, fmt.Errorf("claim %q: %w", path, err))
		}
	}
	return errs
}

// Verify judges one token at now. It waits only where the issuer's keys do not
// verify the token and its KeySource looks for newer ones, and not longer than ctx.
// The error is always a *Failure.
func (v *Verifier) Verify(ctx context.Context, token string, now time.Time) (*Token, error) {
	if e := v.cache.get(token, now); e != nil {
		return e.use(now)
	}
	p, err := parse(token)
	if err != nil {
		return nil, err
	}
	name, err := p.issuer()
	if err != nil {
		return nil, err
	}
	i := v.issuers[name]
	if i == nil {
		return nil, errIssuer
	}
	e, err := i.verify(ctx, &p, now)
	if err != nil {
		return nil, err
	}
	e.token = token
	v.cache.put(e, now)
	return e.use(now)
}

// verify judges a token that claims to be from i.
func (i *issuer) verify(ctx context.Context, p *parsed, now time.Time) (*entry, error) {
	alg := i.algorithms[p.alg]
	if alg == nil {
		return nil, errAlgorithm
	}
	if err := i.kind.checkHeader(p); err != nil {
		return nil, err
	}
	keys, err := signer(ctx, i.keys, p, alg, now)
	if err != nil {
		return nil, err
	}
	claims, size, err := p.claims()
	if err != nil {
		return nil, err
	}
	e, err := i.accept(claims, now)
	if err != nil {
		return nil, err
	}
	e.keys = keys
	e.size = size
	return e, nil
}

// accept judges claims that i signed.
func (i *issuer) accept(claims map[string]any, now time.Time) (*entry, error) {
	// The keys were chosen by the iss that was found first.
	if claims["iss"] != any(i.name) {
		return nil, errIssuer
	}
	if err := checkAudience(claims["aud"], i.audiences); err != nil {
		return nil, err
	}
	valid, err := validity(claims, i.leeway)
	if err != nil {
		return nil, err
	}
	if err := valid.check(now); err != nil {
		return nil, err
	}
	if err := i.kind.checkClaims(claims, i.audiences); err != nil {
		return nil, err
	}
	for n := range i.required {
		if err := i.required[n].check(claims); err != nil {
			return nil, err
		}
	}
	e := &entry{issuer: i, period: valid}
	if err := i.mapping.principal(&e.who, i.name, claims); err != nil {
		return nil, err
	}
	facts, err := newFacts(i.name, e.who.ID, claims)
	if err != nil {
		return nil, err
	}
	if i.revoked != nil {
		facts.SetNames()
	}
	e.result = Token{&e.who, i.index, facts}
	return e, nil
}

// maxMisses is how often a source is asked for newer keys for one token.
const maxMisses = 2

// signer returns the keys of source that signed the token. Where those in force do
// not, the token may be signed by a newer one: it is judged again by other keys that
// the source finds. A token whose key is unknown is not called invalid while nobody
// can say which keys the issuer has.
func signer(ctx context.Context, source KeySource, p *parsed, alg *algorithm, now time.Time) (*KeySet, error) {
	keys, err := source.Keys(now)
	refused := errNoKeys
	if err == nil {
		if refused = keys.check(p, alg); refused == nil {
			return keys, nil
		}
	}
	for range maxMisses {
		newer, err := source.Missed(ctx, keys)
		switch {
		case err != nil && refused.Kind == KeyUnknown:
			return nil, errNoKeys
		case err != nil || newer == nil:
			return nil, refused
		}
		if refused = newer.check(p, alg); refused == nil {
			return newer, nil
		}
		// Other keys are not always the newest: the stored ones come before the first
		// that are fetched.
		keys = newer
	}
	return nil, refused
}
