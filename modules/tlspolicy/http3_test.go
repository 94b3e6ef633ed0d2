package tlspolicy

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// QUIC has its own way to the connection policies and to the request.
func TestThePolicyHoldsOverHTTP3(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	cert, key := ca.good(t, "strict.example", "curve.example", "must.example").put(t, dir)
	pool := dir + "/clients.pem"
	putFile(t, pool, ca.pem)
	g := gatetest.Run(t, site("strict.example", mounted(cert, key), "tls_policy modern", "respond strict")+
		site("curve.example", strings.Replace(mounted(cert, key), "tls {", "tls {\n\t\tcurves secp521r1", 1), "respond curve")+
		site("must.example", mounted(cert, key), asking("require", pool), "respond must"))
	client := ca.good(t).pair(t)
	tests := []struct {
		name, server, host string
		curve              tls.CurveID
		client             tls.Certificate
		status             int
	}{
		{"its own connection", "strict.example", "strict.example", tls.X25519, none, 200},
		{"its own connection with another curve", "strict.example", "strict.example", tls.CurveP521, none, 0},
		{"one with a curve that the level has not", "curve.example", "strict.example", tls.CurveP521, none, 421},
		{"a client's certificate", "must.example", "must.example", tls.X25519, client, 200},
		{"no client's certificate", "must.example", "must.example", tls.X25519, none, 0},
		{"no client's certificate, over a neighbour's", "curve.example", "must.example", tls.CurveP521, none, 421},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			config := &tls.Config{
				InsecureSkipVerify: true, ServerName: tt.server, CurvePreferences: []tls.CurveID{tt.curve},
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tt.client, nil },
			}
			transport := &http3.Transport{TLSClientConfig: config, Dial: func(ctx context.Context, _ string, c *tls.Config, q *quic.Config) (*quic.Conn, error) {
				return quic.DialAddr(ctx, strings.TrimPrefix(g.URL, "http://"), c, q)
			}}
			defer transport.Close()
			req, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+tt.host+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Forwarded-For", "192.0.2.1")
			resp, err := transport.RoundTrip(req)
			if err != nil {
				if tt.status != 0 {
					t.Error(err)
				}
				return
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != tt.status {
				t.Errorf("got %d %s", resp.StatusCode, body)
			}
		})
	}
}
