package jwt

import (
	"encoding/json"
	"errors"
	"time"
)

// TokenFacts is what a revocation may name of a verified token. It is made once,
// when the token is verified, so that judging it at each use costs no look-up in
// the claims.
type TokenFacts struct {
	// Issuer is the iss claim.
	Issuer string
	// ID, Subject and Session are the claims jti, sub and sid, exactly; a number is
	// its text. They are empty where the token has none.
	ID, Subject, Session string
	// Principal is the ID of the principal: the sub claim, unless the issuer's
	// SubjectClaim is another one.
	Principal string
	// IssuedAt is the iat claim. It is zero where the token has none: then nobody
	// knows when it was issued, and it is older than any moment.
	IssuedAt time.Time
	// Names are those of the above. Without Revocations they are not made. Principal
	// is zero where it is Subject.
	Names Names
}

// Revocations judges verified tokens at each use, remembered ones too. It must be
// safe for concurrent use and must not block.
type Revocations interface {
	// Check returns nil for a token that was not revoked; a *Failure of kind
	// Revoked or RevocationUnknown, as ErrRevoked and ErrRevocationUnknown are; any
	// other error counts as ErrRevocationUnknown. It must not keep or change facts.
	Check(facts *TokenFacts, now time.Time) error
}

// What Revocations return.
var (
	ErrRevoked           = &Failure{Revoked, "the token was revoked"}
	ErrRevocationUnknown = &Failure{RevocationUnknown, "whether the token was revoked is not known"}
)

// newFacts reads the facts of claims. A claim that names the token or its session
// and is neither text nor a number could be named by no revocation, so it is
// refused.
func newFacts(issuer, principal string, claims map[string]any) (TokenFacts, error) {
	f := TokenFacts{Issuer: issuer, Principal: principal}
	for _, c := range []struct {
		name string
		dst  *string
	}{{"jti", &f.ID}, {"sub", &f.Subject}, {"sid", &f.Session}} {
		switch v := claims[c.name].(type) {
		case string:
			*c.dst = v
		case json.Number:
			*c.dst = string(v)
		default:
			if _, ok := claims[c.name]; ok {
				return f, errNamed
			}
		}
	}
	if iat, ok := claims["iat"]; ok {
		t, err := date(iat)
		if err != nil {
			return f, err
		}
		f.IssuedAt = t
	}
	return f, nil
}

// judge asks r about a token. A nil r revokes nothing.
func (f *TokenFacts) judge(r Revocations, now time.Time) error {
	if r == nil {
		return nil
	}
	err := r.Check(f, now)
	if err == nil {
		return nil
	}
	var failure *Failure
	if errors.As(err, &failure) && failure != nil && (failure.Kind == Revoked || failure.Kind == RevocationUnknown) {
		return failure
	}
	return ErrRevocationUnknown
}
