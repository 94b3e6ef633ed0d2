// Package timing is where the time of one request went. telemetry begins a Record
// and accounts for the client, the transport to the backend adds its phases, and
// what nobody accounts for is the gateway's own share.
package timing

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Phase is a part of a request's time. Phases do not overlap: each is time for
// which the request's goroutine waited for somebody else.
type Phase uint8

// The phases. Those to the backend are summed over all attempts.
const (
	Connect     Phase = iota // name resolution and the TCP connection; 0 on a reused one
	TLS                      // the handshake with the backend
	Send                     // from a connection to the last byte of the request, the client's upload included
	Wait                     // from there to the first byte of the response
	Receive                  // blocked on the response's body
	ClientRead               // blocked on the request's body, outside of Send
	ClientWrite              // blocked on writing the response to the client
	Phases                   // how many there are
)

var names = [Phases]string{"connect", "tls", "send", "wait", "receive", "client_read", "client_write"}

// String returns the name of p, as in metrics and logs.
func (p Phase) String() string { return names[p] }

// Record is where the time of one request went. Its methods are safe for
// concurrent use; the zero Record is ready to use. A nil *Record records nothing.
type Record struct {
	spent    [Phases]atomic.Int64 // nanoseconds
	attempts atomic.Int32
	ended    atomic.Bool
}

// Add says that d was spent in p. A negative d counts as none, and so does what
// comes after End.
func (r *Record) Add(p Phase, d time.Duration) {
	if r != nil && d > 0 && !r.ended.Load() {
		r.spent[p].Add(int64(d))
	}
}

// Spent returns the time spent in p so far.
func (r *Record) Spent(p Phase) time.Duration { return time.Duration(r.spent[p].Load()) }

// Attempt says that the request is being sent to a backend once more.
func (r *Record) Attempt() {
	if r != nil {
		r.attempts.Add(1)
	}
}

// Attempts returns how often the request was sent to a backend.
func (r *Record) Attempts() int { return int(r.attempts.Load()) }

// End freezes the record: what happens on a connection that was upgraded is no
// part of a request.
func (r *Record) End() { r.ended.Store(true) }

// Backend returns the time spent on the backend: all phases but the client's.
func (r *Record) Backend() time.Duration {
	return r.Spent(Connect) + r.Spent(TLS) + r.Spent(Send) + r.Spent(Wait) + r.Spent(Receive)
}

// Waited returns the time of all phases.
func (r *Record) Waited() time.Duration {
	return r.Backend() + r.Spent(ClientRead) + r.Spent(ClientWrite)
}

// Own returns the gateway's own share of a request that took total.
func (r *Record) Own(total time.Duration) time.Duration { return max(0, total-r.Waited()) }

const varKey = "sallyport.timing"

// Begin attaches a new Record to the request of ctx, which has Caddy's vars.
func Begin(ctx context.Context) *Record {
	r := new(Record)
	r.Attach(ctx)
	return r
}

// Attach makes r the Record of the request of ctx, which has Caddy's vars.
func (r *Record) Attach(ctx context.Context) { caddyhttp.SetVar(ctx, varKey, r) }

// From returns the Record of the request of ctx, or nil: health checks and
// requests of sites without telemetry have none.
func From(ctx context.Context) *Record {
	r, _ := caddyhttp.GetVar(ctx, varKey).(*Record)
	return r
}
