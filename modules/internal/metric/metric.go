// Package metric registers the suite's Prometheus collectors. Caddy has a new
// registry for each configuration, and counters have to outlive a reload: so
// collectors are variables of their package, live as long as the process, and
// are registered again at each Provision.
//
// Labels are taken only from configured names, never from requests: a caller
// must not be able to grow a metric, nor to read a key in one.
package metric

import (
	"errors"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// Namespace is the first word of every metric of the suite.
const Namespace = "sallyport"

// Register adds collectors to the registry of the configuration being
// provisioned. A collector that another module instance registered already is
// not an error.
func Register(ctx caddy.Context, collectors ...prometheus.Collector) error {
	registry := ctx.GetMetricsRegistry()
	if registry == nil {
		return nil
	}
	var errs []error
	for _, c := range collectors {
		err := registry.Register(c)
		if already := (prometheus.AlreadyRegisteredError{}); errors.As(err, &already) {
			continue
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
