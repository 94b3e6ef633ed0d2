package ratelimiter

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

const (
	policyA = `"a";q=1;w=1`
	limitA  = `"a";r=0;t=1`
	policyB = `"b";q=1;w=1`
	limitB  = `"b";r=0;t=1`
)

// limiterOf is a limiter with one zone of this name, of one request a second.
func limiterOf(t *testing.T, name string) (*limiter, []charge) {
	t.Helper()
	limit := mustLimit(t, "1/s", 1, minKeys)
	l := &limiter{zones: []zone{{table: newTable(), limit: *limit, item: item(name)}}}
	l.policy = &policyList{items: policyItem(name, limit)}
	_, c := take(l.zones[0].table, limit, 1, at(0))
	return l, []charge{c}
}

// advertise passes r through the limiter a.
func advertise(t *testing.T, w http.ResponseWriter, next caddyhttp.HandlerFunc) error {
	t.Helper()
	l, charges := limiterOf(t, "a")
	return l.advertise(w, httptest.NewRequest("GET", "/", nil), next, l.policy, charges)
}

func TestTheFieldsAreTheGatewaysHoweverTheResponseIsSent(t *testing.T) {
	for name, send := range map[string]func(w http.ResponseWriter) error{
		"by WriteHeader": func(w http.ResponseWriter) error {
			w.WriteHeader(204)
			return nil
		},
		"by Write": func(w http.ResponseWriter) error {
			_, err := w.Write([]byte("ok"))
			return err
		},
		"by ReadFrom": func(w http.ResponseWriter) error {
			_, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("ok"))
			return err
		},
		"by Flush": func(w http.ResponseWriter) error {
			return http.NewResponseController(w).Flush()
		},
		"by switching protocols": func(w http.ResponseWriter) error {
			w.WriteHeader(101)
			return nil
		},
		"by returning": func(http.ResponseWriter) error { return nil },
		"after a hint": func(w http.ResponseWriter) error {
			w.WriteHeader(103)
			w.Header().Add("RateLimit", "late")
			w.WriteHeader(200)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			recorder := httptest.NewRecorder()
			next := func(w http.ResponseWriter, _ *http.Request) error {
				w.Header().Add("RateLimit", "limit=1")
				w.Header().Set("RateLimit-Policy", "1;w=1")
				return send(w)
			}
			if err := advertise(t, recorder, next); err != nil {
				t.Fatal(err)
			}
			h := recorder.Result().Header
			if len(h["Ratelimit"]) != 1 || h.Get("RateLimit") != limitA || len(h["Ratelimit-Policy"]) != 1 || h.Get("RateLimit-Policy") != policyA {
				t.Errorf("%q, %q", h["Ratelimit"], h["Ratelimit-Policy"])
			}
		})
	}
}

func TestAnErrorFurtherInKeepsTheFields(t *testing.T) {
	recorder := httptest.NewRecorder()
	failed := errors.New("failed")
	next := func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Add("RateLimit", "limit=1")
		return failed
	}
	if err := advertise(t, recorder, next); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	if h := recorder.Header(); len(h["Ratelimit"]) != 1 || h.Get("RateLimit") != limitA {
		t.Errorf("%q", h["Ratelimit"])
	}
}

// wrapped is a writer of another module between two guards.
type wrapped struct {
	*caddyhttp.ResponseWriterWrapper
}

func TestGuardsFindEachOtherThroughOtherWriters(t *testing.T) {
	recorder := httptest.NewRecorder()
	b, charges := limiterOf(t, "b")
	next := func(w http.ResponseWriter, r *http.Request) error {
		between := wrapped{&caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
		return b.advertise(between, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(200)
			return nil
		}), b.policy, charges)
	}
	if err := advertise(t, recorder, next); err != nil {
		t.Fatal(err)
	}
	h := recorder.Result().Header
	if h.Get("RateLimit") != limitA+", "+limitB || h.Get("RateLimit-Policy") != policyA+", "+policyB {
		t.Errorf("%q, %q", h["Ratelimit"], h["Ratelimit-Policy"])
	}
}

func TestARefusalOfTheInnerGuardIsNotOverwritten(t *testing.T) {
	recorder := httptest.NewRecorder()
	refused := errors.New("refused")
	b, charges := limiterOf(t, "b")
	next := func(w http.ResponseWriter, _ *http.Request) error {
		charges[0].refused = true
		b.advertiseRefusal(w, b.policy, charges)
		return refused
	}
	if err := advertise(t, recorder, next); !errors.Is(err, refused) {
		t.Fatal(err)
	}
	h := recorder.Header()
	if h.Get("RateLimit") != limitB || h.Get("RateLimit-Policy") != policyA+", "+policyB {
		t.Errorf("%q, %q", h["Ratelimit"], h["Ratelimit-Policy"])
	}
}

// endless is a writer that unwraps to itself.
type endless struct{ http.ResponseWriter }

func (e endless) Unwrap() http.ResponseWriter { return e }

func TestAWriterThatUnwrapsToItselfEnds(t *testing.T) {
	if claimed(endless{httptest.NewRecorder()}) != nil {
		t.Error("found")
	}
}
