package guard

import (
	"crypto/tls"
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

// TestEarlyDataIsNotJudged: until the handshake is complete, the address of a
// QUIC client is what it claims to be.
func TestEarlyDataIsNotJudged(t *testing.T) {
	g := &Guard{name: "test", suite: new(suite.Config), logger: zap.NewNop()}
	g.front = &front{edge: new(edge.Server), suite: g.suite, assertions: assertionsOf(g.suite), logger: g.logger}
	for complete, status := range map[bool]int{true: 0, false: 425} {
		r := httptest.NewRequest("GET", "/", nil)
		r.TLS = &tls.ConnectionState{HandshakeComplete: complete}
		r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, new(caddyhttp.Server))
		_, err := g.Begin(httptest.NewRecorder(), r)
		var refused caddyhttp.HandlerError
		if errors.As(err, &refused); refused.StatusCode != status {
			t.Errorf("handshake complete %v: got %d (%v), want %d", complete, refused.StatusCode, err, status)
		}
	}
}
