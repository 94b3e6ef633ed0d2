package guard

import (
	"encoding/json"
	"net/http"
	"strings"
	"unicode"

	"github.com/caddyserver/caddy/v2"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

const userPrefix = "http.auth.user."

// Expose mirrors the principal of r to placeholders, looked up when one is used:
// setting a value for each claim would cost every request. It is there for every
// request, also an anonymous one: `header_up X-User {http.auth.user.id}` would
// otherwise send the placeholder's name as that of a user.
func Expose(r *http.Request) {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return
	}
	repl.Map(func(key string) (any, bool) {
		name, ok := strings.CutPrefix(key, userPrefix)
		if !ok {
			return nil, false
		}
		var who *principal.Principal
		if req := From(r); req != nil {
			who = req.Principal
		}
		return placeholder(who, name)
	})
}

// placeholder is the text of one placeholder, empty for an anonymous caller.
// Lists that may contain any character are JSON: joined with commas, the one role
// "user,admin" would become two.
func placeholder(p *principal.Principal, name string) (any, bool) {
	if p == nil {
		p = new(principal.Principal)
	}
	switch name {
	case "id":
		return p.ID, true
	case "issuer":
		return p.Issuer, true
	case "method":
		return p.Method, true
	case "scopes":
		return strings.Join(p.Scopes, " "), true
	case "roles":
		if len(p.Roles) == 0 {
			return "", true
		}
		return text(p.Roles), true
	case "tier":
		return p.Tier, true
	}
	path, ok := strings.CutPrefix(name, "claims.")
	if !ok {
		return nil, false
	}
	return text(jwt.Claim(p.Claims, path)), true
}

// Metadata is what placeholders show of p beside its id and its claims.
func Metadata(p *principal.Principal) map[string]string {
	metadata := make(map[string]string)
	for _, name := range []string{"issuer", "method", "scopes", "roles", "tier"} {
		value, _ := placeholder(p, name)
		metadata[name], _ = value.(string)
	}
	return metadata
}

// text is a claim's value: strings as they are, nothing for null and for what is
// not there, JSON for the rest, in which numbers stay as the issuer wrote them.
// Nothing as well where there is a control character in it: in a header it is not
// valid, so that the proxy would say of the backend that it failed.
func text(value any) string {
	var s string
	switch v := value.(type) {
	case nil:
	case string:
		s = v
	default:
		encoded, err := json.Marshal(value)
		if err != nil {
			return ""
		}
		s = string(encoded)
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return ""
	}
	return s
}
