package auth

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/modules/auth/clientcert"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
)

func newFailures(t testing.TB, f *Failures) *failures {
	t.Helper()
	interval, window, err := f.limit()
	if err != nil {
		t.Fatal(err)
	}
	return &failures{int64(interval), int64(window), new(attempts)}
}

func from(client string, at time.Duration) *attempt {
	return &attempt{client: netip.MustParseAddr(client), now: started.Add(at)}
}

// bad is a failed attempt with a token of its own, good one that was accepted.
func bad(token string) *outcome {
	return &outcome{reason: tokenReasons[jwt.SignatureInvalid], found: [maxMembers]credential{{value: token}}, n: 1}
}

func good(token string) *outcome {
	o := bad(token)
	o.reason = nil
	return o
}

func TestFailuresAreLimitedAsConfigured(t *testing.T) {
	for _, tt := range []struct {
		name     string
		failures *Failures
		burst    int
		interval time.Duration
	}{
		{"by default", nil, 120, time.Second},
		{"a rate", &Failures{Rate: "5/10s"}, 5, 2 * time.Second},
		{"a burst", &Failures{Burst: 7}, 7, time.Second},
		{"both", &Failures{Rate: "1/h", Burst: 2}, 2, time.Hour},
	} {
		f := newFailures(t, tt.failures)
		now := time.Hour
		for n := range tt.burst {
			if f.refuse(good("x"), from("192.0.2.1", now)) {
				t.Fatalf("%s: refused after %d failures", tt.name, n)
			}
			f.learn(bad("x"), from("192.0.2.1", now))
		}
		o := good("x")
		if !f.refuse(o, from("192.0.2.1", now)) || o.reason != reasonTooMany || o.wait != tt.interval {
			t.Errorf("%s: after %d failures: %v, wait %s", tt.name, tt.burst, o.reason, o.wait)
		}
		if f.refuse(good("x"), from("192.0.2.1", now+tt.interval)) {
			t.Errorf("%s: refused at the moment that Retry-After names", tt.name)
		}
		f.learn(bad("x"), from("192.0.2.1", now+tt.interval))
		if !f.refuse(good("x"), from("192.0.2.1", now+tt.interval)) {
			t.Errorf("%s: two attempts were forgiven at once", tt.name)
		}
		if f.refuse(good("x"), from("192.0.2.2", now)) {
			t.Errorf("%s: another client is refused", tt.name)
		}
	}
}

func TestRequestsUnderWayDoNotShutAClientOutForLonger(t *testing.T) {
	f := newFailures(t, nil)
	for range 1000 {
		f.learn(bad("x"), from("192.0.2.1", 0))
	}
	if f.refuse(good("x"), from("192.0.2.1", time.Second)) {
		t.Error("refused a second later")
	}
}

func TestAnIPv6NetworkIsOneClient(t *testing.T) {
	f := newFailures(t, &Failures{Rate: "1/h"})
	f.learn(bad("x"), from("2001:db8:0:1::1", 0))
	f.learn(bad("x"), from("192.0.2.1", 0))
	for client, refused := range map[string]bool{
		"2001:db8:0:1:ffff::2": true, "2001:db8:0:2::1": false, "2001:db8:1:1::1": false,
		"192.0.2.1": true, "::ffff:192.0.2.1": true, "192.0.2.2": false, "::1": false,
	} {
		if got := f.refuse(good("x"), from(client, 0)); got != refused {
			t.Errorf("%s: refused %v", client, got)
		}
	}
}

func TestWhatIsNoFailure(t *testing.T) {
	counted := map[string]bool{
		"auth.token_malformed": true, "auth.token_signature": true, "auth.token_key": true, "auth.token_audience": true,
		"auth.key_unknown": true, "auth.key_revoked": true, "auth.incomplete": true,
		"auth.token_expired": false, "auth.token_not_yet_valid": false, "auth.key_expired": false, "auth.key_not_yet_valid": false,
		"auth.keys_unavailable": false, "auth.failed": false, "auth.several_credentials": false, "auth.too_many_failures": false,
	}
	reasons := []*outcome{{reason: reasonIncomplete}, {reason: reasonFailed}, {reason: reasonSeveral}, {reason: reasonTooMany}}
	for _, reason := range tokenReasons {
		reasons = append(reasons, &outcome{reason: reason})
	}
	for _, reason := range keyReasons {
		reasons = append(reasons, &outcome{reason: reason})
	}
	for _, o := range reasons {
		want, listed := counted[o.reason.Code]
		delete(counted, o.reason.Code)
		f := newFailures(t, &Failures{Rate: "1/h"})
		o.n = 1
		f.learn(o, from("192.0.2.1", 0))
		if got := f.refuse(good("x"), from("192.0.2.1", 0)); listed && got != want {
			t.Errorf("%s counts: %v", o.reason.Code, got)
		}
	}
	if len(counted) > 0 {
		t.Errorf("no reasons: %v", counted)
	}
	f := newFailures(t, &Failures{Rate: "1/h"})
	f.learn(&outcome{reason: reasonNone}, from("192.0.2.1", 0))
	f.learn(&outcome{reason: certificateReasons[clientcert.ErrIssuer]}, from("192.0.2.1", 0))
	f.learn(&outcome{reason: tokenReasons[jwt.SignatureInvalid]}, from("192.0.2.1", 0))
	if f.refuse(good("x"), from("192.0.2.1", 0)) {
		t.Error("a request to which nothing was attached counts")
	}
}

func TestCredentialsThatWereAcceptedLatelyPass(t *testing.T) {
	f := newFailures(t, &Failures{Rate: "1/h"})
	f.learn(good("seen"), from("192.0.2.9", 0))
	f.learn(bad("guess"), from("192.0.2.1", 0))
	if f.refuse(good("seen"), from("192.0.2.1", 0)) {
		t.Error("a neighbour's token is refused")
	}
	for _, unseen := range []string{"guess", "see", "seen2", ""} {
		if !f.refuse(good(unseen), from("192.0.2.1", 0)) {
			t.Errorf("%q is not refused", unseen)
		}
	}
	group := good("seen")
	group.found[1], group.n = credential{value: "guess"}, 2
	if !f.refuse(group, from("192.0.2.1", 0)) {
		t.Error("a guess beside a token that was seen is not refused")
	}
}

func address(n int) string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(n))
	return netip.AddrFrom4(b).String()
}

func TestAFloodOfAddressesFreesNoOffenderAndNeedsNoMore(t *testing.T) {
	f := newFailures(t, nil)
	const offenders = 1000
	for n := range offenders {
		for range 120 {
			f.learn(bad("x"), from(address(n), 0))
		}
	}
	for n := range 1_000_000 {
		f.learn(bad("x"), from(address(1<<24+n), 0))
	}
	for n := range offenders {
		if !f.refuse(good("x"), from(address(n), 0)) {
			t.Fatalf("offender %d is free", n)
		}
	}
	const innocents = 10_000
	refused := 0
	for n := range innocents {
		if f.refuse(good("x"), from(address(1<<30+n), 0)) {
			refused++
		}
	}
	if refused > innocents/100 {
		t.Errorf("%d of %d innocents are refused", refused, innocents)
	}
	if size := unsafe.Sizeof(*f.attempts) + unsafe.Sizeof(*f.sketch.Load()); size > 2<<20 {
		t.Errorf("%d bytes", size)
	}
}

// A limit is kept where many requests of a client fail at once.
func TestFailuresAtTheSameTimeAreAllCounted(t *testing.T) {
	f := newFailures(t, nil)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 30 {
				f.learn(bad("x"), from("192.0.2.1", 0))
			}
		})
	}
	all.Wait()
	o := good("x")
	if !f.refuse(o, from("192.0.2.1", 0)) || o.wait != time.Second {
		t.Errorf("after 120 failures the wait is %s", o.wait)
	}
}

func TestNothingIsVerifiedBeyondTheLimit(t *testing.T) {
	var asked int
	tree := tree{
		doors:    []door{{source{inHeader, "Key"}, accepts{leaf{0, 0}, &asked}}, {source{inHeader, "Other"}, accepts{leaf{1, 0}, &asked}}, {source{inHeader, "More"}, accepts{leaf{1, 1}, &asked}}},
		branches: []branch{{doors: 1}, {doors: 6, group: true}},
		grouped:  6,
		failures: newFailures(t, &Failures{Rate: "1/h"}),
	}
	for _, headers := range []http.Header{{"Key": {"k"}}, {"Other": {"k"}, "More": {"k"}}} {
		asked, tree.failures.attempts = 0, new(attempts)
		tree.failures.learn(bad("x"), from("192.0.2.1", 0))
		r := httptest.NewRequest("GET", "/", nil)
		r.Header = headers
		a := from("192.0.2.1", 0)
		a.r = r
		if o := tree.judge(a); o.reason != reasonTooMany || asked != 0 {
			t.Errorf("got %v, asked %d times", o.reason, asked)
		}
		a = from("192.0.2.2", 0)
		a.r = r
		if o := tree.judge(a); o.reason != nil || asked == 0 {
			t.Errorf("another client: got %v, asked %d times", o.reason, asked)
		}
	}
}

func TestTheLimitAllocatesNothing(t *testing.T) {
	f := newFailures(t, nil)
	f.learn(bad("x"), from("192.0.2.9", 0))
	a, o := from("2001:db8::1", 0), good("a token")
	if n := testing.AllocsPerRun(100, func() {
		f.refuse(o, a)
		f.learn(o, a)
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func BenchmarkFailures(b *testing.B) {
	f := newFailures(b, nil)
	a, o := from("2001:db8::1", 0), good(fmt.Sprintf("%600d", 1))
	for _, bench := range []string{"nobody_failed", "others_failed"} {
		b.Run(bench, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.refuse(o, a)
				f.learn(o, a)
			}
		})
		f.learn(bad("x"), from("192.0.2.9", 0))
	}
}

func FuzzFailures(f *testing.F) {
	for _, s := range []string{"off", "60/m", "60/m burst 120", "60/m burst", "1/d burst 2", "burst 3", "off off", "1000000/s burst 1000000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d := caddyfile.NewTestDispenser("failures " + text)
		d.Next()
		var failures Failures
		if failures.unmarshal(d) != nil || len(failures.check()) > 0 {
			return
		}
		interval, window, err := failures.limit()
		if err != nil || interval < time.Microsecond || window < interval || window > maxFailureWindow {
			t.Errorf("%q: %s, %s, %v", text, interval, window, err)
		}
	})
}
