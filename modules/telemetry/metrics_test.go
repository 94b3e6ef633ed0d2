package telemetry

import (
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
	"github.com/sallyport-gateway/sallyport/modules/internal/timing"
)

// measurement is one of a request that was proxied.
func measurement() *edge.Measurement {
	m := &edge.Measurement{Method: "GET", Status: 200, Took: 20 * time.Millisecond}
	m.Attempt()
	m.Add(timing.Wait, 15*time.Millisecond)
	m.Add(timing.ClientWrite, time.Millisecond)
	return m
}

func TestMethodsAndStatusesHaveFixedLabels(t *testing.T) {
	for method, want := range map[string]string{
		"GET": "GET", "TRACE": "TRACE", "PATCH": "PATCH", "get": "_OTHER", "": "_OTHER", "_OTHER": "_OTHER", "PROPFIND": "_OTHER",
	} {
		if got := methods[methodIndex(method)]; got != want {
			t.Errorf("%s is %s, want %s", method, got, want)
		}
	}
	for status, want := range map[int]string{101: "1xx", 200: "2xx", 308: "3xx", 499: "4xx", 599: "5xx", 0: "5xx", 99: "5xx", 600: "5xx", 999: "5xx", -1: "5xx"} {
		if got := classes[classIndex(status)]; got != want {
			t.Errorf("%d is %s, want %s", status, got, want)
		}
	}
}

func TestTakingAMeasurementAllocatesNothing(t *testing.T) {
	m, measured := newSiteMeter("alloc.example"), measurement()
	m.Take(measured) // the phases are there now
	if n := testing.AllocsPerRun(100, func() { m.Take(measured) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if got := value(t, requestPhase, "site", "alloc.example"); got != 2*102 {
		t.Errorf("%v observations of phases, want %v", got, 2*102)
	}
}
