package app_test

import (
	"encoding/json"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/sallyport-gateway/sallyport/modules/app"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// What comes to caddy.Load has come past the admin API: a signal, a loader, or a
// module that is not the suite's.
func TestASealedProcessLoadsNothingElse(t *testing.T) {
	t.Cleanup(app.Unseal)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	admin := strings.Replace(gatetest.Globals, "admin off", "admin "+address, 1)
	ln.Close()
	seal := func(globals string) string {
		return strings.Replace(globals, "{\n", "{\n\tsallyport {\n\t\tseal on\n\t}\n", 1)
	}
	g := gatetest.Run(t, seal(admin)+site("192.0.2.66", "sealed"))

	tests := []struct{ name, config string }{
		{"another configuration", admin + site("192.0.2.67", "taken")},
		{"another that is sealed", seal(admin) + site("192.0.2.67", "taken")},
		{"the same once more", seal(admin) + site("192.0.2.66", "sealed")},
		{"one with nothing of the suite", admin + "{$ADDR} {\n\trespond taken\n}\n"},
		{"one without an admin endpoint", site("192.0.2.67", "taken")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := g.Reload(t, tt.config); err == nil || !strings.Contains(err.Error(), "sealed") {
				t.Fatalf("got %v", err)
			}
			deadline := time.Now().Add(30 * time.Second)
			for app.Restoring() || !adminAnswers(address) {
				if time.Now().After(deadline) {
					t.Fatal("the admin endpoint is gone")
				}
				runtime.Gosched()
			}
			if resp := g.Do(t, "GET", "/", "X-Forwarded-For", "192.0.2.1"); resp.Body != "sealed" {
				t.Errorf("got %q", resp.Body)
			}
			if resp := g.Do(t, "GET", "/", "X-Forwarded-For", "192.0.2.66"); resp.Status != 403 {
				t.Errorf("the guard is gone: %d", resp.Status)
			}
		})
	}
	// Its end does not open it either.
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := g.Reload(t, site("192.0.2.67", "taken")); err == nil {
		t.Error("another configuration is loaded after it was stopped")
	}
}

func adminAnswers(admin string) bool {
	resp, err := http.Get("http://" + admin + "/config/")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// The endpoint comes back by loading the sealed configuration once more, which
// reads its files again.
func TestASealedPolicyIsNotRestoredWithOtherFiles(t *testing.T) {
	t.Cleanup(app.Unseal)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	globals := strings.Replace(gatetest.Globals, "admin off", "admin "+ln.Addr().String()+"\n\tsallyport {\n\t\tseal on\n\t}", 1)
	ln.Close()
	list := t.TempDir() + "/deny.txt"
	write(t, list, "192.0.2.66\n")
	g := gatetest.Run(t, globals+site("file "+list, "sealed"))
	write(t, list, "192.0.2.67\n")
	if err := g.Reload(t, site("192.0.2.67", "taken")); err == nil {
		t.Fatal("it is not refused")
	}
	for app.Restoring() {
		runtime.Gosched()
	}
	if resp := g.Do(t, "GET", "/", "X-Forwarded-For", "192.0.2.66"); resp.Status != 403 {
		t.Errorf("the policy has changed: %d", resp.Status)
	}
}

func TestALoaderBesideASealIsRefusedByValidate(t *testing.T) {
	var config caddy.Config
	text := `{"admin":{"disabled":true,"config":{"load":{"module":"http","url":"http://192.0.2.1"},"load_delay":"1h"}},"apps":{"sallyport":{"seal":true}}}`
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&config); err == nil || !strings.Contains(err.Error(), "admin.config.load would replace") {
		t.Errorf("got %v", err)
	}
}
