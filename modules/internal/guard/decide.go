package guard

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
	"github.com/sallyport-gateway/sallyport/modules/internal/event"
	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

// The verdicts of a guard.
const (
	verdictAllow     = "allow"
	verdictDeny      = "deny"
	verdictWouldDeny = "would_deny"
)

// decisions counts what guards decide. site and guard are configured names, and
// reason is one of decision.Reasons.
var decisions = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: metric.Namespace,
	Name:      "decisions_total",
	Help:      "Decisions of the guards by site, guard, verdict (allow, deny, would_deny) and reason.",
}, []string{"site", "guard", "verdict", "reason"})

var (
	reasonEarlyData      = decision.NewReason("client.early_data", http.StatusTooEarly, "The connection is not established yet.")
	reasonAddressUnknown = decision.NewReason("client.address_unknown", http.StatusBadRequest, "The address of the client is not established.")
)

type refusal struct {
	site, guard string
	dryRun      bool
	rule        string // the configured name of the rule that refuses, if one does
	reason      *decision.Reason
	cause       error
	logger      *zap.Logger
	events      *event.Sink
}

// refuse records a refusal and returns the error for Caddy's error chain, or nil
// in a dry run. The access log and the event have one id for it.
func refuse(r *http.Request, f refusal) error {
	verdict := verdictDeny
	if f.dryRun {
		verdict = verdictWouldDeny
	}
	decisions.WithLabelValues(f.site, f.guard, verdict, f.reason.Code).Inc()
	id := event.NewID()
	if extra, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		extra.Add(zap.String("guard", f.guard))
		extra.Add(zap.String("verdict", verdict))
		extra.Add(zap.String("reason", f.reason.Code))
		extra.Add(zap.String("decision", id))
	}
	if f.events != nil {
		f.events.Emit(eventOf(r, &f, verdict, id))
	}
	if c := f.logger.Check(zap.DebugLevel, "refused"); c != nil {
		c.Write(zap.String("guard", f.guard), zap.String("verdict", verdict), zap.String("reason", f.reason.Code),
			zap.String("rule", f.rule), zap.String("request_id", decision.RequestID(r)), zap.Error(f.cause))
	}
	if f.dryRun {
		return nil
	}
	// The literal instead of caddyhttp.Error, which walks the stack and draws a
	// random id for each refusal.
	refusal := &decision.Refusal{Reason: f.reason}
	refusal.Detail, _ = f.cause.(*decision.Detail)
	return caddyhttp.HandlerError{StatusCode: f.reason.Status, Err: refusal}
}

// eventOf describes a refusal by what was established about r, and by what the
// client sent where nothing was.
func eventOf(r *http.Request, f *refusal, verdict, id string) event.Event {
	sent := original(r)
	e := event.Event{
		Time: time.Now(), Decision: id, Verdict: verdict, Guard: f.guard, Rule: f.rule, Reason: f.reason.Code, Status: f.reason.Status,
		Site: f.site, Method: sent.Method, Path: sent.URL.EscapedPath(), RequestID: decision.RequestID(r),
	}
	if req := From(r); req != nil {
		e.Client = req.Client
		if req.Principal != nil {
			e.Principal = req.Principal.ID
			e.KeyID, e.TokenID = credentialOf(req.Principal)
		}
	}
	if seen := edge.From(r); seen != nil {
		e.Trace = seen.Trace
	}
	return e
}

// credentialOf is what names the caller's credential and is none: the id of its key,
// or the jti of its token.
func credentialOf(p *principal.Principal) (keyID, tokenID string) {
	if p.Method == "api_key" {
		keyID, _ = p.Claims["key_id"].(string)
	} else {
		tokenID, _ = p.Claims["jti"].(string)
	}
	return keyID, tokenID
}
