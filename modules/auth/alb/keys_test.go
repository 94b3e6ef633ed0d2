package alb

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestKeysAreKeptWhileTheServerFailsAndNotForEver(t *testing.T) {
	s := newServer()
	k := keysOf(t, s, here)
	begin := time.Now()
	if _, err := k.Get(t.Context(), kid, begin); err != nil {
		t.Fatal(err)
	}
	s.change(func() { s.fail = errors.New("down") })
	for _, tt := range []struct {
		after time.Duration
		asks  int
		want  error
	}{
		{refreshAfter, 1, nil},                      // nothing to do yet
		{refreshAfter + time.Minute, 2, nil},        // looked at again, in vain
		{refreshAfter + time.Minute + 1, 3, nil},    // the test's clock runs ahead of the last attempt
		{maxStale - time.Minute, 4, nil},            // still good
		{maxStale + time.Minute, 5, ErrUnavailable}, // no more
	} {
		got, err := k.Get(t.Context(), kid, begin.Add(tt.after))
		k.done.Wait()
		if !errors.Is(err, tt.want) || (got == nil) != (err != nil) || s.requests() > tt.asks {
			t.Errorf("after %s: got %v, %v with %d requests", tt.after, got, err, s.requests())
		}
	}
	if k.current(kid, begin.Add(maxStale+time.Minute)) != nil {
		t.Error("the old key is still in force for what is remembered")
	}
	s.change(func() { s.fail = nil })
	before := k.records[kid].at
	_, _ = k.Get(t.Context(), kid, begin.Add(maxStale+time.Hour))
	if !k.records[kid].at.After(before) {
		t.Error("the server came back and the key did not")
	}
}

func TestAServerThatFailsIsNoFaultOfTheAssertion(t *testing.T) {
	for name, file := range map[string][]byte{
		"HTML": []byte("<html>"), "a private key": pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: []byte("x")}),
		"two keys":      append(publicPEM(key.Public()), publicPEM(otherKey.Public())...),
		"another curve": publicPEM(func() any { k, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader); return k.Public() }()),
		"a JWK set":     []byte(`{"keys":[]}`),
		"nothing":       nil,
	} {
		s := newServer()
		s.files[here+kid] = file
		v := newVerifier(t, s)
		if who, err := v.Verify(t.Context(), sign(key, header(nil), claims), testNow); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: got %+v, %v", name, who, err)
		}
	}
}

func TestRequestsWaitForOneFetch(t *testing.T) {
	s := newServer()
	s.hold = make(chan struct{})
	k := keysOf(t, s, here)
	var good atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got, err := k.Get(t.Context(), kid, testNow); err == nil && got != nil {
				good.Add(1)
			}
		})
	}
	for waiting := 0; waiting < 20; {
		k.mu.RLock()
		waiting = k.waiting
		k.mu.RUnlock()
	}
	close(s.hold)
	all.Wait()
	if good.Load() != 20 || s.requests() != 1 {
		t.Errorf("%d of 20 got the key with %d requests", good.Load(), s.requests())
	}
}

func TestWaitingIsBounded(t *testing.T) {
	s := newServer()
	s.hold = make(chan struct{})
	k := keysOf(t, s, here)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.Get(gone, kid, testNow); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a client that is gone waits: %v", err)
	}
	k.mu.Lock()
	k.waiting = maxWaiting
	k.mu.Unlock()
	if _, err := k.Get(t.Context(), kid, testNow); !errors.Is(err, ErrUnavailable) {
		t.Errorf("one too many waits: %v", err)
	}
	close(s.hold)
	k.done.Wait()
	if n := s.requests(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func someID(i int) string {
	return "00000000-0000-0000-0000-" + strings.Repeat("0", 9) + string([]byte{hex(i / 256), hex(i / 16), hex(i)})
}

func hex(i int) byte { return "0123456789abcdef"[i%16] }

func TestForgedKeyIDsCauseFewRequestsAndTakeLittleRoom(t *testing.T) {
	s := newServer()
	k := keysOf(t, s, here)
	if _, err := k.Get(t.Context(), kid, testNow); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for i := range 500 {
		if _, err := k.Get(t.Context(), someID(i), testNow); errors.Is(err, ErrUnavailable) {
			refused++
		}
	}
	if n := s.requests(); n > fetchBurst {
		t.Errorf("%d requests", n)
	}
	if len(k.records) > maxKeys {
		t.Errorf("%d ids are remembered", len(k.records))
	}
	if refused == 0 {
		t.Error("an id that nobody was asked about is called unknown")
	}
	if got := k.current(kid, testNow); got == nil {
		t.Error("the good key had to make room")
	}
	// After a while others can be asked for again.
	before := s.requests()
	_, _ = k.Get(t.Context(), otherKid, testNow.Add(time.Hour))
	if s.requests() != before+1 {
		t.Error("it is not asked for")
	}
}

func TestAMissingKeyIsAskedForAgainAfterAWhile(t *testing.T) {
	s := newServer()
	k := keysOf(t, s, here)
	begin := time.Now()
	for range 3 {
		if _, err := k.Get(t.Context(), otherKid, begin); !errors.Is(err, ErrKey) {
			t.Fatalf("got %v", err)
		}
	}
	if n := s.requests(); n != 1 {
		t.Errorf("%d requests", n)
	}
	s.change(func() { s.files[here+otherKid] = publicPEM(otherKey.Public()) })
	if _, err := k.Get(t.Context(), otherKid, time.Now().Add(missingFor+time.Second)); err != nil {
		t.Errorf("got %v", err)
	}
}

// What a server said about a key is no answer any more once it fails, or is not asked
// for want of room: a key may be new to it.
func TestWhatWasMissingIsNotBelievedForEver(t *testing.T) {
	for name, prevent := range map[string]func(*server, *Keys, time.Time){
		"the server fails": func(s *server, _ *Keys, _ time.Time) { s.change(func() { s.fail = errors.New("away") }) },
		"too many others are asked for": func(_ *server, k *Keys, later time.Time) {
			for i := range fetchBurst {
				_, _ = k.Get(t.Context(), someID(i), later)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer()
			k := keysOf(t, s, here)
			if _, err := k.Get(t.Context(), otherKid, time.Now()); !errors.Is(err, ErrKey) {
				t.Fatalf("got %v", err)
			}
			later := time.Now().Add(missingFor + time.Second)
			prevent(s, k, later)
			for range 2 {
				if _, err := k.Get(t.Context(), otherKid, later); !errors.Is(err, ErrUnavailable) {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

// As when a reload changes how one server is reached.
func TestMetricsStayWhileOthersUseTheServer(t *testing.T) {
	s := newServer()
	old, next := keysOf(t, s, "https://m.example/"), keysOf(t, s, "https://m.example/")
	if _, err := next.Get(t.Context(), kid, testNow); err == nil {
		t.Fatal("there is such a key")
	}
	count := func() int {
		ch := make(chan prometheus.Metric, 100)
		fetches.Collect(ch)
		return len(ch)
	}
	for _, k := range []*Keys{old, next} {
		if n := count(); n < 3 {
			t.Errorf("%d metrics", n)
		}
		_ = k.Close()
	}
	if n := count(); n != 0 {
		t.Errorf("%d metrics of nobody", n)
	}
}

func TestCloseEndsAFetch(t *testing.T) {
	s := newServer()
	s.hold = make(chan struct{})
	k := NewKeys(here, s.get)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = k.Get(gone, kid, testNow)
	if err := k.Close(); err != nil { // returns
		t.Fatal(err)
	}
	if _, err := k.Get(t.Context(), kid, testNow.Add(time.Hour)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if n := s.requests(); n > 1 {
		t.Errorf("%d requests", n)
	}
	_ = k.Close()
}

func TestWhereKeysAre(t *testing.T) {
	arn := func(partition, region string) string {
		return "arn:" + partition + ":elasticloadbalancing:" + region + ":111122223333:loadbalancer/app/edge/50dc6c495c0c9188"
	}
	for _, tt := range []struct{ arn, want string }{
		{ours, "https://public-keys.auth.elb.eu-central-1.amazonaws.com/"},
		{arn("aws-us-gov", "us-gov-west-1"), "https://s3-us-gov-west-1.amazonaws.com/aws-elb-public-keys-prod-us-gov-west-1/"},
		{arn("aws-us-gov", "us-gov-east-1"), "https://s3-us-gov-east-1.amazonaws.com/aws-elb-public-keys-prod-us-gov-east-1/"},
		{arn("aws-us-gov", "us-east-1"), ""},
		{arn("aws", "us-gov-west-1"), ""},
		{arn("aws-cn", "cn-north-1"), ""},
		{arn("aws", "evil.example/-1"), ""},
		{arn("aws", "x@evil-1"), ""},
		{strings.Replace(ours, "/app/", "/net/", 1), ""},
		{ours + "\n", ""},
		{"", ""},
	} {
		if got, err := KeysOf(tt.arn); got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: got %q, %v", tt.arn, got, err)
		}
	}
}

// watched is a context that knows whether somebody waited for its end.
type watched struct {
	context.Context
	waited bool
}

func (w *watched) Done() <-chan struct{} {
	w.waited = true
	return w.Context.Done()
}

func TestOneTooManyDoesNotWait(t *testing.T) {
	s := newServer()
	s.hold = make(chan struct{})
	k := keysOf(t, s, here)
	k.waiting = maxWaiting
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := &watched{Context: ctx}
	if _, err := k.Get(w, kid, testNow); !errors.Is(err, ErrUnavailable) || w.waited {
		t.Errorf("got %v, waited: %v", err, w.waited)
	}
	k.waiting = 0
	if _, err := k.Get(w, kid, testNow); !errors.Is(err, ErrUnavailable) || !w.waited {
		t.Errorf("got %v, waited: %v", err, w.waited)
	}
}
