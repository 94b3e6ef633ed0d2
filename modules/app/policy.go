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
	a.policy = policy.Compute(config, fileName)
}

// fileName resolves the placeholders of a file's name.
func fileName(name string) string {
	return caddy.NewReplacer().ReplaceKnown(name, "")
}

// announcePolicy says which policy has come into force and returns the digest of
// the one before.
func (a *App) announcePolicy() (before string) {
	logger := a.ctx.Logger()
	if err := a.policy.Err(); err != nil {
		logger.Warn("the policy's digest is without files that cannot be read", zap.Error(err))
	}
	logger.Info("policy in force", zap.String("digest", a.policy.Digest),
		zap.Int("files", len(a.policy.Files)), zap.Bool("sealed", a.Seal))
	return showPolicy(a.policy.Digest)
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
