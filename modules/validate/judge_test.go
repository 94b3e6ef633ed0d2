package validate

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/canonical"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/validate/param"
)

// TestARequestWithoutABodyCostsNoAllocation, when it is allowed.
func TestARequestWithoutABodyCostsNoAllocation(t *testing.T) {
	h := &Handler{
		Methods: []string{"GET", "POST"}, MaxURI: 100, MaxHeaders: 50, MaxHeaderSize: 1000, ContentTypes: []string{"application/json"},
		Query:        []param.Rule{{Name: "page", Type: param.Integer, Range: []string{"1", "100"}}, {Name: "q", Pattern: "[a-z]+"}},
		QueryUnknown: reject, JSON: &JSON{Required: true},
	}
	if err := h.check(); err != nil {
		t.Fatal(err)
	}
	h.compile()
	r := httptest.NewRequest("GET", "/?page=7&q=abc", http.NoBody)
	req := &guard.Request{Request: canonical.Request{Method: "GET", Path: "/", RawQuery: "page=7&q=abc"}}
	allocations := testing.AllocsPerRun(100, func() {
		if found := h.judge(req, r); found.reason != nil {
			t.Fatal(found.reason.Code)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

// TestWhatBreaksABodyOffIsNotQuoted in the log: net/http's errors quote trailers.
func TestWhatBreaksABodyOffIsNotQuoted(t *testing.T) {
	h := &Handler{JSON: new(JSON)}
	if err := h.check(); err != nil {
		t.Fatal(err)
	}
	h.compile()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" +
		"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nsecretvalue without a colon\r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	found := h.judge(&guard.Request{Request: canonical.Request{Method: "POST", Path: "/"}}, r)
	if found.reason != reasonBodyIncomplete || found.cause == nil || strings.Contains(found.cause.Error(), "secretvalue") {
		t.Errorf("got %v, cause %v", found.reason, found.cause)
	}
}

// TestABodyIsHandedOnWithoutTrailers: they were not looked at.
func TestABodyIsHandedOnWithoutTrailers(t *testing.T) {
	h := &Handler{JSON: new(JSON)}
	if err := h.check(); err != nil {
		t.Fatal(err)
	}
	h.compile()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" +
		"Transfer-Encoding: chunked\r\nTrailer: X-Late\r\n\r\n2\r\n{}\r\n0\r\nX-Late: 1\r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	found := h.judge(&guard.Request{Request: canonical.Request{Method: "POST", Path: "/"}}, r)
	if found.reason != nil || r.Trailer != nil || r.ContentLength != 2 || r.TransferEncoding != nil {
		t.Errorf("got %v, trailer %v, length %d, coding %v", found.reason, r.Trailer, r.ContentLength, r.TransferEncoding)
	}
}

func TestAContentTypeHasOneReading(t *testing.T) {
	for _, values := range [][]string{
		{"application/json", "application/json"}, {"application/json", "text/plain"}, {"application/json, text/plain"},
		{"application/json; charset=utf-8; charset=utf-16"}, {"json"}, {""}, {"application/json; charset"},
	} {
		if media, charset, ok := contentType(values); ok {
			t.Errorf("%q: %q %q", values, media, charset)
		}
	}
	for _, value := range []string{"application/json; charset=utf-16", "application/json; charset*=us-ascii''utf-16", "Application/JSON; CHARSET=\"utf-16\""} {
		if media, charset, ok := contentType([]string{value}); !ok || media != "application/json" || charset != "utf-16" {
			t.Errorf("%q: %q %q %v", value, media, charset, ok)
		}
	}
}
