package suite

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
)

// The phases of a gateway's exit, as the metric shows them.
const (
	phaseServing  = iota // not exiting
	phaseDraining        // not ready, responses ask clients to leave, new requests are served
	phaseClosing         // no new connection is accepted, requests under way are finished
	phaseDrained         // nothing is under way
)

var (
	drainPhase = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: metric.Namespace,
		Name:      "drain_phase",
		Help:      "Phase of the gateway's exit: 0 serving, 1 draining (not ready, still serving), 2 closing (finishing), 3 drained.",
	})
	inFlight = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: metric.Namespace,
		Name:      "requests_in_flight",
		Help:      "Requests under way, upgraded connections such as WebSockets included.",
	}, func() float64 { return float64(requests.Load()) })

	// Collectors are the metrics of the package.
	Collectors = []prometheus.Collector{drainPhase, inFlight}
)

// requests are those under way in the whole process: an exit waits for those of
// earlier configurations too.
var requests atomic.Int64

// RequestStarted counts a request as under way until RequestEnded.
func (c *Config) RequestStarted() {
	c.requests.Add(1)
	requests.Add(1)
}

// RequestEnded takes back one RequestStarted.
func (c *Config) RequestEnded() {
	c.requests.Add(-1)
	requests.Add(-1)
}

// underWay is what an exit waits for.
func (c *Config) underWay() int64 {
	if c.replaced {
		return c.requests.Load() // others are the next configuration's, which still serves
	}
	return requests.Load()
}

// Exit begins the process's exit: from now on the gateway is not ready and its
// responses ask clients to leave. Requests are served as before until Closing.
// replaced says that another configuration is in force already.
func (c *Config) Exit(logger *zap.Logger, delay, grace time.Duration, replaced bool) {
	c.logger, c.replaced = logger, replaced
	c.exiting.Store(true)
	c.draining.Store(true)
	drainPhase.Set(phaseDraining)
	logger.Info("draining: not ready any more; new requests are served for the shutdown delay",
		zap.Duration("shutdown_delay", delay), zap.Duration("grace_period", grace), zap.Int64("requests_in_flight", c.underWay()))
}

// Closing says that a server accepts no new connections. Register it with
// caddyhttp.Server.RegisterOnShutdown.
func (c *Config) Closing() {
	if !c.exiting.Load() || !c.closing.CompareAndSwap(false, true) {
		return
	}
	drainPhase.Set(phaseClosing)
	c.logger.Info("closing: requests under way get the grace period", zap.Int64("requests_in_flight", c.underWay()))
}

// WaitForRequests waits until no request is under way, at most until ctx ends
// with the grace period. net/http does not wait for upgraded connections, which
// the process's end would cut. Register it with
// caddyhttp.Server.RegisterOnStop.
func (c *Config) WaitForRequests(ctx context.Context) error {
	if !c.exiting.Load() || !c.waited.CompareAndSwap(false, true) {
		return nil
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for c.underWay() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			c.logger.Warn("the grace period is over; requests under way are cut", zap.Int64("requests_in_flight", c.underWay()))
			return nil
		}
	}
	drainPhase.Set(phaseDrained)
	c.logger.Info("drained: no request is under way")
	return nil
}
