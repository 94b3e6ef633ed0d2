package edge

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// What a server's clients may take their time for, unless its `timeouts` say
// otherwise. Balancers let connections idle for 60 s and more, so these end a
// slow client before the balancer would.
const (
	// headerTimeout is for a request's header, and for a TLS handshake.
	headerTimeout = 20 * time.Second
	// bodyIdleTimeout is for each part of a body, and the allowance with which
	// the rate below begins.
	bodyIdleTimeout = 30 * time.Second
	// bodyRate is the bytes a second that a body has to sustain after that.
	bodyRate = 240
)

// limitSlowness sets the limits that are not configured. Caddy's own defaults
// come later and see them; its values below zero turn a limit off.
func (s *Server) limitSlowness() {
	if s.caddy.ReadHeaderTimeout == 0 {
		s.caddy.ReadHeaderTimeout = caddy.Duration(headerTimeout)
	}
	if s.caddy.ReadIdleTimeout == 0 {
		s.caddy.ReadIdleTimeout = caddy.Duration(bodyIdleTimeout)
	}
	if s.caddy.ReadMinRate == 0 {
		s.caddy.ReadMinRate = bodyRate
	}
}

// body counts a body that Caddy stopped waiting for, and measures the waiting.
type body struct {
	io.ReadCloser
	cut      prometheus.Counter // nil when it was counted
	measured *Measurement
}

func (b *body) Read(p []byte) (int, error) {
	since := b.measured.now()
	n, err := b.ReadCloser.Read(p)
	b.measured.read(since)
	if err != nil && b.cut != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		b.cut.Inc()
		b.cut = nil
	}
	return n, err
}

// heads follows the request heads that connections are sending.
type heads struct {
	open sync.Map // net.Conn → *headState
}

// headState is where a connection is with the head of its next request.
type headState struct {
	since atomic.Int64 // when the head could begin, as monotonic says it
	phase atomic.Int32
}

// The phases of a headState.
const (
	headAwaited  = iota // on a new connection, of which nothing came yet
	headUnseen          // bytes came, and no handler has seen a request
	headLate            // as headUnseen, after as long as a head may take
	headComplete        // a handler has it, or the connection is idle
)

type headKey struct{}

func (h *heads) track(ctx context.Context, conn net.Conn) context.Context {
	state := new(headState)
	state.since.Store(monotonic())
	h.open.Store(conn, state)
	return context.WithValue(ctx, headKey{}, state)
}

// head is the state of the connection that r came on.
func head(r *http.Request) *headState {
	state, _ := r.Context().Value(headKey{}).(*headState)
	return state
}

// complete says that a handler sees the request.
func (h *headState) complete() {
	if h != nil {
		h.phase.Store(headComplete)
	}
}

// connectionState counts connections that net/http closed because the head of a
// request, or the handshake before it, took too long. Nothing tells, so it is
// concluded: no handler saw a request, and the time was up. A connection that
// idled that long before a malformed request counts too.
func (s *Server) connectionState(conn net.Conn, state http.ConnState) {
	if state == http.StateNew {
		return
	}
	v, ok := s.heads.open.Load(conn)
	if !ok {
		return
	}
	head := v.(*headState)
	switch state {
	case http.StateActive:
		if s.isLate(head) {
			head.phase.Store(headLate)
		} else {
			head.phase.Store(headUnseen)
		}
	case http.StateIdle:
		head.since.Store(monotonic())
		head.phase.Store(headComplete)
	case http.StateHijacked:
		s.heads.open.Delete(conn)
	case http.StateClosed:
		s.heads.open.Delete(conn)
		if phase := head.phase.Load(); phase == headLate || phase == headAwaited && s.isLate(head) {
			s.metrics.slowHeader.Inc()
		}
	}
}

func (s *Server) isLate(h *headState) bool {
	limit := time.Duration(s.caddy.ReadHeaderTimeout)
	return limit > 0 && time.Duration(monotonic()-h.since.Load()) >= limit
}

var processStart = time.Now()

// monotonic is the time since the process started, in nanoseconds.
func monotonic() int64 { return int64(time.Since(processStart)) }
