package framing

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// inputs are what the benchmarks read: a usual head, and one with a body.
var inputs = map[string]string{
	"head": "GET /api/v1/orders?page=3&limit=50&sort=created_at HTTP/1.1\r\nHost: api.example.com\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: application/json, text/plain, */*\r\n" +
		"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nReferer: https://app.example.com/orders\r\n" +
		"Origin: https://app.example.com\r\nAuthorization: Bearer " + strings.Repeat("x", 180) + "\r\nConnection: keep-alive\r\n" +
		"X-Request-Id: 0123456789abcdef\r\n\r\n",
	"body64KiB": "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n" + strings.Repeat("x", 65536),
	"chunked64KiB": "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" +
		strings.Repeat("1000\r\n"+strings.Repeat("x", 4096)+"\r\n", 16) + "0\r\n\r\n",
}

// BenchmarkScan is the price; BenchmarkFloor is what net/http pays for reading
// the same bytes.
func BenchmarkScan(b *testing.B) {
	for name, input := range inputs {
		b.Run(name, func(b *testing.B) {
			s, whole := New(Acceptable), []byte(input)
			b.SetBytes(int64(len(input)))
			b.ReportAllocs()
			for b.Loop() {
				for p := whole; len(p) > 0; {
					n, event := s.Scan(p)
					if event == Refuse {
						b.Fatal(s.Reason())
					}
					p = p[n:]
				}
			}
		})
	}
}

func BenchmarkFloor(b *testing.B) {
	for name, input := range inputs {
		b.Run(name, func(b *testing.B) {
			source := bytes.NewReader(nil)
			r := bufio.NewReader(source)
			whole := []byte(input)
			b.SetBytes(int64(len(input)))
			b.ReportAllocs()
			for b.Loop() {
				source.Reset(whole)
				r.Reset(source)
				request, err := http.ReadRequest(r)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, request.Body)
			}
		})
	}
}
