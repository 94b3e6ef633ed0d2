package jwks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// jwk is an Ed25519 key, of RFC 8037 appendix A.2, under another id.
func jwk(id string) string {
	return fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":%q,"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`, id)
}

func set(ids ...string) string {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = jwk(id)
	}
	return `{"keys":[` + strings.Join(keys, ",") + `]}`
}

// issuer is a transport that answers by itself and counts.
type issuer struct {
	mu      sync.Mutex
	fetches []time.Time
	answer  func(*http.Request) (*http.Response, error)
	delay   time.Duration
}

func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	i.mu.Lock()
	i.fetches = append(i.fetches, time.Now())
	answer, delay := i.answer, i.delay
	i.mu.Unlock()
	time.Sleep(delay)
	return answer(r)
}

// slow makes every answer take its time.
func (i *issuer) slow(d time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.delay = d
}

func (i *issuer) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.fetches)
}

func (i *issuer) says(status int, body string, header ...string) {
	h := http.Header{}
	for n := 0; n < len(header); n += 2 {
		h.Set(header[n], header[n+1])
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

func (i *issuer) fails(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = func(*http.Request) (*http.Response, error) { return nil, err }
}

// redirects sends whoever asks for the right URL to another one, which has keys.
func (i *issuer) redirects(location string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = func(r *http.Request) (*http.Response, error) {
		if r.URL.String() == "https://issuer.example/keys" {
			return &http.Response{StatusCode: 302, Header: http.Header{"Location": {location}}, Body: http.NoBody, Request: r}, nil
		}
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(set("evil", "evil2"))), Request: r}, nil
	}
}

// hangs never answers.
func (i *issuer) hangs() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	}
}

// run gives body a started source in a bubble with its own clock, after its
// first fetch.
func run(t *testing.T, prepare func(*issuer), body func(*testing.T, *Source, *issuer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		i := new(issuer)
		prepare(i)
		s := newSource(Config{URL: "https://issuer.example/keys"}, i, nil)
		defer s.Close()
		s.Start()
		synctest.Wait()
		body(t, s, i)
	})
}

func good(i *issuer) { i.says(200, set("a")) }

// pass lets time go by and the source do what it wants to do then.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func keys(t *testing.T, s *Source, want int) {
	t.Helper()
	got, err := s.Keys(time.Now())
	switch {
	case err != nil && want > 0:
		t.Errorf("no keys: %v", err)
	case err == nil && got.Len() != want:
		t.Errorf("%d keys, want %d", got.Len(), want)
	}
}

// miss is a token that the keys in force do not verify.
func miss(s *Source) (*jwt.KeySet, error) {
	seen, _ := s.Keys(time.Now())
	return s.Missed(context.Background(), seen)
}

func TestNothingIsFetchedBeforeStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := new(issuer)
		good(i)
		s := newSource(Config{URL: "https://issuer.example/keys"}, i, nil)
		pass(time.Hour)
		if i.count() != 0 {
			t.Error("it fetched")
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		s.Start()
		pass(time.Hour)
		if i.count() != 0 {
			t.Error("it fetched after Close")
		}
	})
}

func TestWhoNeedsKeysStartsTheSource(t *testing.T) {
	for name, need := range map[string]func(*Source) error{
		"a token":   func(s *Source) error { _, err := s.Keys(time.Now()); return err },
		"readiness": (*Source).Ready,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := new(issuer)
				good(i)
				s := newSource(Config{URL: "https://issuer.example/keys"}, i, nil)
				defer s.Close()
				if err := need(s); err != ErrNotLoaded {
					t.Errorf("got %v", err)
				}
				synctest.Wait()
				if err := need(s); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestRefresh(t *testing.T) {
	tests := []struct {
		name         string
		cacheControl string
		want         time.Duration
	}{
		{"15 minutes by default", "", 15 * time.Minute},
		{"as long as the issuer says", "public, max-age=1800", 30 * time.Minute},
		{"at most one hour", "max-age=86400", time.Hour},
		{"at least one minute", "max-age=0", time.Minute},
		{"no-store means one minute", "no-store, max-age=3600", time.Minute},
		{"no-cache means one minute", "No-Cache", time.Minute},
		{"nonsense is the default", "max-age=soon", 15 * time.Minute},
		{"a number that does not fit is the default", "max-age=99999999999999999999", 15 * time.Minute},
		{"a negative number is the default", "max-age=-1", 15 * time.Minute},
		{"the name is not case-sensitive", `Max-Age="600"`, 10 * time.Minute},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			run(t, func(i *issuer) { i.says(200, set("a"), "Cache-Control", test.cacheControl) }, func(t *testing.T, s *Source, i *issuer) {
				pass(test.want * 9 / 10)
				if n := i.count(); n != 1 {
					t.Errorf("%d fetches before nine tenths", n)
				}
				pass(test.want / 10)
				if n := i.count(); n != 2 {
					t.Errorf("%d fetches in all", n)
				}
			})
		})
	}
}

// Case J4: whatever the URL answers, the last good keys stay for 24 hours.
func TestOutage(t *testing.T) {
	tests := []struct {
		name   string
		broken func(*issuer)
	}{
		{"500", func(i *issuer) { i.says(500, set("evil")) }},
		{"404", func(i *issuer) { i.says(404, "") }},
		{"204", func(i *issuer) { i.says(204, "") }},
		{"no connection", func(i *issuer) { i.fails(errors.New("connection refused")) }},
		{"no answer", func(i *issuer) { i.hangs() }},
		{"a page of HTML", func(i *issuer) { i.says(200, "<html></html>") }},
		{"an empty object", func(i *issuer) { i.says(200, "{}") }},
		{"no keys", func(i *issuer) { i.says(200, `{"keys":[]}`) }},
		{"only unusable keys", func(i *issuer) { i.says(200, `{"keys":[{"kty":"oct","k":"AA"}]}`) }},
		{"a byte too many", func(i *issuer) { i.says(200, set("evil")+strings.Repeat(" ", maxBody)) }},
		{"a redirect to another host", func(i *issuer) { i.redirects("https://evil.example/keys") }},
		{"a redirect to the metadata service", func(i *issuer) { i.redirects("http://169.254.169.254/") }},
		{"a redirect to http", func(i *issuer) { i.redirects("http://issuer.example/keys") }},
		{"a redirect to another port", func(i *issuer) { i.redirects("https://issuer.example:8443/keys") }},
		{"a redirect with credentials", func(i *issuer) { i.redirects("https://user:password@issuer.example/keys2") }},
		{"a redirect in a circle", func(i *issuer) { i.redirects("/keys") }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			run(t, good, func(t *testing.T, s *Source, i *issuer) {
				test.broken(i)
				pass(23 * time.Hour)
				keys(t, s, 1)
				pass(time.Hour + time.Second)
				if _, err := s.Keys(time.Now()); err != ErrStale {
					t.Errorf("after 24 hours: %v", err)
				}
				if s.Ready() != nil {
					t.Error("no longer ready")
				}
				good(i)
				pass(maxRetry)
				keys(t, s, 1)
			})
		})
		t.Run(test.name+" at the start", func(t *testing.T) {
			run(t, test.broken, func(t *testing.T, s *Source, i *issuer) {
				pass(10 * time.Minute)
				if _, err := s.Keys(time.Now()); err != ErrNotLoaded {
					t.Errorf("got %v", err)
				}
				if s.Ready() != ErrNotLoaded {
					t.Error("ready without keys")
				}
				good(i)
				_, _ = s.Keys(time.Now())         // the fetch that asking above caused may have been under way
				pass(missInterval + fetchTimeout) // asking brought the next one forward
				keys(t, s, 1)
				if err := s.Ready(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestRetriesSlowDown(t *testing.T) {
	run(t, func(i *issuer) { i.says(500, "") }, func(t *testing.T, s *Source, i *issuer) {
		pass(24 * time.Hour)
		if n := i.count(); n < 24*60/5 || n > 24*60/5+60 {
			t.Errorf("%d fetches in a day", n)
		}
		for n := 2; n < 8; n++ {
			if i.fetches[n].Sub(i.fetches[n-1]) < i.fetches[n-1].Sub(i.fetches[n-2]) {
				t.Errorf("retry %d comes sooner than the one before", n)
			}
		}
	})
}

func TestARedirectWithinTheHostIsFollowed(t *testing.T) {
	run(t, func(i *issuer) { i.redirects("/v2/keys") }, func(t *testing.T, s *Source, i *issuer) {
		keys(t, s, 2)
	})
}

func TestOneBadKeyDoesNotBreakTheSet(t *testing.T) {
	run(t, func(i *issuer) {
		i.says(200, `{"keys":[`+jwk("a")+`,{"kty":"RSA","kid":"b","n":"AQ","e":"AQAB"},`+jwk("c")+`]}`)
	}, func(t *testing.T, s *Source, i *issuer) {
		keys(t, s, 2)
		got, _ := s.Keys(time.Now())
		if len(got.Skipped()) != 1 {
			t.Errorf("left out: %v", got.Skipped())
		}
	})
}

func TestCloseEndsAFetchInProgress(t *testing.T) {
	run(t, (*issuer).hangs, func(t *testing.T, s *Source, i *issuer) {
		began := time.Now()
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Error(err)
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("it took %s", waited)
		}
	})
}

func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := new(issuer)
		i.says(503, "")
		var log []string
		s := newSource(Config{URL: "https://issuer.example/keys"}, i, func(e Event) {
			n := 0
			if e.Keys != nil {
				n = e.Keys.Len()
			}
			log = append(log, fmt.Sprintf("%d keys, %v", n, e.Err))
		})
		defer s.Close()
		s.Start()
		pass(time.Hour)
		good(i)
		pass(time.Hour)
		i.says(404, "")
		pass(time.Hour)
		i.says(200, set("a", "b"))
		pass(time.Hour)
		i.fails(errors.New("no route"))
		pass(time.Hour)
		i.says(200, set("a", "b"))
		pass(time.Hour)
		want := []string{"0 keys, status 503", "1 keys, <nil>", "1 keys, status 404", "2 keys, <nil>",
			"2 keys, no route", "2 keys, <nil>"}
		if strings.Join(log, "\n") != strings.Join(want, "\n") {
			t.Errorf("got\n%s", strings.Join(log, "\n"))
		}
	})
}
