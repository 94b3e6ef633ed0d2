package logtext

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"testing"
)

// accessEntry is what Caddy's JSON encoder writes for a browser's call of an
// API behind a load balancer.
const accessEntry = `{"level":"info","ts":1762164000.123456,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":"10.0.1.5","remote_port":"51234","client_ip":"198.51.100.7","proto":"HTTP/2.0","method":"GET","host":"api.example.com","uri":"/v1/orders/42?expand=items&page=2&locale=de-DE","headers":{"User-Agent":["Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"],"Accept":["application/json, text/plain, */*"],"Accept-Encoding":["gzip, deflate, br, zstd"],"Accept-Language":["de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7"],"Authorization":["REDACTED"],"Cookie":["REDACTED"],"Origin":["https://app.example.com"],"Referer":["https://app.example.com/orders?tab=open"],"Sec-Ch-Ua":["\"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\", \"Google Chrome\";v=\"140\""],"Sec-Ch-Ua-Mobile":["?0"],"Sec-Ch-Ua-Platform":["\"Linux\""],"Sec-Fetch-Dest":["empty"],"Sec-Fetch-Mode":["cors"],"Sec-Fetch-Site":["same-site"],"X-Forwarded-For":["198.51.100.7"],"X-Forwarded-Proto":["https"],"X-Forwarded-Port":["443"],"X-Amzn-Trace-Id":["Root=1-67891233-abcdef012345678912345678"],"X-Request-Id":["0b8f3c6e-6f0a-4c39-9c4e-2f6de51e3f11"]}},"bytes_read":0,"user_id":"k7f3a","duration":0.012345,"size":1234,"status":200,"resp_headers":{"Content-Type":["application/json"],"Server":["Caddy"],"Vary":["Origin","Accept-Encoding"],"Etag":["\"5f3a9c\""],"Date":["Tue, 03 Nov 2026 10:00:00 GMT"],"Cache-Control":["private, max-age=0"],"Content-Length":["1234"],"Ratelimit":["\"per_client\";r=49;t=1"],"Access-Control-Allow-Origin":["https://app.example.com"]}}` + "\n"

func BenchmarkClean(b *testing.B) {
	c, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	entry := []byte(accessEntry)
	var dst bytes.Buffer
	b.SetBytes(int64(len(entry)))
	b.ReportAllocs()
	for b.Loop() {
		dst.Reset()
		c.Clean(&dst, entry)
	}
}

// BenchmarkHostile cleans a megabyte of what could make a scanner look at the
// same bytes again and again. None may be out of proportion to the others.
func BenchmarkHostile(b *testing.B) {
	c, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	for _, pattern := range []string{
		"a", "=", ":", "token=", "token:", "//token:", "token:,", "token=,a", "token=;a", "&token=a", "basic+", "bearer+error=", "token: not ",
		"@", "//@", "x:y@", "x@tcp(", "%", "%25", "%2%35", "%%33", `\`, `\u0041`, `\\u0022`, `\"`, "[", "token[", `"token":[`, `{"`, "\t{\"a\":", "[]",
		"'", `"`, `token="`, "PRIVATE KEY", "-----BEGIN PRIVATE KEY-----", "negotiate ", "http://", "?", "token[[]]=", "a]=", "       =",
	} {
		text := strings.Repeat(pattern, 1<<20/len(pattern))
		encoded, err := json.Marshal(map[string]string{"msg": text, "uri": "/?" + text})
		if err != nil {
			b.Fatal(err)
		}
		for name, entry := range map[string][]byte{"json": encoded, "text": []byte(text)} {
			b.Run(name+" "+strconv.Quote(pattern), func(b *testing.B) {
				b.SetBytes(int64(len(entry)))
				for b.Loop() {
					c.Clean(io.Discard, entry)
				}
			})
		}
	}
}
