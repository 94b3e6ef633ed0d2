package auth

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/keysets"
)

const wordAccess = "cloudflare_access"

// accessHeader, and all about it that is checked here:
// developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/authorization-cookie/.
const accessHeader = "Cf-Access-Jwt-Assertion"

// CloudflareAccess accepts users and services that Cloudflare Access let through, as
// Cloudflare (trusted_proxies elb cloudflare) says in Cf-Access-Jwt-Assertion. Its
// cookie is not read. The caller's id is a user's sub, or the client id of a service
// token, which is the claim common_name; email is a claim of users alone.
type CloudflareAccess struct {
	// Team is the name of the team, as in https://<team>.cloudflareaccess.com.
	// Required.
	Team string `json:"team,omitempty"`

	// Audience are the AUD tags of the applications. Required: without, whoever may
	// use any other application of the team could use this one.
	Audience []string `json:"audience,omitempty"`

	ClaimsOf

	// JWKS is where the keys are. Default: the team's URL.
	JWKS *keysets.Fetch `json:"jwks,omitempty"`
}

func parseTeam(s string) (string, error) {
	if !isLabel(s) {
		return "", errors.New("not the name of a team: small letters, digits and hyphens, without .cloudflareaccess.com")
	}
	return s, nil
}

func (*CloudflareAccess) scheme() string { return schemeAssertion }

func (*CloudflareAccess) claims(t taken) []error {
	return []error{t.once(wordAccess, wordAccess+" is"), t.place(source{inHeader, accessHeader}, wordAccess)}
}

func (c *CloudflareAccess) check() []error {
	errs := append(c.ClaimsOf.faults(), checkFetch(c.JWKS)...)
	if _, err := parseTeam(c.Team); err != nil {
		errs = append(errs, fmt.Errorf("team %q: %w", c.Team, err))
	}
	for _, audience := range c.Audience {
		if err := checkNotEmpty(audience); err != nil {
			errs = append(errs, fmt.Errorf("audience %w", err))
		}
	}
	return in(wordAccess, append(errs, c.gaps(len(c.Audience) > 0)...))
}

func (c *CloudflareAccess) gaps(audience bool) []error {
	if !audience {
		return []error{errors.New("audience is missing: whoever may use another application of the team would be accepted")}
	}
	return nil
}

func (c *CloudflareAccess) unmarshal(o *caddyfile.Dispenser) error {
	block, audience := *o, false
	team := read.Value(o, parseTeam, &c.Team)
	err := read.Block(o, []string{"audience"}, func(o *caddyfile.Dispenser) error {
		if ok, err := c.ClaimsOf.option(o); ok {
			return err
		}
		switch o.Val() {
		case "audience":
			audience = true
			return read.Values(o, valid(checkNotEmpty), &c.Audience)
		case "jwks":
			c.JWKS = new(keysets.Fetch)
			return c.JWKS.Unmarshal(o, false)
		}
		return read.Unknown(o, append([]string{"audience", "jwks"}, claimOptions...)...)
	})
	return errors.Join(team, err, located(block, in(wordAccess, c.gaps(audience))))
}

func (c *CloudflareAccess) open(b *builder) error {
	issuer := "https://" + c.Team + ".cloudflareaccess.com"
	keys, err := fetchedKeys(b, c.JWKS, issuer+"/cdn-cgi/access/certs")
	if err != nil {
		return fmt.Errorf("%s: %w", wordAccess, err)
	}
	a, err := signed(accessHeader, jwt.Issuer{
		Name: issuer, Audiences: c.Audience, Algorithms: []string{"RS256"}, Keys: keys, Leeway: jwt.DefaultLeeway,
		ScopesClaims: claimPaths(c.ScopesClaim, ""), RolesClaims: claimPaths(c.RolesClaim, ""), TierClaim: c.TierClaim,
		Method: wordAccess, Judge: judgeAccess, Revocations: b.revoked(),
	})
	if err != nil {
		return fmt.Errorf("%s: %w", wordAccess, err)
	}
	return b.stand(wordAccess, "cloudflare", a)
}

var errAccessType = &jwt.Failure{Kind: jwt.ClaimsInvalid, Detail: "type is not app: it is the token of a session, for no application"}

// judgeAccess returns the user, or the service where there is none: then sub is
// there and empty.
func judgeAccess(claims map[string]any) (string, error) {
	if claims["type"] != any("app") {
		return "", errAccessType
	}
	sub, ok := claims["sub"].(string)
	if ok && sub == "" {
		sub, _ = claims["common_name"].(string)
	}
	return sub, nil
}
