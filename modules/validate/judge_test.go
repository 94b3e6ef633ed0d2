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
