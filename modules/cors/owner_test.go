package cors

import (
	"net/http"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// Anyone can have a name below s3.amazonaws.com or blob.core.windows.net, which
// are public suffixes below the base of the wildcard.
func TestAWildcardGivesNobodyElseCredentials(t *testing.T) {
	tests := []struct {
		wildcard, origin string
		allowed          bool
	}{
		{"https://*.amazonaws.com", "https://evil.s3.amazonaws.com", false},
		{"https://*.core.windows.net", "https://evil.blob.core.windows.net", false},
		{"https://*.amazonaws.com", "https://console.amazonaws.com", true},
		{"https://*.example.com", "https://a.b.example.com", true},
	}
	for _, tt := range tests {
		for _, credentials := range []bool{true, false} {
			p := compile(t, Config{AllowOrigins: []string{tt.wildcard}, AllowCredentials: credentials})
			if got := p.AllowedOrigin(http.Header{"Origin": {tt.origin}}) != ""; got != (tt.allowed || !credentials) {
				t.Errorf("%s, credentials %v: %s is allowed: %v", tt.wildcard, credentials, tt.origin, got)
			}
		}
	}
}

func TestAPreflightThatWasRefusedIsNotAnsweredInAnErrorRoute(t *testing.T) {
	const policy = "cors {\n allow_origins https://app.example.com\n allow_methods PUT\n}\n"
	g := gatetest.Run(t, "{$ADDR} {\n"+policy+"allowlist {\n deny 203.0.113.7\n}\nrespond ok\nhandle_errors {\n"+policy+"}\n}\n")
	for name, tt := range map[string]struct {
		target, from string
		status       int
	}{
		"a denied address":     {"/", "203.0.113.7", 403},
		"an ambiguous request": {"/a%2fb", "192.0.2.1", 400},
		"one that is allowed":  {"/", "192.0.2.1", 204},
	} {
		resp := g.Do(t, "OPTIONS", tt.target, "X-Forwarded-For", tt.from, "Origin", "https://app.example.com", "Access-Control-Request-Method", "PUT")
		if resp.Status != tt.status {
			t.Errorf("%s: got %d, want %d", name, resp.Status, tt.status)
		}
	}
}
