package auth

import (
	"net/http"
	"slices"

	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
)

// What callers are told. What exactly is wrong with a credential is for metrics
// and logs: to a guesser it would be a hint.
const (
	titleRequired    = "Authentication is required."
	titleInvalid     = "The credential is not valid."
	titleSeveral     = "The request has more than one credential."
	titleUnavailable = "Authentication is not possible at the moment."
	titleTooMany     = "There were too many failed attempts to authenticate."
)

var (
	reasonNone    = decision.NewReason("auth.no_credential", http.StatusUnauthorized, titleRequired)
	reasonSeveral = decision.NewReason("auth.several_credentials", http.StatusBadRequest, titleSeveral)
	// reasonIncomplete is for a group with a member missing. To a caller it is as if
	// one were wrong: members could be guessed one by one otherwise.
	reasonIncomplete = invalid("auth.incomplete")
	reasonTooMany    = decision.NewReason("auth.too_many_failures", http.StatusTooManyRequests, titleTooMany)
	reasonFailed     = decision.NewReason("auth.failed", http.StatusServiceUnavailable, titleUnavailable)
)

func invalid(code string) *decision.Reason {
	return decision.NewReason(code, http.StatusUnauthorized, titleInvalid)
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

// schemeBearer is the scheme of tokens (RFC 6750 section 2.1).
const schemeBearer = "Bearer"

// newChallenges compiles them.
func newChallenges(methods []method) challenges {
	var c challenges
	seen := make(map[string]bool)
	for _, m := range methods {
		scheme := m.scheme()
		if seen[scheme] {
			continue
		}
		seen[scheme] = true
		bare := scheme + ` realm="api"`
		c.bare = append(c.bare, bare)
		if scheme == schemeBearer {
			// RFC 6750 section 3.1.
			c.invalidToken = append(c.invalidToken, bare+`, error="invalid_token"`)
			c.badRequest = append(c.badRequest, bare+`, error="invalid_request"`)
			continue
		}
		c.invalidToken = append(c.invalidToken, bare)
	}
	return c
}

// set writes the headers that belong to a refusal. They are copies: Caddy's header
// directive replaces values in place.
func (c *challenges) set(h http.Header, o *outcome) {
	values := c.bare
	switch {
	case o.reason == reasonTooMany:
		h["Retry-After"] = []string{seconds(o.wait)}
		return
	case o.reason.Status == http.StatusServiceUnavailable:
		h["Retry-After"] = []string{retryAfter}
		return
	case o.reason.Status == http.StatusBadRequest:
		values = c.badRequest
	case o.token:
		// Whatever is wrong: which of several credentials it is would be a hint.
		values = c.invalidToken
	}
	if len(values) > 0 {
		h["Www-Authenticate"] = slices.Clone(values)
	}
}
