package app

import (
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/app/policy"
	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
)

var (
	policyInfo = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: metric.Namespace,
		Name:      "policy_info",
		Help:      "1 for the digest of the configuration in force and the files it names.",
	}, []string{"digest"})

	collectors = []prometheus.Collector{policyInfo, changesRefused}
)

// policyShown is the digest that the metric has.
var policyShown atomic.Pointer[string]

// identify digests the configuration that is being loaded. There is none in
// Caddy's hands when it only validates.
func (a *App) identify() {
	config := configLoading["config"]
	if config == nil {
		return
	}
	a.policyMu.Lock()
	defer a.policyMu.Unlock()
	a.policy = policy.Compute(config, fileName)
}

func (a *App) digest() string {
	a.policyMu.Lock()
	defer a.policyMu.Unlock()
	return a.policy.Digest
}

// reread has the digest follow a file that is read while the configuration is in
// force, also while that is sealed: a key that was withdrawn must not stay.
func (a *App) reread(path string) {
	a.policyMu.Lock()
	defer a.policyMu.Unlock()
	before := a.policy.Digest
	if before == "" {
		return
	}
	a.policy = a.policy.Reread(path, fileName)
	if a.policy.Digest == before {
		return
	}
	a.suite.SetPolicy(a.policy.Digest)
	if shown := policyShown.Load(); shown != nil && *shown == before {
		a.logPolicy()
		_ = showPolicy(a.policy.Digest)
	}
}

// fileName resolves the placeholders of a file's name.
func fileName(name string) string {
	return caddy.NewReplacer().ReplaceKnown(name, "")
}

// announcePolicy says which policy has come into force and returns the digest of
// the one before.
func (a *App) announcePolicy() (before string) {
	a.policyMu.Lock()
	defer a.policyMu.Unlock()
	a.logPolicy()
	return showPolicy(a.policy.Digest)
}

func (a *App) logPolicy() {
	logger := a.ctx.Logger()
	if err := a.policy.Err(); err != nil {
		logger.Warn("the policy's digest is without files that cannot be read", zap.Error(err))
	}
	logger.Info("policy in force", zap.String("digest", a.policy.Digest),
		zap.Int("files", len(a.policy.Files)), zap.Bool("sealed", a.Seal))
}

// showPolicy makes digest the one of the metric and returns the one before.
func showPolicy(digest string) (before string) {
	if digest != "" {
		policyInfo.WithLabelValues(digest).Set(1)
	}
	if last := policyShown.Swap(&digest); last != nil {
		before = *last
	}
	if before != digest {
		policyInfo.DeleteLabelValues(before)
	}
	return before
}
