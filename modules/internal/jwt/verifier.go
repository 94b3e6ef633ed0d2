package jwt

import (
	"context"
	"errors"
	"fmt"
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
	// Keys are the issuer's keys, and nobody else's.
	Keys KeySource
	// Leeway is how far the issuer's clock and ours may differ.
	Leeway time.Duration
	// ScopesClaim, RolesClaim and TierClaim name the claims, or with dots the
	// paths into claims, from which the principal is made. Empty: none.
	ScopesClaim, RolesClaim, TierClaim string
}

// Token is a verified token. It is shared between requests and must not be
// changed.
type Token struct {
	Principal *principal.Principal
	// Issuer is the index of the token's issuer in the list that the Verifier
	// was made of.
	Issuer int
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
	mapping    mapping
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
	if c.Keys == nil {
		errs = append(errs, errors.New("has no keys"))
	}
	if c.Leeway < 0 {
		errs = append(errs, errors.New("has a negative leeway"))
	}
	i := &issuer{
		index: index, name: c.Name, keys: c.Keys, leeway: c.Leeway,
		audiences:  make(map[string]bool, len(c.Audiences)),
		algorithms: make(map[string]*algorithm, len(c.Algorithms)),
		mapping:    mapping{newClaimPath(c.ScopesClaim), newClaimPath(c.RolesClaim), newClaimPath(c.TierClaim)},
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
	return i, errors.Join(errs...)
}

// Verify judges one token at now. It waits only where the issuer's keys do not
// verify the token and its KeySource looks for newer ones, and not longer than ctx.
// The error is always a *Failure.
func (v *Verifier) Verify(ctx context.Context, token string, now time.Time) (*Token, error) {
	if t := v.cache.get(token, now); t != nil {
		return t, nil
	}
	p, err := parse(token)
	if err != nil {
		return nil, err
	}
	name, _ := p.claims["iss"].(string)
	i := v.issuers[name]
	if i == nil {
		return nil, errIssuer
	}
	e, err := i.verify(ctx, p, now)
	if err != nil {
		return nil, err
	}
	e.token = token
	v.cache.put(e, now)
	return e.result, nil
}

// verify judges a token that claims to be from i.
func (i *issuer) verify(ctx context.Context, p *parsed, now time.Time) (*entry, error) {
	alg := i.algorithms[p.alg]
	if alg == nil {
		return nil, errAlgorithm
	}
	keys, err := signer(ctx, i.keys, p, alg, now)
	if err != nil {
		return nil, err
	}
	if err := checkAudience(p.claims["aud"], i.audiences); err != nil {
		return nil, err
	}
	valid, err := validity(p.claims, i.leeway)
	if err != nil {
		return nil, err
	}
	if err := valid.check(now); err != nil {
		return nil, err
	}
	who, err := i.mapping.principal(i.name, p.claims)
	if err != nil {
		return nil, err
	}
	return &entry{issuer: i, keys: keys, result: &Token{who, i.index}, period: valid}, nil
}

// signer returns the keys of source that signed the token. Where those in force do
// not, the token may be signed by a newer one: it is judged once more if the source
// finds other keys. A token whose key is unknown is not called invalid while nobody
// can say which keys the issuer has.
func signer(ctx context.Context, source KeySource, p *parsed, alg *algorithm, now time.Time) (*KeySet, error) {
	keys, err := source.Keys(now)
	refused := errNoKeys
	if err == nil {
		if refused = keys.check(p, alg); refused == nil {
			return keys, nil
		}
	}
	newer, err := source.Missed(ctx, keys)
	switch {
	case err != nil && refused.Kind == KeyUnknown:
		return nil, errNoKeys
	case err != nil || newer == nil:
		return nil, refused
	}
	if refused = newer.check(p, alg); refused != nil {
		return nil, refused
	}
	return newer, nil
}

// check finds out whether one of the keys signed the token.
func (s *KeySet) check(p *parsed, alg *algorithm) *Failure {
	var fitting [maxAttempts]*key
	n, err := s.candidates(p.kid, alg, &fitting)
	if err != nil {
		return err
	}
	for _, k := range fitting[:n] {
		if alg.method.Verify(p.signed, p.signature, k.public) == nil {
			return nil
		}
	}
	return errSignature
}
