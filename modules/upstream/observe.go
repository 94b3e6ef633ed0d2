package upstream

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
	"github.com/sallyport-gateway/sallyport/modules/internal/timing"
)

// buckets reach from a reused connection on the same machine to a slow report.
var buckets = []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}

var (
	phaseSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: metric.Namespace,
		Name:      "upstream_phase_seconds",
		Help:      "Time of attempts at a service by phase: connect, tls, send, wait, receive.",
		Buckets:   buckets,
	}, []string{"service", "phase"})
	durationSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: metric.Namespace,
		Name:      "upstream_duration_seconds",
		Help:      "Time of attempts at a service, all phases together: without waiting for the client to take the response.",
		Buckets:   buckets,
	}, []string{"service"})
	responses = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: metric.Namespace,
		Name:      "upstream_responses_total",
		Help:      "Attempts at a service by the class of the response's status, or error.",
	}, []string{"service", "code"})
	refused = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: metric.Namespace,
		Name:      "assertions_refused_total",
		Help:      "Requests to a service that were refused because there is no key to sign with.",
	}, []string{"service"})
)

var collectors = []prometheus.Collector{phaseSeconds, durationSeconds, responses, refused, rotationFailures, keyAges}

// classes are the values of the label code, by the first digit of the status.
var classes = [...]string{"error", "1xx", "2xx", "3xx", "4xx", "5xx"}

// phases are those of an attempt, in their order.
const phases = timing.Receive + 1

// observer measures the attempts at one service.
type observer struct {
	phase    [phases]prometheus.Observer
	duration prometheus.Observer
	code     [len(classes)]prometheus.Counter
	refused  prometheus.Counter
}

func newObserver(service string) *observer {
	o := &observer{duration: durationSeconds.WithLabelValues(service), refused: refused.WithLabelValues(service)}
	for p := range phases {
		o.phase[p] = phaseSeconds.WithLabelValues(service, p.String())
	}
	for i, class := range classes {
		o.code[i] = responses.WithLabelValues(service, class)
	}
	return o
}

// roundTrip makes one attempt. It is over when the response's body is closed, or
// with the answer if that has none or is a switch of protocols.
func (o *observer) roundTrip(next http.RoundTripper, req *http.Request) (*http.Response, error) {
	a := &attempt{observer: o, record: timing.From(req.Context()), current: timing.Wait, since: time.Now()}
	a.record.Attempt()
	// Composed with Caddy's own trace, which passes informational responses on.
	resp, err := next.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), a.trace())))
	a.answered()
	class := 0
	if err == nil {
		class = resp.StatusCode / 100
	}
	if class < 0 || class >= len(classes) {
		class = 0
	}
	o.code[class].Inc()
	if err != nil || resp.StatusCode == http.StatusSwitchingProtocols || resp.Body == nil || resp.Body == http.NoBody {
		a.end()
		return resp, err
	}
	resp.Body = &body{ReadCloser: resp.Body, attempt: a}
	return resp, err
}

// attempt is where the time of one attempt goes. The hooks of its trace come from
// several goroutines, also when the attempt is over: a connection that was dialled
// for it is finished for others.
type attempt struct {
	*observer
	record *timing.Record

	mu      sync.Mutex
	current timing.Phase
	since   time.Time
	over    bool // RoundTrip has returned
	spent   [phases]time.Duration
}

// enter says that another phase begins, if the current one is in from.
func (a *attempt) enter(p timing.Phase, from ...timing.Phase) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return
	}
	for _, f := range from {
		if a.current == f {
			a.spend(now)
			a.current = p
			return
		}
	}
}

func (a *attempt) spend(now time.Time) {
	a.spent[a.current] += now.Sub(a.since)
	a.since = now
}

// trace follows the request through net/http, which begins again at GetConn where it
// finds that a connection had been closed.
func (a *attempt) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn:           func(string) { a.enter(timing.Connect, timing.Wait, timing.Send) },
		TLSHandshakeStart: func() { a.enter(timing.TLS, timing.Connect) },
		// Whatever its result: another address may be tried.
		TLSHandshakeDone: func(tls.ConnectionState, error) { a.enter(timing.Connect, timing.TLS) },
		GotConn:          func(httptrace.GotConnInfo) { a.enter(timing.Send, timing.Connect, timing.TLS) },
		WroteRequest:     func(httptrace.WroteRequestInfo) { a.enter(timing.Wait, timing.Send) },
	}
}

// answered ends what is measured until there is an answer.
func (a *attempt) answered() {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.spend(now)
	a.over = true
	for p, d := range a.spent {
		a.record.Add(timing.Phase(p), d)
	}
}

// end puts the attempt into the metrics. It is called once.
func (a *attempt) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	var total time.Duration
	for p, d := range a.spent {
		total += d
		a.phase[p].Observe(d.Seconds())
	}
	a.duration.Observe(total.Seconds())
}

// body measures for how long a response's body was waited for.
type body struct {
	io.ReadCloser
	attempt *attempt
	once    sync.Once
}

func (b *body) Read(p []byte) (int, error) {
	began := time.Now()
	n, err := b.ReadCloser.Read(p)
	d := time.Since(began)
	b.attempt.record.Add(timing.Receive, d)
	b.attempt.mu.Lock()
	b.attempt.spent[timing.Receive] += d
	b.attempt.mu.Unlock()
	return n, err
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(b.attempt.end)
	return err
}
