package problem_test

import (
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
	_ "github.com/sallyport-gateway/sallyport/modules/problem"
)

func TestProblemAnswersErrorsWithoutAnyGuard(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\terror /teapot \"secret detail\" 418\n\terror \"secret detail\" 503\n\thandle_errors {\n\t\tproblem\n\t}\n}\n")
	for target, want := range map[string]string{"/teapot": `"status":418`, "/": `"title":"Service Unavailable","status":503,"request_id":"`} {
		resp := g.Do(t, "GET", target)
		if !strings.Contains(resp.Body, want) || strings.Contains(resp.Body, "secret") || resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %v %s", target, resp.Header, resp.Body)
		}
	}
}

func TestProblemOutsideOfHandleErrorsIsAServerError(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\tproblem\n}\n")
	if resp := g.Do(t, "GET", "/"); resp.Status != 500 {
		t.Errorf("got %d", resp.Status)
	}
}

func TestProblemHasNoOptions(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\tproblem\n}\n")
	for _, directive := range []string{"problem /x", "problem x", "problem {\n\t\ttype x\n\t}"} {
		if err := g.Reload(t, "{$ADDR} {\n\t"+directive+"\n}\n"); err == nil || !strings.Contains(err.Error(), "Caddyfile:") {
			t.Errorf("%s: got %v, want an error with file and line", directive, err)
		}
	}
}
