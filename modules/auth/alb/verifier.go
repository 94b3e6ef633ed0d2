package alb

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

// Method is the method of the principals.
const Method = "aws_alb_oidc"

// leeway is how far the balancer's clock and ours may differ.
const leeway = 30 * time.Second

// Why an assertion is refused. Nothing of it stands in an error.
var (
	ErrMalformed = errors.New("the assertion is not of the form that balancers write")
	ErrSigner    = errors.New("signer is not one of the configured balancers")
	ErrIssuer    = errors.New("iss is not one of the configured issuers")
	ErrClient    = errors.New("client is not one of the configured clients")
	ErrKey       = errors.New("kid is no key of the balancers in the signer's region")
	ErrSignature = errors.New("the signature does not verify")
	ErrClaims    = errors.New("exp or sub is missing, or a claim has an unexpected type")
	ErrExpired   = errors.New("exp has passed")
	// ErrUnavailable is no fault of the assertion.
	ErrUnavailable = errors.New("the balancer's key cannot be fetched")
)

// Config is which assertions are accepted.
type Config struct {
	// Balancers are the keys of each balancer's region by the balancer's ARN.
	Balancers map[string]*Keys
	// Issuers and Clients are the accepted values of iss and client. Empty: any.
	Issuers, Clients []string
	// Mapper makes principals of the claims.
	Mapper *jwt.Mapper
}

// Verifier judges assertions and remembers the good ones. It is safe for concurrent
// use.
type Verifier struct {
	config Config
	cache  *cache
}

// New returns a verifier.
func New(c Config) *Verifier { return &Verifier{c, newCache()} }

// Verify returns whom the assertion is about. It may wait for the balancer's key,
// until ctx is done.
func (v *Verifier) Verify(ctx context.Context, assertion string, now time.Time) (*principal.Principal, error) {
	if e := v.cache.get(assertion, now); e != nil {
		return e.who, nil
	}
	token, err := jwt.ParsePadded(assertion)
	if err != nil {
		return nil, ErrMalformed
	}
	signer, _ := token.Header["signer"].(string)
	keys := v.config.Balancers[signer]
	if keys == nil {
		return nil, ErrSigner
	}
	issuer, ok := accepted(token.Header["iss"], v.config.Issuers)
	if !ok {
		return nil, ErrIssuer
	}
	if _, ok := accepted(token.Header["client"], v.config.Clients); !ok {
		return nil, ErrClient
	}
	if !isKeyID(token.KeyID) {
		return nil, ErrKey
	}
	key, err := keys.Get(ctx, token.KeyID, now)
	if err != nil {
		return nil, err
	}
	if token.SignedBy(key) != nil {
		return nil, ErrSignature
	}
	e, err := v.read(token, issuer, now)
	if err != nil {
		return nil, err
	}
	e.token, e.keys, e.id, e.key = assertion, keys, token.KeyID, key
	v.cache.put(e)
	return e.who, nil
}

// accepted returns a parameter that is a name, and one of the list if it is not empty.
func accepted(parameter any, list []string) (string, bool) {
	s, _ := parameter.(string)
	return s, jwt.IsName(s) && (len(list) == 0 || slices.Contains(list, s))
}

// read reads an assertion that the balancer signed.
func (v *Verifier) read(token *jwt.Padded, issuer string, now time.Time) (*entry, error) {
	exp, ok := token.Header["exp"]
	if !ok {
		return nil, ErrClaims
	}
	until, err := jwt.NumericDate(exp)
	if err != nil {
		return nil, ErrClaims
	}
	until = until.Add(leeway)
	if !now.Before(until) {
		return nil, ErrExpired
	}
	claims, size, err := token.Claims()
	if err != nil {
		return nil, ErrMalformed
	}
	who, err := v.config.Mapper.Principal(issuer, claims)
	if err != nil {
		return nil, ErrClaims
	}
	return &entry{who: who, until: until, size: size}, nil
}

// isKeyID reports whether s is a UUID in lower case, as the balancers' key ids are. It
// becomes part of a URL.
func isKeyID(s string) bool {
	if len(s) != len("00000000-0000-0000-0000-000000000000") {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch hyphen := i == 8 || i == 13 || i == 18 || i == 23; {
		case hyphen && c == '-':
		case !hyphen && ('0' <= c && c <= '9' || 'a' <= c && c <= 'f'):
		default:
			return false
		}
	}
	return true
}
