package app_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/sallyport-gateway/sallyport/modules/app"
	"github.com/sallyport-gateway/sallyport/modules/app/policy"
	_ "github.com/sallyport-gateway/sallyport/modules/auth"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// Keys of an issuer are withdrawn and added while the gateway runs, also while it
// is sealed. Lists are not read again.
func TestThePolicyShownHasTheKeysThatAreInForce(t *testing.T) {
	dir := t.TempDir()
	key := func(seed byte) string {
		der, err := x509.MarshalPKIXPublicKey(ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(seed), ed25519.SeedSize))).Public())
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	write(t, dir+"/key.pem", key('a'))
	write(t, dir+"/deny.txt", "192.0.2.66\n")
	g := gatetest.Run(t, strings.ReplaceAll(`{$ADDR} {
	route {
		health {
			details 127.0.0.1 192.0.2.1
		}
		allowlist {
			deny file DIR/deny.txt
		}
		auth {
			jwt https://a.example {
				audience api
				key_file DIR/key.pem
			}
		}
	}
	respond ok
}
`, "DIR", dir))
	shown := func() string {
		return g.Do(t, "GET", "/readyz", "X-Forwarded-For", "192.0.2.1").Header.Get(policy.HeaderName)
	}
	computed := func() string {
		t.Helper()
		var config any
		if err := json.Unmarshal(app.ConfigInForce(), &config); err != nil {
			t.Fatal(err)
		}
		d := policy.Compute(config, func(name string) string { return name })
		if d.Err() != nil || len(d.Files) != 2 {
			t.Fatalf("%+v, %v", d.Files, d.Err())
		}
		return d.Digest
	}
	before := computed()
	if got := shown(); got != before {
		t.Fatalf("shown %s, computed %s", got, before)
	}
	write(t, dir+"/key.pem", key('b'))
	after := computed()
	write(t, dir+"/deny.txt", "192.0.2.67\n")
	deadline := time.Now().Add(30 * time.Second)
	for shown() == before {
		if time.Now().After(deadline) {
			t.Fatal("a key was replaced, and the policy is the same")
		}
		runtime.Gosched()
	}
	if got := shown(); got != after {
		t.Errorf("shown %s, in force is %s", got, after)
	}
	if got := strings.Join(metricRows(t, "sallyport_policy_info"), "\n"); !strings.Contains(got, after) || strings.Contains(got, before) {
		t.Errorf("the metric is %s", got)
	}
}

func metricRows(t *testing.T, name string) []string {
	t.Helper()
	ctx := caddy.ActiveContext()
	families, err := ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				rows = append(rows, m.String())
			}
		}
	}
	return rows
}
