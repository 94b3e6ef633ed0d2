package validate_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

func gzipped(t *testing.T, parts ...string) string {
	t.Helper()
	var b bytes.Buffer
	for _, p := range parts { // a member each
		z := gzip.NewWriter(&b)
		if _, err := io.WriteString(z, p); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func deflated(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// got is what the backend saw of the last request.
type got struct {
	body             string
	length           int64
	transferEncoding []string
	header           http.Header
	trailer          http.Header
	calls            int
}

func record(g *gatetest.Gate) *got {
	seen := new(got)
	g.Backend(func(w http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		*seen = got{string(content), r.ContentLength, r.TransferEncoding, r.Header, r.Trailer, seen.calls + 1}
	})
	return seen
}

func TestCodedBodiesAreJudgedDecodedAndHandedOnAsTheyCame(t *testing.T) {
	g := gatetest.Run(t, site("max_body 1MiB\njson {\nmax_depth 4\n}"))
	seen := record(g)
	large := `{"a":"` + strings.Repeat("x", 1<<20) + `"}`
	fits := `["` + strings.Repeat("x", 200<<10) + `"]`
	bomb := `["` + strings.Repeat("x", 1000<<10) + `"]`
	tests := []struct {
		name, coding, body, code string
	}{
		{"gzip", "gzip", gzipped(t, `{"a":1}`), ""},
		{"gzip by its other name", "X-GZip", gzipped(t, `{"a":1}`), ""},
		{"deflate", "deflate", deflated(t, `{"a":1}`), ""},
		{"identity in front", "identity, gzip", gzipped(t, `{"a":1}`), ""},
		{"much that shrank", "gzip", gzipped(t, fits), ""},
		{"nothing", "gzip", "", ""},
		{"bad JSON in gzip", "gzip", gzipped(t, `{"a":1,"a":2}`), "validate.json_duplicate_key"},
		{"bad JSON in deflate", "deflate", deflated(t, `{`), "validate.json_syntax"},
		{"deep JSON in gzip", "gzip", gzipped(t, `[[[[[]]]]]`), "validate.json_depth"},
		{"no JSON in gzip", "gzip", gzipped(t, ``), "validate.json_syntax"},
		{"too large when decoded", "gzip", gzipped(t, large), "validate.body_size"},
		{"shrank too much", "gzip", gzipped(t, bomb), "validate.body_ratio"},
		{"not gzip at all", "gzip", `{"a":1}`, "validate.undecodable"},
		{"gzip cut short", "gzip", gzipped(t, `{"a":1}`)[:20], "validate.undecodable"},
		{"a broken checksum", "gzip", gzipped(t, `{"a":1}`)[:22] + "xxxxxxxx", "validate.undecodable"},
		{"a second member", "gzip", gzipped(t, `{"a":1}`, ` `), "validate.undecodable"},
		{"something behind gzip", "gzip", gzipped(t, `{"a":1}`) + "x", "validate.undecodable"},
		{"something behind deflate", "deflate", deflated(t, `{"a":1}`) + "x", "validate.undecodable"},
		{"gzip called deflate", "deflate", gzipped(t, `{"a":1}`), "validate.undecodable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			calls := seen.calls
			resp := g.Send(t, "POST", "/", tt.body, "X-Forwarded-For", client, "Content-Type", "application/json", "Content-Encoding", tt.coding)
			if tt.code != "" {
				refusedFor(t, resp, tt.code)
				if seen.calls != calls {
					t.Error("the backend was called")
				}
				return
			}
			if resp.Status != 200 || seen.body != tt.body || seen.header.Get("Content-Encoding") != tt.coding || seen.length != int64(len(tt.body)) {
				t.Errorf("got %d %s; the backend %d bytes, declared %d, %v", resp.Status, resp.Body, len(seen.body), seen.length, seen.header)
			}
		})
	}
}

// TestSizesHoldWithoutJSON: max_body is for every body, and for what comes out
// of it.
func TestSizesHoldWithoutJSON(t *testing.T) {
	g := gatetest.Run(t, site("max_body 64KiB"))
	record(g)
	if resp := g.Send(t, "POST", "/", gzipped(t, strings.Repeat("x", 64<<10)), "X-Forwarded-For", client, "Content-Encoding", "gzip"); resp.Status != 200 {
		t.Errorf("got %d %s", resp.Status, resp.Body)
	}
	resp := g.Send(t, "POST", "/", gzipped(t, strings.Repeat("x", 64<<10+1)), "X-Forwarded-For", client, "Content-Encoding", "gzip")
	refusedFor(t, resp, "validate.body_size")
}

// raw sends a request head and body as they are, and returns the answer.
func raw(t *testing.T, g *gatetest.Gate, head, body string) string {
	t.Helper()
	return g.Raw(t, head+"\r\nHost: "+strings.TrimPrefix(g.URL, "http://")+"\r\nX-Forwarded-For: "+client+"\r\nConnection: close\r\n\r\n"+body)
}

func TestChunkedBodiesAreJudgedBeforeTheBackendSeesThem(t *testing.T) {
	g := gatetest.Run(t, site("max_body 16\ncontent_types application/json text/plain\njson"))
	seen := record(g)
	tests := []struct {
		name, media, chunks string
		status              string
		body                string
	}{
		{"in one chunk", "application/json", "7\r\n{\"a\":1}\r\n0\r\n\r\n", "200", `{"a":1}`},
		{"in many", "application/json", "1\r\n{\r\n3\r\n\"a\"\r\n2\r\n:1\r\n1\r\n}\r\n0\r\n\r\n", "200", `{"a":1}`},
		{"not JSON", "text/plain", "3\r\nabc\r\n0\r\n\r\n", "200", `abc`},
		{"as large as it may be", "text/plain", "10\r\n0123456789abcdef\r\n0\r\n\r\n", "200", `0123456789abcdef`},
		{"without a byte", "application/json", "0\r\n\r\n", "200", ``},
		{"with a trailer, which goes no further", "application/json", "2\r\n{}\r\n0\r\nX-Late: 1\r\n\r\n", "200", `{}`},
		{"a byte too many", "text/plain", "11\r\n0123456789abcdefg\r\n0\r\n\r\n", "413", ``},
		{"a byte too many in the last chunk", "text/plain", "10\r\n0123456789abcdef\r\n1\r\ng\r\n0\r\n\r\n", "413", ``},
		{"too many bytes of JSON", "application/json", "11\r\n[              ]  \r\n0\r\n\r\n", "413", ``},
		{"bad JSON", "application/json", "1\r\n{\r\n1\r\n]\r\n0\r\n\r\n", "400", ``},
		{"a bad chunk", "application/json", "2\r\n{}\r\nzz\r\n", "400", ``},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			*seen = got{}
			answer := raw(t, g, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTrailer: X-Late\r\nContent-Type: "+tt.media, tt.chunks)
			if !strings.HasPrefix(answer, "HTTP/1.1 "+tt.status) || seen.body != tt.body || (seen.calls > 0) != (tt.status == "200") {
				t.Errorf("got %.100q, the backend %q", answer, seen.body)
			}
			if len(seen.trailer) > 0 || len(seen.transferEncoding) > 0 {
				t.Errorf("the backend got the trailer %v, transfer encoding %v", seen.trailer, seen.transferEncoding)
			}
		})
	}
}

// TestABodyWithoutAByteIsNone: without a declared length that is known at its end.
func TestABodyWithoutAByteIsNone(t *testing.T) {
	g := gatetest.Run(t, site("json {\n\t\t\trequired\n\t\t}"))
	answer := raw(t, g, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json", "0\r\n\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 400") || !strings.Contains(answer, "needs a body") {
		t.Errorf("got %.300q", answer)
	}
}

// TestNothingIsAskedForThatIsRefused: a client that waits for 100 Continue is
// told so without sending its body.
func TestNothingIsAskedForThatIsRefused(t *testing.T) {
	g := gatetest.Run(t, site("methods POST\ncontent_types application/json\nquery a {\ntype integer\n}\njson"))
	seen := record(g)
	tests := []struct {
		name, head, status string
	}{
		{"method", "PUT / HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2", "405"},
		{"size, by default a megabyte", "POST / HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 1048577", "413"},
		{"content type", "POST / HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 2", "415"},
		{"charset", "POST / HTTP/1.1\r\nContent-Type: application/json; charset=utf-7\r\nContent-Length: 2", "415"},
		{"content coding", "POST / HTTP/1.1\r\nContent-Type: application/json\r\nContent-Encoding: br\r\nContent-Length: 2", "415"},
		{"query", "POST /?a=x HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2", "422"},
		{"two content types", "POST / HTTP/1.1\r\nContent-Type: application/json\r\nContent-Type: application/json\r\nContent-Length: 2", "400"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer := raw(t, g, tt.head+"\r\nExpect: 100-continue", "")
			if !strings.HasPrefix(answer, "HTTP/1.1 "+tt.status) || seen.calls > 0 {
				t.Errorf("got %.100q, calls %d", answer, seen.calls)
			}
		})
	}
	answer := raw(t, g, "POST / HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue", "{}")
	if !strings.HasPrefix(answer, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200") || seen.body != "{}" || seen.header["Expect"] != nil {
		t.Errorf("got %.100q, the backend %+v", answer, seen)
	}
}

func TestAMegabyteIsTheDefault(t *testing.T) {
	g := gatetest.Run(t, site("methods POST"))
	seen := record(g)
	if resp := g.Send(t, "POST", "/", strings.Repeat("x", 1<<20), "X-Forwarded-For", client); resp.Status != 200 || len(seen.body) != 1<<20 {
		t.Errorf("got %d, the backend %d bytes", resp.Status, len(seen.body))
	}
}

// TestABodyThatBreaksOffNeverReachesTheBackend, where it is looked at.
func TestABodyThatBreaksOffNeverReachesTheBackend(t *testing.T) {
	g := gatetest.Run(t, site("json"))
	seen := record(g)
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: %s\r\nX-Forwarded-For: %s\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{}",
		strings.TrimPrefix(g.URL, "http://"), client)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(conn)
	if !strings.HasPrefix(string(answer), "HTTP/1.1 400") || !strings.Contains(string(answer), "did not arrive whole") || seen.calls > 0 {
		t.Errorf("got %.300q, calls %d", answer, seen.calls)
	}
}

func TestWebSocketsPass(t *testing.T) {
	g := gatetest.Run(t, site("methods GET\ncontent_types application/json\njson"))
	g.Backend(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" {
			t.Errorf("the backend got %v", r.Header)
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString("echo " + line)
		_ = rw.Flush()
	})
	answer := g.Raw(t, "GET / HTTP/1.1\r\nHost: "+strings.TrimPrefix(g.URL, "http://")+"\r\nX-Forwarded-For: "+client+
		"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 101") || !strings.HasSuffix(answer, "echo hello\n") {
		t.Errorf("got %q", answer)
	}
}
