package decision

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// serve runs the fallback in front of an error route, for an error that ended a
// request, and returns the answer and what was logged.
func serve(t *testing.T, ended error, route caddyhttp.HandlerFunc) (*httptest.ResponseRecorder, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	f := &Fallback{logger: zap.New(core)}
	w := httptest.NewRecorder()
	r := caddyhttp.PrepareRequest(httptest.NewRequest("GET", "/", nil), caddy.NewReplacer(), w, nil)
	r = new(caddyhttp.HTTPErrorConfig).WithError(r, ended)
	if err := f.ServeHTTP(w, r, route); err != nil {
		t.Fatal(err)
	}
	return w, logs
}

func TestErrorRoutesKeepTheirAnswer(t *testing.T) {
	refused := caddyhttp.HandlerError{StatusCode: 403}
	tests := []struct {
		name  string
		route func(w http.ResponseWriter)
		code  int
		body  string
	}{
		{"copied from a reader", func(w http.ResponseWriter) {
			w.WriteHeader(403)
			_, _ = io.Copy(w, io.LimitReader(strings.NewReader("own page"), 100))
		}, 403, "own page"},
		{"flushed before its body", func(w http.ResponseWriter) {
			w.WriteHeader(403)
			_ = http.NewResponseController(w).Flush()
			_, _ = io.WriteString(w, "own page")
		}, 403, "own page"},
		{"a second status is too late", func(w http.ResponseWriter) {
			w.WriteHeader(403)
			w.WriteHeader(404)
			_, _ = io.WriteString(w, "own page")
		}, 403, "own page"},
		{"an empty write is no body", func(w http.ResponseWriter) {
			w.WriteHeader(403)
			_, _ = w.Write(nil)
		}, 403, `"status":403`},
		{"nothing at all", func(http.ResponseWriter) {}, 403, `"status":403`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, _ := serve(t, refused, func(w http.ResponseWriter, _ *http.Request) error {
				tt.route(w)
				return nil
			})
			if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.body) {
				t.Errorf("got %d %q", w.Code, w.Body)
			}
		})
	}
}

func TestServerErrorsStayInTheLog(t *testing.T) {
	empty := func(w http.ResponseWriter, _ *http.Request) error { return nil }
	if _, logs := serve(t, caddyhttp.HandlerError{StatusCode: 502, Err: errors.New("dial failed")}, empty); logs.Len() != 1 ||
		logs.All()[0].Level != zap.ErrorLevel || !strings.Contains(fmt.Sprint(logs.All()[0].ContextMap()["error"]), "dial failed") {
		t.Errorf("502: %v", logs.All())
	}
	if _, logs := serve(t, caddyhttp.HandlerError{StatusCode: 403}, empty); logs.Len() != 0 {
		t.Errorf("403: %v", logs.All())
	}
}

func TestServerErrorsStayInTheLogWhereTheSiteAnswersThem(t *testing.T) {
	own := func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(502)
		_, err := io.WriteString(w, "sorry")
		return err
	}
	if _, logs := serve(t, caddyhttp.HandlerError{StatusCode: 502, Err: errors.New("dial failed")}, own); logs.Len() != 1 {
		t.Errorf("%d lines, want one", logs.Len())
	}
}

func TestAnErrorRouteThatFailsIsAnsweredToo(t *testing.T) {
	w, _ := serve(t, caddyhttp.HandlerError{StatusCode: 404}, func(http.ResponseWriter, *http.Request) error {
		return caddyhttp.HandlerError{StatusCode: 403}
	})
	if w.Code != 403 || !strings.Contains(w.Body.String(), `"status":403`) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}
