package elb

import (
	"net/http"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
)

func TestRequestsAreCountedByWhereTheyComeFrom(t *testing.T) {
	tests := []struct {
		name, profile, remote, origin string
		header                        http.Header
	}{
		{"the balancer names a client", "aws_alb", "10.0.0.9:4711", "established", http.Header{"X-Forwarded-For": {"198.51.100.7"}}},
		{"the balancer names nobody", "aws_alb", "10.0.0.9:4711", "unknown", http.Header{"X-Forwarded-For": {"unknown"}}},
		{"a peer without an address", "aws_alb", "@", "unknown", http.Header{}},
		{"somebody reaches the gateway past the balancer", "aws_alb", "198.51.100.7:4711", "past_balancer", http.Header{"X-Forwarded-For": {"203.0.113.9"}}},
		{"another customer's Front Door", "azure_frontdoor", "10.0.0.9:4711", "foreign", http.Header{"X-Azure-Fdid": {"00000000-0000-0000-0000-000000000000"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSource(t, tt.profile)
			s.counts = newRequestCounts(t.Name())
			r := &http.Request{RemoteAddr: tt.remote, Header: tt.header}
			s.Identify(r, new(edge.Request))
			for _, origin := range []string{"established", "unknown", "past_balancer", "foreign", "local"} {
				var d dto.Metric
				if err := origins.WithLabelValues(t.Name(), origin).Write(&d); err != nil {
					t.Fatal(err)
				}
				want := 0.0
				if origin == tt.origin {
					want = 1
				}
				if got := d.GetCounter().GetValue(); got != want {
					t.Errorf("%s: %v, want %v", origin, got, want)
				}
			}
		})
	}
}
