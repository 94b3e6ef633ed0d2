package assertion

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

// Kind is why an assertion was refused.
type Kind uint8

// The kinds of refusal. KeysUnavailable is no fault of the assertion.
const (
	Malformed Kind = iota
	Header
	Algorithms
	KeysUnavailable
	KeyUnknown
	Signature
	Issuer
	Audience
	Claims
	Expired
	NotYetValid
	Lifetime
	Method
	Path
	Query
	// Kinds is how many kinds there are.
	Kinds
)

// Failure is the error that Verify returns. All are package variables or those of
// package jwt: nothing of the assertion is in them.
type Failure struct {
	Kind   Kind
	Detail string
}

// Error returns the detail.
func (f *Failure) Error() string { return f.Detail }

var (
	errIssuer   = &Failure{Issuer, "iss is not the expected issuer"}
	errAudience = &Failure{Audience, "aud is not this service"}
	errClaims   = &Failure{Claims, "a claim is missing or has an unexpected type"}
	errExpired  = &Failure{Expired, "exp has passed"}
	errNotYet   = &Failure{NotYetValid, "iat or nbf is in the future"}
	errLifetime = &Failure{Lifetime, "exp is too long after iat"}
	errMethod   = &Failure{Method, "htm is another method"}
	errPath     = &Failure{Path, "path is another path"}
	errQuery    = &Failure{Query, "qh is of another query"}
)

// Verifier judges assertions for one service. It is safe for concurrent use.
type Verifier struct {
	// Issuer is the expected iss, byte for byte.
	Issuer string
	// Audience is the expected aud, byte for byte.
	Audience string
	// Leeway is how far the gateway's clock and ours may differ.
	Leeway time.Duration
	// Keys are the gateway's keys.
	Keys jwt.KeySource
}

// Accepted is what a good assertion says. It must be used once: whether it was is
// for the caller to find out.
type Accepted struct {
	// ID is its jti.
	ID string
	// Remember is for how long it has to be remembered as used: by then nobody whose
	// clock is within the leeway accepts it, whoever's clock it was accepted by.
	Remember time.Duration
	// Caller is who makes the request; nil for an anonymous caller.
	Caller *principal.Principal
}

// Verify judges an assertion about a request that arrived, at now. It may wait for
// newer keys, not longer than ctx. The error is always a *Failure. The signature is judged first, so that all other answers speak
// of an assertion that the gateway made.
func (v *Verifier) Verify(ctx context.Context, token string, arrived Target, now time.Time) (Accepted, error) {
	kind := jwt.Kinded{Type: Type, Algorithm: Algorithm, Keys: v.Keys}
	claims, err := kind.Open(ctx, token, now)
	if err != nil {
		return Accepted{}, failureOf(err)
	}
	switch {
	case claims["iss"] != any(v.Issuer):
		return Accepted{}, errIssuer
	case claims["aud"] != any(v.Audience):
		return Accepted{}, errAudience
	}
	a := Accepted{}
	if a.Remember, err = v.validity(claims, now); err != nil {
		return Accepted{}, err
	}
	query := sha256.Sum256([]byte(arrived.Query))
	switch {
	case claims["htm"] != any(arrived.Method):
		return Accepted{}, errMethod
	case claims["path"] != any(arrived.Path):
		return Accepted{}, errPath
	case claims["qh"] != any(encode(query[:])):
		return Accepted{}, errQuery
	}
	var ok bool
	if a.ID, ok = claims["jti"].(string); !ok || len(a.ID) < 16 || len(a.ID) > 64 {
		return Accepted{}, errClaims
	}
	if a.Caller, err = callerOf(claims); err != nil {
		return Accepted{}, err
	}
	return a, nil
}

// validity reads the dates, whole seconds all of them, and returns for how long the
// assertion has to be remembered. It was made at iat by the gateway's clock, so it is
// not used before; a clock that is slow by the leeway accepts it until twice the
// leeway after exp.
func (v *Verifier) validity(claims map[string]any, now time.Time) (time.Duration, error) {
	var dates [3]time.Time
	for i, name := range []string{"iat", "nbf", "exp"} {
		number, _ := claims[name].(json.Number)
		seconds, err := strconv.ParseInt(string(number), 10, 64)
		if err != nil || seconds < 0 || seconds > 1<<40 {
			return 0, errClaims
		}
		dates[i] = time.Unix(seconds, 0)
	}
	iat, nbf, exp := dates[0], dates[1], dates[2]
	switch {
	case exp.Sub(iat) > MaxTTL:
		return 0, errLifetime
	case !now.Before(exp.Add(v.Leeway)):
		return 0, errExpired
	case now.Before(iat.Add(-v.Leeway)) || now.Before(nbf.Add(-v.Leeway)):
		return 0, errNotYet
	}
	return exp.Sub(iat) + 2*v.Leeway, nil
}

// callerOf makes the principal of the claims; nil if there is no sub.
func callerOf(claims map[string]any) (*principal.Principal, error) {
	if _, ok := claims["sub"]; !ok {
		return nil, nil
	}
	p := &principal.Principal{Claims: claims}
	var scope string
	for _, text := range []struct {
		claim string
		to    *string
	}{{"sub", &p.ID}, {"sub_iss", &p.Issuer}, {"auth", &p.Method}, {"scope", &scope}, {"tier", &p.Tier}} {
		value, ok := claims[text.claim]
		if !ok {
			continue
		}
		if *text.to, ok = value.(string); !ok || strings.ContainsFunc(*text.to, unicode.IsControl) {
			return nil, errClaims
		}
	}
	if p.ID == "" {
		return nil, errClaims
	}
	p.Scopes = strings.Fields(scope)
	roles, ok := claims["roles"]
	if !ok {
		return p, nil
	}
	list, ok := roles.([]any)
	if !ok {
		return nil, errClaims
	}
	for _, element := range list {
		role, ok := element.(string)
		if !ok || role == "" || strings.ContainsFunc(role, unicode.IsControl) {
			return nil, errClaims
		}
		p.Roles = append(p.Roles, role)
	}
	return p, nil
}

// kinds are the kinds of refusal by those of package jwt.
var kinds = [jwt.Kinds]Kind{
	jwt.Malformed:         Malformed,
	jwt.UnsupportedHeader: Header,
	jwt.AlgorithmRefused:  Algorithms,
	jwt.KeysUnavailable:   KeysUnavailable,
	jwt.KeyUnknown:        KeyUnknown,
	jwt.SignatureInvalid:  Signature,
}

func failureOf(err error) error {
	var failure *jwt.Failure
	if !errors.As(err, &failure) {
		return &Failure{Malformed, "not a token"}
	}
	return &Failure{kinds[failure.Kind], failure.Detail}
}
