package jwt

import (
	"context"
	"time"
)

// Kinded is a kind of token that is no access token: it has a type of its own (RFC
// 8725 section 3.11), one algorithm, and a key id.
type Kinded struct {
	// Type is the typ header parameter, exactly.
	Type string
	// Algorithm is the alg header parameter. It must be one of Algorithms.
	Algorithm string
	// Keys are the keys of whoever makes them.
	Keys KeySource
}

// Open returns the claims of a token of this kind that one of the keys signed. What
// they say is for the caller to judge; their names are unique at every level,
// numbers are json.Number. It waits as Verify does. The error is always a *Failure.
func (k *Kinded) Open(ctx context.Context, token string, now time.Time) (map[string]any, error) {
	p, err := parse(token)
	if err != nil {
		return nil, err
	}
	alg := algorithms[k.Algorithm]
	switch {
	case p.typ != k.Type || !p.hasType:
		return nil, errType
	case alg == nil || p.alg != k.Algorithm:
		return nil, errAlgorithm
	case p.kid == "":
		return nil, errNoKid
	}
	if _, err := signer(ctx, k.Keys, &p, alg, now); err != nil {
		return nil, err
	}
	claims, _, err := p.claims()
	return claims, err
}
