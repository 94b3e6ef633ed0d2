package auth

import (
	"errors"
	"net/http"
	"slices"

	"github.com/sallyport-gateway/sallyport/modules/auth/apikey"
	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
)

// What callers are told. What exactly is wrong with a credential is for metrics
// and logs: to a guesser it would be a hint.
const (
	titleRequired    = "Authentication is required."
	titleInvalid     = "The credential is not valid."
	titleSeveral     = "The request has more than one credential."
	titleUnavailable = "Authentication is not possible at the moment."
)

var (
	reasonNone    = decision.NewReason("auth.no_credential", http.StatusUnauthorized, titleRequired)
	reasonSeveral = decision.NewReason("auth.several_credentials", http.StatusBadRequest, titleSeveral)
	reasonFailed  = decision.NewReason("auth.failed", http.StatusServiceUnavailable, titleUnavailable)
)

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
}

// keyReasons are the refusals of API keys.
var keyReasons = map[error]*decision.Reason{
	apikey.ErrMalformed:   invalid("auth.key_malformed"),
	apikey.ErrUnknown:     invalid("auth.key_unknown"),
	apikey.ErrRevoked:     invalid("auth.key_revoked"),
	apikey.ErrExpired:     invalid("auth.key_expired"),
	apikey.ErrNotYetValid: invalid("auth.key_not_yet_valid"),
	apikey.ErrAddress:     invalid("auth.key_address"),
}

func invalid(code string) *decision.Reason {
	return decision.NewReason(code, http.StatusUnauthorized, titleInvalid)
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

func keyReason(err error) *decision.Reason {
	if reason := keyReasons[err]; reason != nil {
		return reason
	}
	return reasonFailed
}

// retryAfter is how many seconds a client should wait while we cannot judge.
const retryAfter = "5"

// challenges are the values of WWW-Authenticate (RFC 9110 section 11.6.1), one
// for each scheme of the handler in the order of its alternatives, made once.
type challenges struct {
	bare         []string
	invalidToken []string // the token that was sent is not valid
	badRequest   []string
}

// newChallenges compiles them. API keys have no registered scheme; ApiKey is
// what is commonly written, and 401 needs a challenge. Neither have certificates:
// Mutual (RFC 8120) is about passwords.
func newChallenges(alternatives []Alternative) challenges {
	var c challenges
	seen := make(map[string]bool)
	for _, a := range alternatives {
		scheme := "ApiKey"
		switch {
		case a.JWT != nil:
			scheme = "Bearer"
		case a.MTLS != nil:
			scheme = "ClientCertificate"
		}
		if seen[scheme] {
			continue
		}
		seen[scheme] = true
		bare := scheme + ` realm="api"`
		c.bare = append(c.bare, bare)
		if scheme == "Bearer" {
			// RFC 6750 section 3.1.
			c.invalidToken = append(c.invalidToken, bare+`, error="invalid_token"`)
			c.badRequest = append(c.badRequest, bare+`, error="invalid_request"`)
			continue
		}
		c.invalidToken = append(c.invalidToken, bare)
	}
	return c
}

// set writes the headers that belong to a refusal for reason. They are copies:
// Caddy's header directive replaces values in place.
func (c *challenges) set(h http.Header, reason *decision.Reason, token bool) {
	values := c.bare
	switch {
	case reason.Status == http.StatusServiceUnavailable:
		h["Retry-After"] = []string{retryAfter}
		return
	case reason.Status == http.StatusBadRequest:
		values = c.badRequest
	case token:
		values = c.invalidToken
	}
	if len(values) > 0 {
		h["Www-Authenticate"] = slices.Clone(values)
	}
}
