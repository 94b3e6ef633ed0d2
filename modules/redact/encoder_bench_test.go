package redact

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// BenchmarkAccessEntry writes the access log entry of a browser's call of an API
// behind a load balancer as Caddy does, with zap's JSON encoder alone and with
// the redacting one around it. The target is a ratio of 1.3 at most.
func BenchmarkAccessEntry(b *testing.B) {
	r := httptest.NewRequest(http.MethodGet, "/v1/orders/42?expand=items&page=2&locale=de-DE", nil)
	r.Header = http.Header{
		"User-Agent":         {"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"},
		"Accept":             {"application/json, text/plain, */*"},
		"Accept-Encoding":    {"gzip, deflate, br, zstd"},
		"Accept-Language":    {"de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7"},
		"Authorization":      {"Bearer abc"},
		"Cookie":             {"session=abc"},
		"Origin":             {"https://app.example.com"},
		"Referer":            {"https://app.example.com/orders?tab=open"},
		"Sec-Ch-Ua":          {`"Chromium";v="140", "Not=A?Brand";v="24", "Google Chrome";v="140"`},
		"Sec-Ch-Ua-Mobile":   {"?0"},
		"Sec-Ch-Ua-Platform": {`"Linux"`},
		"Sec-Fetch-Dest":     {"empty"},
		"Sec-Fetch-Mode":     {"cors"},
		"Sec-Fetch-Site":     {"same-site"},
		"X-Forwarded-For":    {"198.51.100.7"},
		"X-Forwarded-Proto":  {"https"},
		"X-Forwarded-Port":   {"443"},
		"X-Amzn-Trace-Id":    {"Root=1-67891233-abcdef012345678912345678"},
		"X-Request-Id":       {"0b8f3c6e-6f0a-4c39-9c4e-2f6de51e3f11"},
	}
	response := http.Header{
		"Content-Type":                {"application/json"},
		"Content-Length":              {"1234"},
		"Server":                      {"Caddy"},
		"Vary":                        {"Origin", "Accept-Encoding"},
		"Etag":                        {`"5f3a9c"`},
		"Date":                        {"Tue, 03 Nov 2026 10:00:00 GMT"},
		"Cache-Control":               {"private, max-age=0"},
		"Ratelimit":                   {`"per_client";r=49;t=1`},
		"Access-Control-Allow-Origin": {"https://app.example.com"},
	}
	withSecrets := r.Clone(b.Context())
	withSecrets.RequestURI = "/cb?code=SplxlOBeZQQYbYW6WxSbIA&state=xyz&redirect=https%3A%2F%2Fa%2F%3Ftoken%3Dabc"
	withSecrets.Header.Set("X-Api-Key", "sp_k7f3a_abcdefghijklmnop")
	withSecrets.Header.Set("X-Amzn-Oidc-Data", "abc")

	plain := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	for name, c := range map[string]struct {
		encoder zapcore.Encoder
		request *http.Request
	}{
		"json":                 {plain, r},
		"redact":               {provisioned(b, plain), r},
		"json, with secrets":   {plain, withSecrets},
		"redact, with secrets": {provisioned(b, plain), withSecrets},
	} {
		b.Run(name, func(b *testing.B) {
			l := zap.New(zapcore.NewCore(c.encoder, zapcore.AddSync(io.Discard), zapcore.InfoLevel)).Named("http.log.access.log0")
			b.ReportAllocs()
			for b.Loop() {
				l.WithLazy(zap.Object("request", caddyhttp.LoggableHTTPRequest{Request: c.request})).Info("handled request",
					zap.Int("bytes_read", 0), zap.String("user_id", "k7f3a"), zap.Duration("duration", 12345*time.Microsecond),
					zap.Int("size", 1234), zap.Int("status", 200), zap.Object("resp_headers", caddyhttp.LoggableHTTPHeader{Header: response}))
			}
		})
	}
}
