package suite

import (
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

func TestANameMeansOneThing(t *testing.T) {
	var c Config
	for _, err := range []error{c.Define("zone", "a", "10/s"), c.Define("zone", "a", "10/s"), c.Define("zone", "b", "20/s"), c.Define("other", "a", "x")} {
		if err != nil {
			t.Error(err)
		}
	}
	if c.Define("zone", "a", "20/s") == nil {
		t.Error("a second definition is not refused")
	}
}

func TestReadinessNamesWhatIsMissing(t *testing.T) {
	var c Config
	c.InForce()
	missing := errors.New("missing")
	c.Ready("b", func() error { return missing })
	c.Ready("a", func() error { return nil })
	if errs := c.NotReady(); len(errs) != 1 || errs[0].Error() != "b: missing" {
		t.Errorf("got %v", errs)
	}
	missing = nil
	if errs := c.NotReady(); len(errs) != 0 {
		t.Errorf("got %v", errs)
	}
}

func TestAConfigurationStartsUpOnceAndForGood(t *testing.T) {
	var c Config
	startedUp.Store(false)
	if len(c.NotReady()) == 0 || c.StartedUp() {
		t.Error("a configuration is ready before it is in force")
	}
	c.InForce()
	missing := errors.New("missing")
	c.Ready("keys", func() error { return missing })
	if c.StartedUp() {
		t.Error("it started up without its keys")
	}
	missing = nil
	if !c.StartedUp() {
		t.Error("it did not start up")
	}
	c.draining.Store(true)
	if len(c.NotReady()) != 0 {
		t.Error("it is not ready while a reload drains")
	}
	c.Exit(zap.NewNop(), 0, 0, false)
	if len(c.NotReady()) == 0 {
		t.Error("it is ready while the process ends")
	}
	if !c.StartedUp() {
		t.Error("a gateway that is not ready any more did start up")
	}
}

func TestDrainWaitsForConnectionsAndNotForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Config
		one, two := conn(), conn()
		c.TrackConnection(one, http.StateNew)
		c.TrackConnection(one, http.StateActive)
		c.TrackConnection(two, http.StateNew)
		start := time.Now()
		go func() {
			time.Sleep(time.Second)
			if !c.Draining() {
				t.Error("responses do not ask clients to leave")
			}
			c.TrackConnection(one, http.StateIdle)
			c.TrackConnection(one, http.StateClosed)
			time.Sleep(time.Second)
			c.TrackConnection(two, http.StateHijacked)
		}()
		c.Drain(time.Minute)
		if waited := time.Since(start); waited != 2*time.Second+quiet {
			t.Errorf("waited %s, want until the last one has left and none has come back", waited)
		}
		start = time.Now()
		go func() {
			time.Sleep(quiet / 2)
			c.TrackConnection(one, http.StateNew)
			c.TrackConnection(one, http.StateClosed)
		}()
		c.Drain(time.Minute)
		if waited := time.Since(start); waited != 2*quiet {
			t.Errorf("waited %s, want a second quiet time after one that came back", waited)
		}
		c.TrackConnection(one, http.StateNew)
		start = time.Now()
		c.Drain(time.Minute)
		if waited := time.Since(start); waited != time.Minute {
			t.Errorf("waited %s for a connection that stays, want the limit", waited)
		}
	})
}

func conn() net.Conn {
	c, _ := net.Pipe()
	return c
}
