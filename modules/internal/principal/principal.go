// Package principal is who the caller is, once auth has found out: one typed
// value that access rules, quotas, redaction and events decide on. Placeholders
// mirror it for users; nothing decides on a placeholder, because other handlers
// can overwrite those.
package principal

import "slices"

// Principal is an authenticated caller. It is shared between requests (one
// API key, one cached token) and must not be changed once it is in use.
type Principal struct {
	// ID names the caller: the token's subject, the API key's owner, the name in the
	// certificate.
	ID string
	// Issuer is who vouches for the caller: the token's issuer, the certificate's
	// authority, or empty.
	Issuer string
	// Method is how the caller was authenticated: "jwt", "api_key", "mtls", or by what a
	// balancer said: "aws_alb_oidc", "aws_alb_mtls", "gcp_iap" or "cloudflare_access".
	Method string
	// Scopes are what the caller was granted (RFC 6749 section 3.3).
	Scopes []string
	// Roles are what the caller is.
	Roles []string
	// Tier is the class of service, such as "gold"; empty if there is none.
	Tier string
	// Claims are the token's claims as decoded JSON with json.Number for numbers;
	// for an API key, its key_id; for a certificate, what it says.
	Claims map[string]any
}

// HasScope reports whether the caller was granted scope. Scopes are
// case-sensitive (RFC 6749 section 3.3). A nil Principal has none.
func (p *Principal) HasScope(scope string) bool {
	return p != nil && slices.Contains(p.Scopes, scope)
}

// HasRole reports whether the caller has role. A nil Principal has none.
func (p *Principal) HasRole(role string) bool {
	return p != nil && slices.Contains(p.Roles, role)
}
