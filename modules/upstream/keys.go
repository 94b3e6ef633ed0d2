package upstream

import (
	"context"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/internal/lease"
	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
	"github.com/sallyport-gateway/sallyport/modules/upstream/keyring"
)

// jwksPath is where the health directive serves the public keys.
const jwksPath = "/.well-known/sallyport/jwks.json"

// rings holds the one ring of the process: a configuration has one storage.
var rings = lease.NewPool[sharedRing]()

// ringInUse is the ring in rings, for the metrics.
var ringInUse atomic.Pointer[keyring.Ring]

type sharedRing struct{ *keyring.Ring }

func (r sharedRing) Close() error {
	ringInUse.CompareAndSwap(r.Ring, nil)
	return r.Ring.Close()
}

// takeRing takes a share of the ring, and publishes it. The ring uses the storage of
// the configuration that started last.
func takeRing(ctx caddy.Context, config *suite.Config) (*lease.Lease[sharedRing], error) {
	share, err := rings.Take(jwksPath, func() (sharedRing, error) {
		ring := keyring.New(reportKeys)
		ringInUse.Store(ring)
		return sharedRing{ring}, nil
	})
	if err != nil {
		return nil, err
	}
	ring := share.Value().Ring
	config.Ready("assertion keys", ring.Ready)
	config.Publish(jwksPath, published{ring})
	type attached struct{}
	config.Once(attached{}, func() any {
		var events any
		if events, err = ctx.App("events"); err == nil {
			err = events.(*caddyevents.App).On("started", attacher{ring, ctx.Storage()})
		}
		return nil
	})
	return share, err
}

// attacher gives a ring the storage of a configuration that has started: one that is
// only validated, or rejected, must not touch it.
type attacher struct {
	ring    *keyring.Ring
	storage keyring.Storage
}

// Handle implements caddyevents.Handler.
func (a attacher) Handle(context.Context, caddy.Event) error {
	a.ring.Attach(a.storage)
	return nil
}

// published serves the public keys of a ring.
type published struct{ ring *keyring.Ring }

func (p published) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	jwks := p.ring.JWKS()
	if jwks == nil {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "public, max-age="+strconv.Itoa(int(keyring.TTL/time.Second)))
	_, _ = w.Write(jwks)
}

var rotationFailures = prometheus.NewCounter(prometheus.CounterOpts{
	Namespace: metric.Namespace,
	Name:      "assertion_rotation_failures_total",
	Help:      "Looks at the storage for the signing keys of assertions that failed.",
})

// reportKeys counts and logs what the ring found: each turn once.
func reportKeys(e keyring.Event) {
	log := caddy.Log().Named("upstream.assertion").With(zap.Int("keys", e.Keys), zap.String("signing", e.Signing))
	if e.Err != nil {
		rotationFailures.Inc()
	}
	switch {
	case e.Turned && e.Err != nil && e.Keys == 0:
		log.Error("there are no signing keys: requests are refused until the storage can be used", zap.Error(e.Err))
	case e.Turned && e.Err != nil:
		log.Warn("the signing keys could not be read or rotated: the known ones stay in use", zap.Error(e.Err))
	case e.Turned:
		log.Info("the storage of the signing keys can be used again")
	case e.Changed:
		log.Info("the signing keys have changed")
	}
}

// keyAge is collected only while there is a key.
type keyAge struct{ desc *prometheus.Desc }

var keyAges = keyAge{prometheus.NewDesc(metric.Namespace+"_assertion_key_age_seconds",
	"For how long the signing key of assertions has been in use.", nil, nil)}

// Describe implements prometheus.Collector.
func (k keyAge) Describe(to chan<- *prometheus.Desc) { to <- k.desc }

// Collect implements prometheus.Collector.
func (k keyAge) Collect(to chan<- prometheus.Metric) {
	ring := ringInUse.Load()
	if ring == nil {
		return
	}
	now := time.Now()
	if key, since := ring.Signer(now); key != nil {
		to <- prometheus.MustNewConstMetric(k.desc, prometheus.GaugeValue, max(0, now.Sub(since).Seconds()))
	}
}

// Interface guards
var (
	_ http.Handler         = published{}
	_ caddyevents.Handler  = attacher{}
	_ prometheus.Collector = keyAge{}
)
