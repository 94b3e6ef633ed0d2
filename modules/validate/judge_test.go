package validate

import (
	"net/http"
	"net/http/httptest"
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
