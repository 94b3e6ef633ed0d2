package app_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"

	_ "github.com/sallyport-gateway/sallyport/modules/tlspolicy" // the keys' provider
)

// The one that gives its keys last would win, now and at every rotation.
func TestSharedSessionTicketsBesideTheTLSAppsOwnAreRefused(t *testing.T) {
	globals := strings.Replace(gatetest.Globals, "{\n", "{\n\tstorage file_system "+t.TempDir()+"\n\tsallyport {\n\t\tsession_tickets shared\n\t}\n", 1)
	g := gatetest.Run(t, globals+"{$ADDR} {\n\trespond old\n}\n")
	file := strings.ReplaceAll(globals+"{$ADDR} {\n\trespond new\n}\n", "{$ADDR}", g.URL)
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(file), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	own := map[string]any{"session_tickets": map[string]any{"disabled": true}}
	// The tls app is what wants the suite's here, and is half made when it does.
	asking := map[string]any{
		"session_tickets": own["session_tickets"],
		"automation": map[string]any{"policies": []any{map[string]any{"subjects": []any{"a.example"}, "get_certificate": []any{
			map[string]any{"via": "mounted", "pairs": []any{map[string]any{"certificate": "/nonexistent/tls.crt", "key": "/nonexistent/tls.key"}}},
		}}}},
	}
	asked := maps.Clone(asking)
	delete(asked, "session_tickets")
	for _, tt := range []struct {
		name    string
		app     map[string]any
		refused bool
	}{
		{"the tls app without keys", map[string]any{}, false},
		{"the tls app with null for keys", map[string]any{"session_tickets": nil}, false},
		{"the tls app with keys of its own", own, true},
		{"the tls app without keys, which asks for the suite's", asked, false},
		{"the tls app with keys of its own, which asks for the suite's", asking, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var config map[string]any
			if err := json.Unmarshal(adapted, &config); err != nil {
				t.Fatal(err)
			}
			config["apps"].(map[string]any)["tls"] = tt.app
			data, err := json.Marshal(config)
			if err != nil {
				t.Fatal(err)
			}
			// As caddy validate does. The order of the apps is not always the same.
			for range 8 {
				var judged caddy.Config
				if err := json.Unmarshal(data, &judged); err != nil {
					t.Fatal(err)
				}
				if err := caddy.Validate(&judged); (err != nil) != tt.refused || tt.refused && !strings.Contains(err.Error(), "session_tickets of its own") {
					t.Errorf("validate: got %v", err)
				}
			}
			err = caddy.Load(data, true)
			if (err != nil) != tt.refused || tt.refused && !strings.Contains(err.Error(), "session_tickets of its own") {
				t.Errorf("got %v", err)
			}
		})
	}
}
