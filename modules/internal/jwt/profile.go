package jwt

import (
	"strings"
)

// Type is a kind of token: what its typ header parameter may be and which claims it
// needs. Tokens of one kind must not serve as another (RFC 8725 section 3.11).
type Type string

const (
	// TypeAny takes every token whose typ does not say that it is for something
	// else: none, JWT, at+jwt, and names that are no media type of a JWT.
	// Everything else that ends in +jwt or the like is typed explicitly as
	// something else: logout+jwt, dpop+jwt, secevent+jwt, token-introspection+jwt,
	// client-authentication+jwt, oauth-authz-req+jwt, this suite's own assertions,
	// and whatever will be registered.
	TypeAny Type = "any"
	// TypeAccessToken takes access tokens as RFC 9068 has them: typ at+jwt, and the
	// claims iss, exp, aud, sub, client_id, iat and jti.
	TypeAccessToken Type = "access_token"
	// TypeIDToken takes ID tokens of OpenID Connect Core 1.0 section 2: typ JWT or
	// none, the claims iss, sub, aud, exp and iat, and azp where several audiences
	// are named.
	TypeIDToken Type = "id_token"
)

// Types are the names of the types.
func Types() []string {
	return []string{string(TypeAccessToken), string(TypeIDToken), string(TypeAny)}
}

// checkHeader judges the typ parameter.
func (t Type) checkHeader(p *parsed) error {
	name := mediaType(p.typ)
	ok := false
	switch t {
	case TypeAccessToken:
		ok = strings.EqualFold(name, "at+jwt")
	case TypeIDToken:
		ok = !p.hasType || strings.EqualFold(name, "JWT")
	default:
		ok = !p.hasType || strings.EqualFold(name, "at+jwt") || name != "" && !strings.ContainsAny(name, "+/")
	}
	if !ok {
		return errType
	}
	return nil
}

// mediaType returns typ without the prefix application/, which may be left out
// where no other slash follows (RFC 7515 section 4.1.9).
func mediaType(typ string) string {
	const prefix = "application/"
	if len(typ) > len(prefix) && strings.EqualFold(typ[:len(prefix)], prefix) && !strings.Contains(typ[len(prefix):], "/") {
		return typ[len(prefix):]
	}
	return typ
}

// checkClaims judges what the type demands of the claims, beside what all tokens
// need.
func (t Type) checkClaims(claims map[string]any, audiences map[string]bool) error {
	if isSecurityEvent(claims["events"]) {
		return errEvent
	}
	switch t {
	case TypeAccessToken:
		for _, name := range []string{"sub", "client_id", "jti"} {
			if s, ok := claims[name].(string); !ok || s == "" {
				return errIncomplete
			}
		}
		if _, ok := claims["iat"]; !ok {
			return errIncomplete
		}
	case TypeIDToken:
		if s, ok := claims["sub"].(string); !ok || s == "" {
			return errIncomplete
		}
		if _, ok := claims["iat"]; !ok {
			return errIncomplete
		}
		return checkAuthorizedParty(claims, audiences)
	}
	return nil
}

// checkAuthorizedParty demands that azp, for which an ID token was issued, is one of
// the expected audiences, and that it is there where aud names several.
func checkAuthorizedParty(claims map[string]any, audiences map[string]bool) error {
	azp, ok := claims["azp"]
	if !ok {
		if list, _ := claims["aud"].([]any); len(list) > 1 {
			return errParty
		}
		return nil
	}
	if name, _ := azp.(string); !audiences[name] {
		return errParty
	}
	return nil
}

// isSecurityEvent finds the claim that makes a token a security event token (RFC
// 8417 section 2.2), as logout tokens are, also where typ does not say so: an object
// whose names are URIs.
func isSecurityEvent(events any) bool {
	object, _ := events.(map[string]any)
	for name := range object {
		if !strings.Contains(name, ":") {
			return false
		}
	}
	return len(object) > 0
}
