package upstream

import (
	"errors"
	"net/http"

	"github.com/sallyport-gateway/sallyport/modules/internal/access"
	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/upstream/assertion"
)

// Callers are not told what was wrong with an assertion, and not what a rule asks.
const (
	titleNotGateway = "The request did not come through the gateway."
	titleNotJudged  = "Whether the request came through the gateway cannot be judged at the moment."
	titleAccess     = "This caller may not make this request."
)

var (
	reasonMissing     = decision.NewReason("verify_gateway.missing", http.StatusUnauthorized, titleNotGateway)
	reasonReplay      = decision.NewReason("verify_gateway.replay", http.StatusUnauthorized, titleNotGateway)
	reasonUsesUnknown = decision.NewReason("verify_gateway.uses_unknown", http.StatusServiceUnavailable, titleNotJudged)
)

// reasons are the refusals by kind.
var reasons = [assertion.Kinds]*decision.Reason{
	assertion.Malformed:       decision.NewReason("verify_gateway.malformed", http.StatusUnauthorized, titleNotGateway),
	assertion.Header:          decision.NewReason("verify_gateway.header", http.StatusUnauthorized, titleNotGateway),
	assertion.Algorithms:      decision.NewReason("verify_gateway.algorithm", http.StatusUnauthorized, titleNotGateway),
	assertion.KeysUnavailable: decision.NewReason("verify_gateway.keys_unavailable", http.StatusServiceUnavailable, titleNotJudged),
	assertion.KeyUnknown:      decision.NewReason("verify_gateway.key", http.StatusUnauthorized, titleNotGateway),
	assertion.Signature:       decision.NewReason("verify_gateway.signature", http.StatusUnauthorized, titleNotGateway),
	assertion.Issuer:          decision.NewReason("verify_gateway.issuer", http.StatusUnauthorized, titleNotGateway),
	assertion.Audience:        decision.NewReason("verify_gateway.audience", http.StatusUnauthorized, titleNotGateway),
	assertion.Claims:          decision.NewReason("verify_gateway.claims", http.StatusUnauthorized, titleNotGateway),
	assertion.Expired:         decision.NewReason("verify_gateway.expired", http.StatusUnauthorized, titleNotGateway),
	assertion.NotYetValid:     decision.NewReason("verify_gateway.not_yet_valid", http.StatusUnauthorized, titleNotGateway),
	assertion.Lifetime:        decision.NewReason("verify_gateway.lifetime", http.StatusUnauthorized, titleNotGateway),
	assertion.Method:          decision.NewReason("verify_gateway.method", http.StatusUnauthorized, titleNotGateway),
	assertion.Path:            decision.NewReason("verify_gateway.path", http.StatusUnauthorized, titleNotGateway),
	assertion.Query:           decision.NewReason("verify_gateway.query", http.StatusUnauthorized, titleNotGateway),
}

// ruleReasons are the refusals of rules, by verdict.
var ruleReasons = [...]*decision.Reason{
	access.NotAllowed:    decision.NewReason("verify_gateway.rule_not_allowed", http.StatusForbidden, titleAccess),
	access.Denied:        decision.NewReason("verify_gateway.rule_denied", http.StatusForbidden, titleAccess),
	access.NoPrincipal:   decision.NewReason("verify_gateway.rule_no_principal", http.StatusForbidden, titleAccess),
	access.MissingScope:  decision.NewReason("verify_gateway.rule_scope", http.StatusForbidden, titleAccess),
	access.MissingRole:   decision.NewReason("verify_gateway.rule_role", http.StatusForbidden, titleAccess),
	access.MissingIssuer: decision.NewReason("verify_gateway.rule_issuer", http.StatusForbidden, titleAccess),
	access.MissingMethod: decision.NewReason("verify_gateway.rule_method", http.StatusForbidden, titleAccess),
	access.MissingTier:   decision.NewReason("verify_gateway.rule_tier", http.StatusForbidden, titleAccess),
	access.MissingClaim:  decision.NewReason("verify_gateway.rule_claim", http.StatusForbidden, titleAccess),

	access.UnmetExpression: reasonExpression, access.FailedExpression: reasonExpression,
}

var reasonExpression = decision.NewReason("verify_gateway.rule_expression", http.StatusForbidden, titleAccess)

var errSeveral = errors.New("more than one assertion")

func reasonOf(err error) *decision.Reason {
	var failure *assertion.Failure
	if errors.As(err, &failure) {
		return reasons[failure.Kind]
	}
	return reasons[assertion.Malformed]
}

// ruleName is the rule that refused, as the cause in the debug log.
type ruleName string

func (n ruleName) Error() string {
	if n == "" {
		return "no rule names the request"
	}
	return "rule " + string(n)
}
