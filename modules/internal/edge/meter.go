package edge

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/modules/internal/timing"
)

// Meter takes the measurements of requests when they have ended.
type Meter interface {
	Take(*Measurement)
}

// Measurement is where the time of one request goes, from when net/http had its
// head until Caddy has answered it, or upgraded its connection. What net/http
// still has to send by then is not in it.
type Measurement struct {
	timing.Record

	// Method is what the client sent.
	Method string
	// Began is when the request came.
	Began time.Time
	// Status is that of the final response; 0 until there is one.
	Status int
	// Took is how long the request took; 0 until it has ended.
	Took time.Duration
	// Request is what Claim was called with, nil if nobody did.
	Request *http.Request

	meter Meter
	ended bool
}

// MeterBy makes m the meter of the server's requests that no other claims. The
// first one stays. It is for provisioning.
func (s *Server) MeterBy(m Meter) {
	if s.meter == nil {
		s.meter = m
	}
}

// Measure is for a request that came past every edge, over HTTP/3. The caller
// passes on the writer that is returned, and calls End.
func Measure(w http.ResponseWriter, r *http.Request, m Meter) (http.ResponseWriter, *Measurement) {
	measured := new(Measurement)
	measured.begin(r, m)
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &body{ReadCloser: r.Body, measured: measured}
	}
	return &response{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, measured: measured}, measured
}

// Claim makes meter the one of r, which has Caddy's context, and reports true,
// unless it was claimed before.
func (m *Measurement) Claim(r *http.Request, meter Meter) bool {
	if m.Request != nil {
		return false
	}
	m.Request, m.meter = r, meter
	m.Attach(r.Context())
	return true
}

// Own returns the gateway's own share so far. It reports false if that is not
// known: a backend was asked, by a transport that does not tell how long it took.
func (m *Measurement) Own() (time.Duration, bool) {
	if m.Attempts() == 0 && m.Request != nil && isProxied(m.Request) {
		return 0, false
	}
	total := m.Took
	if !m.ended {
		total = time.Since(m.Began)
	}
	return m.Record.Own(total), true
}

// isProxied reports whether Caddy's reverse_proxy has chosen a backend for r.
func isProxied(r *http.Request) bool {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return false
	}
	_, ok = repl.Get("http.reverse_proxy.upstream.address")
	return ok
}

// End says that a request of Measure was answered, with status unless it was
// written; 0 is for one that a panic ended.
func (m *Measurement) End(status int) {
	if m.Status == 0 {
		m.Status = status
	}
	m.end()
}

// The rest is for the edge. A nil Measurement measures nothing.

func (m *Measurement) begin(r *http.Request, meter Meter) {
	m.Began, m.Method, m.meter = time.Now(), r.Method, meter
}

// answered says that the handler returned: net/http sends 200 where it wrote none.
func (m *Measurement) answered() {
	if m.Status == 0 {
		m.Status = http.StatusOK
	}
}

// end hands the measurement over, once. A request without a status by now was
// aborted before it had one.
func (m *Measurement) end() {
	if m.ended {
		return
	}
	if m.Status == 0 {
		m.Status = http.StatusInternalServerError
	}
	m.Took = time.Since(m.Began)
	m.ended = true
	m.Record.End()
	m.meter.Take(m)
}

// status takes a status that was written. A connection that is no longer HTTP's
// ends the request: it may stay open for days.
func (m *Measurement) status(status int) {
	if m == nil || m.Status != 0 || status < 200 && status != http.StatusSwitchingProtocols {
		return
	}
	m.Status = status
	if status < 200 || status < 300 && m.Method == http.MethodConnect {
		m.end()
	}
}

// mark is a point in time, and what was waited for by then.
type mark struct {
	at     time.Time
	waited time.Duration
	sent   bool // a backend was asked by then
}

func (m *Measurement) now() mark {
	if m == nil {
		return mark{}
	}
	return mark{time.Now(), m.Waited(), m.Attempts() > 0}
}

// wrote adds the time since then to what the client was waited for. A source that
// is read meanwhile has accounted for its part.
func (m *Measurement) wrote(since mark) {
	if m == nil {
		return
	}
	m.Add(timing.ClientWrite, time.Since(since.at)-(m.Waited()-since.waited))
	if m.Status == 0 {
		m.Status = http.StatusOK
	}
}

// read is the same for the request's body. Once a backend was asked, the body is
// read by the transport, which counts it as sending.
func (m *Measurement) read(since mark) {
	if m != nil && !since.sent {
		m.Add(timing.ClientRead, time.Since(since.at))
	}
}
