package auth

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/keysets"
)

const wordIAP = "gcp_iap"

// What Google documents: docs.cloud.google.com/iap/docs/signed-headers-howto.
const (
	iapHeader = "X-Goog-Iap-Jwt-Assertion"
	iapIssuer = "https://cloud.google.com/iap"
	iapKeys   = "https://www.gstatic.com/iap/verify/public_key-jwk"
	iapSkew   = 30 * time.Second
	iapLife   = 10*time.Minute + 2*iapSkew
)

// GCPIAP accepts users whom Google's Identity-Aware Proxy authenticated, as the
// balancer of Google Cloud (trusted_proxies elb gcp_alb) says in
// X-Goog-Iap-Jwt-Assertion. The caller's id is the claim sub, such as
// accounts.google.com:1234; email is a claim.
type GCPIAP struct {
	// Audience are the resources whose users are accepted:
	// /projects/<number>/global/backendServices/<id>,
	// /projects/<number>/regions/<region>/backendServices/<id> or
	// /projects/<number>/apps/<project>. Required: every user of IAP in the world has
	// a valid assertion for something.
	Audience []string `json:"audience,omitempty"`

	ClaimsOf

	// JWKS is where the keys are. Default: Google's URL.
	JWKS *keysets.Fetch `json:"jwks,omitempty"`
}

var iapAudience = regexp.MustCompile(`^/projects/[0-9]+/((global|regions/[a-z0-9-]+)/backendServices/[0-9]+|apps/[a-z0-9:.-]+)$`)

func parseIAPAudience(s string) (string, error) {
	if !iapAudience.MatchString(s) {
		return "", errors.New("not /projects/<number>/global/backendServices/<id>, /projects/<number>/regions/<region>/backendServices/<id> or /projects/<number>/apps/<project>")
	}
	return s, nil
}

func (*GCPIAP) scheme() string { return schemeAssertion }

func (*GCPIAP) claims(t taken) []error {
	return []error{t.once(wordIAP, wordIAP+" is"), t.place(source{inHeader, iapHeader}, wordIAP)}
}

func (g *GCPIAP) check() []error {
	return in(wordIAP, append(g.faults(), g.gaps(len(g.Audience) > 0)...))
}

func (g *GCPIAP) gaps(audience bool) []error {
	if !audience {
		return []error{errors.New("audience is missing: the users of every other project would be accepted")}
	}
	return nil
}

func (g *GCPIAP) faults() []error {
	errs := append(g.ClaimsOf.faults(), checkFetch(g.JWKS)...)
	for _, audience := range g.Audience {
		if _, err := parseIAPAudience(audience); err != nil {
			errs = append(errs, fmt.Errorf("audience %s: %w", audience, err))
		}
	}
	return errs
}

func (g *GCPIAP) unmarshal(o *caddyfile.Dispenser) error {
	block, audience := *o, false
	err := read.Block(o, []string{"audience"}, func(o *caddyfile.Dispenser) error {
		if ok, err := g.ClaimsOf.option(o); ok {
			return err
		}
		switch o.Val() {
		case "audience":
			audience = true
			return read.Values(o, parseIAPAudience, &g.Audience)
		case "jwks":
			g.JWKS = new(keysets.Fetch)
			return g.JWKS.Unmarshal(o, false)
		}
		return read.Unknown(o, append([]string{"audience", "jwks"}, claimOptions...)...)
	})
	return errors.Join(err, located(block, in(wordIAP, g.gaps(audience))))
}

func (g *GCPIAP) open(b *builder) error {
	keys, err := fetchedKeys(b, g.JWKS, iapKeys)
	if err != nil {
		return fmt.Errorf("%s: %w", wordIAP, err)
	}
	a, err := signed(iapHeader, jwt.Issuer{
		Name: iapIssuer, Audiences: g.Audience, Algorithms: []string{"ES256"}, Keys: keys, Leeway: iapSkew,
		ScopesClaims: claimPaths(g.ScopesClaim, ""), RolesClaims: claimPaths(g.RolesClaim, ""), TierClaim: g.TierClaim,
		Method: wordIAP, Judge: judgeIAP, Revocations: b.revoked(),
	})
	if err != nil {
		return fmt.Errorf("%s: %w", wordIAP, err)
	}
	return b.stand(wordIAP, "gcp_alb", a)
}

var errIAPLife = &jwt.Failure{Kind: jwt.ClaimsInvalid, Detail: "iat is missing, or the assertion lives longer than Google's do"}

// judgeIAP demands the dates that Google's assertions have.
func judgeIAP(claims map[string]any) (string, error) {
	iat, err := jwt.NumericDate(claims["iat"])
	if err != nil {
		return "", errIAPLife
	}
	exp, err := jwt.NumericDate(claims["exp"])
	if err != nil || exp.Sub(iat) > iapLife {
		return "", errIAPLife
	}
	sub, _ := claims["sub"].(string)
	return sub, nil
}
