package integration

import (
	"encoding/json"
	"testing"
)

// A caller sends identifiers of its own to both balancers: one that speaks HTTP
// owns X-Amzn-Trace-Id, one that passes TCP through owns none.
func TestARequestHasOneIdentifierEverywhere(t *testing.T) {
	const trace, parent = "Root=1-67891233-abcdef012345678912345678", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for example, fromBalancer := range map[string]bool{"passthrough": false, "https-balancer": true} {
		t.Run(example, func(t *testing.T) {
			b := startBalanced(t, example)
			client := clientFrom(t, "127.0.0.2")
			own := []string{"Host", site, "X-Request-Id", "my-own", "X-Amzn-Trace-Id", trace, "Traceparent", parent, "Cf-Ray", "230b030023ae2822-SJC"}

			before := len(b.gateway.log.String())
			if got := send(t, client, "GET", b.url+"/orders/7", append(own, "X-Api-Key", b.key)...); got.status != 200 {
				t.Fatalf("got %d %s", got.status, got.body)
			}
			logged, seen := b.gateway.accessLog(t, before), b.backend.last()
			if id := seen.Header.Values("X-Request-Id"); logged.ID == "" || len(id) != 1 || id[0] != logged.ID {
				t.Errorf("the log says %q, the backend saw %q", logged.ID, id)
			}
			want := map[bool][3]string{true: {trace, trace, parent}}[fromBalancer]
			if logged.Trace != want[0] || seen.Header.Get("X-Amzn-Trace-Id") != want[1] || seen.Header.Get("Traceparent") != want[2] {
				t.Errorf("the log says %q, the backend saw %q and %q", logged.Trace, seen.Header.Get("X-Amzn-Trace-Id"), seen.Header.Get("Traceparent"))
			}
			if ray := seen.Header.Get("Cf-Ray"); ray != "" {
				t.Errorf("the backend saw another balancer's identifier %q", ray)
			}

			before = len(b.gateway.log.String())
			got := send(t, client, "GET", b.url+"/orders/7", own...)
			var problem struct {
				ID string `json:"request_id"`
			}
			if err := json.Unmarshal([]byte(got.body), &problem); err != nil || got.status != 401 {
				t.Fatalf("got %d %s", got.status, got.body)
			}
			if refused := b.gateway.accessLog(t, before); problem.ID == "" || refused.ID != problem.ID || refused.ID == logged.ID {
				t.Errorf("the log says %q, the problem document %q", refused.ID, problem.ID)
			}
		})
	}
}
