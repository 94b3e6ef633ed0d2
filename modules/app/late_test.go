package app_test

import (
	"encoding/json"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/sallyport-gateway/sallyport/modules/app"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// Caddy has a config loader after the apps have started.
func TestAConfigurationRejectedAfterItStartedLeavesNothing(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	admin := strings.Replace(gatetest.Globals, "admin off", "admin "+ln.Addr().String(), 1)
	ln.Close()
	g := gatetest.Run(t, admin+site("192.0.2.66", "old"))

	file := strings.ReplaceAll(admin+site("192.0.2.66", "new"), "{$ADDR}", g.URL)
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(file), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	_ = json.Unmarshal(config, &v)
	v["admin"].(map[string]any)["config"] = map[string]any{"load": map[string]any{"module": "missing"}, "load_delay": "10s"}
	config, _ = json.Marshal(v)
	for range 3 {
		if err := caddy.Load(config, true); err == nil {
			t.Fatal("it is not rejected")
		}
	}
	// The configuration in force is loaded again for its admin endpoint.
	deadline := time.Now().Add(30 * time.Second)
	for app.Restoring() || caddy.Log() != app.LoggerInForce() || watchers() != 1 {
		if time.Now().After(deadline) {
			t.Fatalf("the logger in force is back: %v; %d goroutines watch it", caddy.Log() == app.LoggerInForce(), watchers())
		}
		runtime.Gosched()
	}
	for range 20 {
		if got := g.Raw(t, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n"); !strings.HasSuffix(got, "old") {
			t.Fatalf("a rejected configuration answers: %q", got)
		}
	}
}

// The configuration in force has no admin endpoint, so it is not loaded again.
func TestAConfigurationRejectedAfterItStartedGivesTheMetricBack(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	ln.Close()
	g := gatetest.Run(t, site("192.0.2.66", "old"))
	before := app.PoliciesShown()
	if len(before) != 1 {
		t.Fatalf("the metric has %q", before)
	}
	file := strings.ReplaceAll(gatetest.Globals+site("192.0.2.66", "new"), "{$ADDR}", g.URL)
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(file), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	_ = json.Unmarshal(config, &v)
	v["admin"] = map[string]any{"listen": address, "config": map[string]any{"persist": false, "load": map[string]any{"module": "missing"}, "load_delay": "10s"}}
	config, _ = json.Marshal(v)
	if err := caddy.Load(config, true); err == nil {
		t.Fatal("it is not rejected")
	}
	if got := app.PoliciesShown(); !slices.Equal(got, before) {
		t.Errorf("the metric has %q, before %q", got, before)
	}
}

// watchers are the goroutines that watch the default logger.
func watchers() int {
	buf := make([]byte, 1<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), "app.watchLogger(")
}
