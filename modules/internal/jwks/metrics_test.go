package jwks

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// value is what the only series of a collector has, or -1 if there is none.
func value(t *testing.T, c prometheus.Collector) float64 {
	t.Helper()
	ch := make(chan prometheus.Metric, 8)
	c.Collect(ch)
	close(ch)
	found := -1.0
	for m := range ch {
		var d dto.Metric
		if err := m.Write(&d); err != nil {
			t.Fatal(err)
		}
		found = d.GetGauge().GetValue() + d.GetCounter().GetValue()
	}
	return found
}

func TestTheAgeOfAKeySetAndItsFailuresAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := new(issuer)
		server.fails(errors.New("down"))
		s := newSource("https://issuer.example/keys", server, nil)
		if got := value(t, lastFetched); got != 0 {
			t.Errorf("before the first fetch: %v, want 0", got)
		}
		s.Start()
		synctest.Wait()
		if got := value(t, failedFetches); got != 1 {
			t.Errorf("%v failures, want 1", got)
		}
		server.says(200, set("a"))
		time.Sleep(minRetry)
		synctest.Wait()
		fetched := value(t, lastFetched)
		if age := float64(time.Now().Unix()) - fetched; age < 0 || age > 1 {
			t.Errorf("fetched at %v, %v seconds ago", fetched, age)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if got := value(t, lastFetched); got != -1 {
			t.Errorf("a closed source has %v", got)
		}
	})
}
