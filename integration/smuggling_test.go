package integration

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// A smuggle is a request that servers end in different places, and another one
// that follows, or hides in it.
type smuggle struct {
	name, request string
	reason        string // that the gateway counts
	defensive     string // its verdict in the mode defensive
}

var (
	post   = "POST /first HTTP/1.1\r\nHost: " + site + "\r\n"
	hidden = "GET /smuggled HTTP/1.1\r\nHost: " + site + "\r\n\r\n"
	// length makes hidden a body.
	length = fmt.Sprintf("Content-Length: %d\r\n", len(hidden))
)

// smuggles are one of each way; modules/desync has them all.
var smuggles = []smuggle{
	{"Content-Length, then chunked", post + fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 5+len(hidden)) + hidden, "BothTeClPresent", "closed"},
	{"chunked in disguise", post + "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + hidden, "BadTransferEncoding", "refused"},
	{"a name with a space", post + "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + hidden, "SuspiciousHeader", "closed"},
	{"two lengths", post + "Content-Length: 0\r\n" + length + "\r\n" + hidden, "MultipleContentLength", "refused"},
	{"a folded length", post + "A: b\r\n " + length + "\r\n" + hidden, "MultilineHeader", "closed"},
	{"line feeds alone", strings.ReplaceAll(post+"Content-Length: 0\r\n\r\n", "\r\n", "\n") + hidden, "NonCrLfLineTermination", "closed"},
	{"a GET with a body", "GET /first HTTP/1.1\r\nHost: " + site + "\r\n" + length + "\r\n" + hidden, "UndefinedContentLengthSemantics", "closed"},
	{"trailers with two ends", post + "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\n" + hidden, "BadTrailer", "refused"},
}

// TestNothingIsSmuggledThroughATCPBalancer shows that desync does its work where a
// real balancer and TLS are in front of it.
func TestNothingIsSmuggledThroughATCPBalancer(t *testing.T) {
	p := newPassed(t)
	for _, port := range []int{443, 448} {
		mode, verdict := "strictest", func(smuggle) string { return "refused" }
		if port == 448 {
			mode, verdict = "defensive", func(s smuggle) string { return s.defensive }
		}
		for _, s := range smuggles {
			t.Run(mode+": "+s.name, func(t *testing.T) {
				p.backend.paths()
				counter := fmt.Sprintf(`sallyport_desync_requests_total{reason="%s",server=":%d",verdict="%s"}`, s.reason, port, verdict(s))
				before := p.gateway.metric(t, counter)
				answers := p.smuggle(t, port, s.request)
				if got := p.gateway.metric(t, counter); got != before+1 {
					t.Errorf("%s is %v, and was %v", counter, got, before)
				}
				// What is forwarded alone may still be refused by net/http, and the
				// hidden request is its body at most.
				seen := p.backend.paths()
				if len(answers) > 1 || slices.Contains(seen, "/smuggled") || verdict(s) == "refused" && len(seen) > 0 && s.reason != "BadTrailer" {
					t.Errorf("got %d, and the backend saw %q", answers, seen)
				}
				if verdict(s) == "refused" && !slices.Equal(answers, []int{400}) && s.reason != "BadTrailer" {
					t.Errorf("got %d, want 400 alone", answers)
				}
			})
		}
	}
}

// smuggle sends bytes through the balancer and returns the statuses of all that is
// answered until the gateway closes the connection.
func (p *passed) smuggle(t *testing.T, port int, request string) (answers []int) {
	t.Helper()
	conn, err := p.lab.dial(t.Context(), "client", clientA, fmt.Sprintf("%s:%d", front, port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	secure := tls.Client(conn, &tls.Config{ServerName: site, InsecureSkipVerify: true})
	if _, err := io.WriteString(secure, request); err != nil {
		t.Fatal(err)
	}
	from := bufio.NewReader(secure)
	for {
		resp, err := http.ReadResponse(from, nil)
		if err != nil {
			break
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		answers = append(answers, resp.StatusCode)
	}
	return answers
}
