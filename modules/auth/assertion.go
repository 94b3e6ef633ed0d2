package auth

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwks"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/keysets"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

// schemeAssertion is the authentication scheme of what balancers say. A client cannot
// send it, but a 401 has to have a challenge (RFC 9110 section 11.6.1).
const schemeAssertion = "BalancerAssertion"

// assertion is what a trusted balancer says about the caller in a header that it adds
// to each request.
type assertion struct {
	header string // canonical; one of the identity headers
	verify func(ctx context.Context, value string, now time.Time) (*principal.Principal, *decision.Reason, error)
}

// judge implements standing. From anybody but the balancer the header says nothing,
// and the backend never gets it.
func (a *assertion) judge(r *http.Request, held http.Header, now time.Time) outcome {
	if seen := edge.From(r); seen == nil || !seen.Balanced {
		return outcome{reason: reasonNone}
	}
	lines := held[a.header]
	switch len(lines) {
	case 0:
		return outcome{reason: reasonNone}
	case 1:
	default:
		return outcome{reason: reasonSeveral}
	}
	who, reason, err := a.verify(r.Context(), lines[0], now)
	return outcome{who: who, reason: reason, cause: err}
}

// stand adds a as a standing credential, if the server stands behind a balancer of the
// vendor's: only its connections can bring one. Alone it would refuse every caller.
func (b *builder) stand(word, vendor string, a *assertion) error {
	around, err := edge.Of(b.ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", word, err)
	}
	if around.Vendor() == vendor {
		b.attach(a)
		return nil
	}
	why := "only that balancer can say who calls, and this server does not stand behind one: trusted_proxies elb " + vendor
	if len(b.Alternatives) == 1 {
		return fmt.Errorf("%s would refuse every caller: %s", word, why)
	}
	// The same alternatives for sites on several servers, as in a snippet. An all
	// group needs every member all the same.
	b.attach(absent{})
	b.Logger().Warn(word+" accepts nobody here: "+why, zap.String("site", b.Site()))
	return nil
}

// absent is a standing credential that no request has.
type absent struct{}

func (absent) judge(*http.Request, http.Header, time.Time) outcome {
	return outcome{reason: reasonNone}
}

// assertionReasons are the refusals of signed assertions.
var (
	assertionMalformed = invalid("auth.assertion_malformed")
	assertionSigner    = invalid("auth.assertion_signer")
	assertionClient    = invalid("auth.assertion_client")
	assertionIssuer    = invalid("auth.assertion_issuer")
	assertionKey       = invalid("auth.assertion_key")
	assertionSignature = invalid("auth.assertion_signature")
	assertionClaims    = invalid("auth.assertion_claims")
	assertionAudience  = invalid("auth.assertion_audience")
	assertionExpired   = invalid("auth.assertion_expired")
	assertionEarly     = invalid("auth.assertion_not_yet_valid")
)

// reasonsOfJWT are the refusals of assertions that are ordinary tokens.
var reasonsOfJWT = map[jwt.Kind]*decision.Reason{
	jwt.Malformed:         assertionMalformed,
	jwt.UnsupportedHeader: assertionMalformed,
	jwt.IssuerUnknown:     assertionIssuer,
	jwt.AlgorithmRefused:  assertionMalformed,
	jwt.KeyUnknown:        assertionKey,
	jwt.SignatureInvalid:  assertionSignature,
	jwt.ClaimsInvalid:     assertionClaims,
	jwt.AudienceMismatch:  assertionAudience,
	jwt.Expired:           assertionExpired,
	jwt.NotYetValid:       assertionEarly,
}

// signed returns what judges the header with the verifier of ordinary tokens.
func signed(header string, issuer jwt.Issuer) (*assertion, error) {
	verifier, err := jwt.NewVerifier(issuer)
	if err != nil {
		return nil, err
	}
	return &assertion{header, func(ctx context.Context, value string, now time.Time) (*principal.Principal, *decision.Reason, error) {
		token, err := verifier.Verify(ctx, value, now)
		if err == nil {
			return token.Principal, nil, nil
		}
		reason := tokenReason(err)
		if failure, ok := err.(*jwt.Failure); ok && reasonsOfJWT[failure.Kind] != nil {
			reason = reasonsOfJWT[failure.Kind]
		}
		return nil, reason, err
	}}, nil
}

// ClaimsOf is which claims of an assertion say what the caller may do.
type ClaimsOf struct {
	// ScopesClaim is the claim with the scopes, as in JWT. Default: none.
	ScopesClaim string `json:"scopes_claim,omitempty"`

	// RolesClaim is the claim with the roles, as in JWT. Default: none.
	RolesClaim string `json:"roles_claim,omitempty"`

	// TierClaim is the claim with the class of service. Default: none.
	TierClaim string `json:"tier_claim,omitempty"`
}

// claimOptions are the words of ClaimsOf.
var claimOptions = []string{"scopes_claim", "roles_claim", "tier_claim"}

// option reads one of claimOptions.
func (c *ClaimsOf) option(o *caddyfile.Dispenser) (bool, error) {
	switch o.Val() {
	case "scopes_claim":
		return true, read.Value(o, parseClaimPath, &c.ScopesClaim)
	case "roles_claim":
		return true, read.Value(o, parseClaimPath, &c.RolesClaim)
	case "tier_claim":
		return true, read.Value(o, parseClaimPath, &c.TierClaim)
	}
	return false, nil
}

func (c *ClaimsOf) faults() []error {
	var errs []error
	for _, path := range []string{c.ScopesClaim, c.RolesClaim, c.TierClaim} {
		if path != "" {
			if _, err := parseClaimPath(path); err != nil {
				errs = append(errs, fmt.Errorf("claim %s: %w", path, err))
			}
		}
	}
	return errs
}

// claimPaths is the list of a path, or of its default, or of none.
func claimPaths(path, byDefault string) []string {
	if path = cmp.Or(path, byDefault); path == "" {
		return nil
	}
	return []string{path}
}

// in prefixes the errors with the word of a method.
func in(word string, errs []error) []error {
	for i, err := range errs {
		errs[i] = fmt.Errorf("%s: %w", word, err)
	}
	return errs
}

// fetchedKeys takes a share of the key set where f says, or at the default.
func fetchedKeys(b *builder, f *keysets.Fetch, byDefault string) (jwt.KeySource, error) {
	from := jwks.Config{URL: byDefault}
	if f != nil {
		var err error
		if from, err = f.Config(""); err != nil {
			return nil, err
		}
	}
	source, held, err := keysets.Fetched(b.ctx, b.Suite(), "auth", from)
	b.hold(held)
	return source, err
}

// checkFetch returns what is wrong with where keys are.
func checkFetch(f *keysets.Fetch) []error {
	if f == nil {
		return nil
	}
	if err := f.Check(""); err != nil {
		return []error{fmt.Errorf("jwks: %w", err)}
	}
	return nil
}

// reporter is a method whose balancer writes headers that need not be among those that
// are removed from all requests.
type reporter interface {
	reported() []string
}

// removed are the headers that are removed beside the built-in list.
func (h *Handler) removed() []string {
	list := slices.Clone(h.IdentityHeaders)
	for _, m := range h.given() {
		if r, ok := m.(reporter); ok {
			list = append(list, r.reported()...)
		}
	}
	return list
}

// isLabel reports whether s can be one label of a host's name (RFC 1123 section 2.1).
func isLabel(s string) bool {
	return s != "" && len(s) <= 63 && s[0] != '-' && s[len(s)-1] != '-' &&
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
