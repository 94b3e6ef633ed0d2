package jwks

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// value is what the only series of a metric has, or -1 if there is none.
func value(t *testing.T, name *prometheus.Desc) float64 {
	t.Helper()
	ch := make(chan prometheus.Metric, 64)
	collector{}.Collect(ch)
	close(ch)
	found := -1.0
	for m := range ch {
		var d dto.Metric
		if err := m.Write(&d); err != nil {
			t.Fatal(err)
		}
		if m.Desc() != name {
			continue
		}
		if found != -1 {
			t.Errorf("%s has two series", name)
		}
		found = d.GetGauge().GetValue() + d.GetCounter().GetValue()
	}
	return found
}

func TestASourceIsMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := new(issuer)
		server.fails(errors.New("down"))
		s := newSource(Config{URL: "https://issuer.example/keys"}, server, nil)
		for desc, want := range map[*prometheus.Desc]float64{lastFetched: 0, staleAt: 0, keysInForce: 0, failedFetches: 0, tokenFetches: 0} {
			if got := value(t, desc); got != want {
				t.Errorf("before the first fetch: %s is %v, want %v", desc, got, want)
			}
		}
		s.Start()
		synctest.Wait()
		if got := value(t, failedFetches); got != 1 {
			t.Errorf("%v failures, want 1", got)
		}
		server.says(200, set("a", "b"))
		pass(minRetry)
		fetched := value(t, lastFetched)
		if age := float64(time.Now().UnixMilli())/1000 - fetched; age < 0 || age > 1 {
			t.Errorf("fetched at %v, %v seconds ago", fetched, age)
		}
		if got := value(t, staleAt) - fetched; got != DefaultMaxStale.Seconds() {
			t.Errorf("stale after %v seconds", got)
		}
		if got := value(t, keysInForce); got != 2 {
			t.Errorf("%v keys", got)
		}
		miss(s)
		if got := value(t, tokenFetches); got != 1 {
			t.Errorf("%v fetches caused by tokens", got)
		}
		server.fails(errors.New("down"))
		pass(DefaultMaxStale + time.Second)
		if got := value(t, keysInForce); got != 0 {
			t.Errorf("%v keys that are too old are in force", got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if got := value(t, lastFetched); got != -1 {
			t.Errorf("a closed source has %v", got)
		}
	})
}

func TestSourcesOfOneURLAreOneSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up, down := new(issuer), new(issuer)
		good(up)
		down.fails(errors.New("down"))
		a := newSource(Config{URL: "https://issuer.example/keys"}, up, nil)
		defer a.Close()
		b := newSource(Config{URL: "https://issuer.example/keys", AllowPrivate: true}, down, nil)
		defer b.Close()
		a.Start()
		b.Start()
		synctest.Wait()
		if got := value(t, lastFetched); got != 0 {
			t.Errorf("the source that was never fetched is hidden: %v", got)
		}
		if got := value(t, failedFetches); got != 1 {
			t.Errorf("%v failures", got)
		}
	})
}
