package telemetry

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
	"github.com/sallyport-gateway/sallyport/modules/internal/timing"
)

// The buckets are fixed: the collectors live as long as the process, and two
// configurations could not have different ones.
var (
	// durationBuckets are those that OpenTelemetry's semantic conventions advise
	// for HTTP.
	durationBuckets = []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
	// phaseBuckets begin lower: a connection within a data centre takes less.
	phaseBuckets = append([]float64{.00025, .0005, .001, .0025}, durationBuckets...)
	// gatewayBuckets are for what takes microseconds when all is well.
	gatewayBuckets = []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1}
)

// site is a configured name in all of them, and so are the other labels: what a
// caller can write is not in any.
var (
	requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: metric.Namespace,
		Name:      "requests_total",
		Help:      "Requests that were answered, by site, method (_OTHER for those that no RFC defines) and class of the status.",
	}, []string{"site", "method", "code"})
	requestDuration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: metric.Namespace,
		Name:      "request_duration_seconds",
		Help:      "From the head of a request to the end of its handling, or to the upgrade of its connection.",
		Buckets:   durationBuckets,
	}, []string{"site"})
	gatewayDuration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: metric.Namespace,
		Name:      "gateway_duration_seconds",
		Help: "The gateway's own share of a request: what is left of it without waiting for the client and for the backend. " +
			"Requests that another transport than sallyport sent to a backend are left out.",
		Buckets: gatewayBuckets,
	}, []string{"site"})
	requestPhase = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: metric.Namespace,
		Name:      "request_phase_seconds",
		Help: "What a request waited for: connect, tls, send, wait and receive of the backend, client_read and client_write. " +
			"A phase that did not happen is left out.",
		Buckets: phaseBuckets,
	}, []string{"site", "phase"})

	collectors = []prometheus.Collector{requests, requestDuration, gatewayDuration, requestPhase}
)

// methods are the values of the label, the last for all others.
var methods = [...]string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodOptions, http.MethodConnect, http.MethodTrace, "_OTHER",
}

// classes are the values of the label code.
var classes = [...]string{"1xx", "2xx", "3xx", "4xx", "5xx"}

// siteMeter observes the requests of one site. It looks no label up: what it
// counts into was found before.
type siteMeter struct {
	requests [len(methods)][len(classes)]prometheus.Counter
	duration prometheus.Observer
	gateway  prometheus.Observer
	phases   [timing.Phases]phaseObserver
}

func newSiteMeter(site string) *siteMeter {
	m := &siteMeter{duration: requestDuration.WithLabelValues(site), gateway: gatewayDuration.WithLabelValues(site)}
	for i, method := range methods {
		for j, class := range classes {
			m.requests[i][j] = requests.WithLabelValues(site, method, class)
		}
	}
	for p := range timing.Phases {
		m.phases[p].site, m.phases[p].phase = site, p.String()
	}
	return m
}

// Take implements edge.Meter.
func (m *siteMeter) Take(measured *edge.Measurement) {
	m.requests[methodIndex(measured.Method)][classIndex(measured.Status)].Inc()
	if own, known := measured.Own(); known {
		m.gateway.Observe(own.Seconds())
	}
	for p := range timing.Phases {
		if spent := measured.Spent(p); spent > 0 {
			m.phases[p].observe(spent)
		}
	}
	m.duration.Observe(measured.Took.Seconds())
}

// phaseObserver is the histogram of a phase, which is not there before the phase
// has happened: a site without a backend has no series for it.
type phaseObserver struct {
	site, phase string
	observer    atomic.Pointer[prometheus.Observer]
}

func (o *phaseObserver) observe(d time.Duration) {
	observer := o.observer.Load()
	if observer == nil {
		found := requestPhase.WithLabelValues(o.site, o.phase)
		observer = &found
		o.observer.Store(observer)
	}
	(*observer).Observe(d.Seconds())
}

func methodIndex(method string) int {
	for i := range len(methods) - 1 {
		if methods[i] == method {
			return i
		}
	}
	return len(methods) - 1
}

// classIndex takes statuses that no class has as the server's errors.
func classIndex(status int) int {
	if status < 100 || status > 599 {
		status = http.StatusInternalServerError
	}
	return status/100 - 1
}

// Interface guards
var _ edge.Meter = (*siteMeter)(nil)
