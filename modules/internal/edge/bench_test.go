package edge

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

// fixed is a balancer that names one client.
type fixed netip.Addr

func (f fixed) Identify(_ *http.Request, req *Request) {
	req.Client, req.Balanced = netip.Addr(f), true
}

// BenchmarkServeHTTP is what the edge adds to a request that has no body.
func BenchmarkServeHTTP(b *testing.B) {
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	s := &Server{suite: new(suite.Config), inner: nothing, balancer: fixed(netip.MustParseAddr("192.0.2.1")), crowd: Crowd{Limit: 1000}}
	metered := &Server{suite: s.suite, inner: nothing, balancer: s.balancer, crowd: Crowd{Limit: 1000}, meter: nobody{}}
	for name, handler := range map[string]http.Handler{"edge": s, "edge with a meter": metered, "nothing": nothing} {
		b.Run(name, func(b *testing.B) {
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
			b.ReportAllocs()
			for b.Loop() {
				handler.ServeHTTP(w, r)
			}
		})
	}
}

// nobody is a meter that takes measurements and does nothing with them.
type nobody struct{}

func (nobody) Take(*Measurement) {}
