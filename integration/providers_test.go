package integration

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Caddy's own handler has no directive for providers, so the configuration is JSON.
func TestProvidersOfCaddysAuthentication(t *testing.T) {
	dir, addr, admin := t.TempDir(), freeAddr(t), freeAddr(t)
	key, token := credentials(t, dir)
	config, err := json.Marshal(map[string]any{
		"admin": map[string]any{"listen": admin},
		"apps": map[string]any{"http": map[string]any{"servers": map[string]any{"api": map[string]any{
			"listen": []string{addr}, "automatic_https": map[string]any{"disable": true},
			"routes": []any{map[string]any{"handle": []any{
				map[string]any{"handler": "authentication", "providers": map[string]any{
					"sallyport_jwt":     map[string]any{"issuer": "https://issuer.example", "audience": []string{"https://api.example.com"}, "key_file": filepath.Join(dir, "issuer.pub.pem")},
					"sallyport_api_key": map[string]any{"keys_file": filepath.Join(dir, "keys.json"), "pepper": "{file." + filepath.Join(dir, "pepper") + "}"},
				}},
				map[string]any{"handler": "access_rules", "rule": []any{map[string]any{"name": "known", "path": []string{"/*"}, "require": []any{map[string]any{"method": []string{"jwt", "api_key"}}}}}},
				map[string]any{"handler": "static_response", "body": "{http.auth.user.method}"},
			}}},
		}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "caddy.json", string(config))
	newGateway(t, dir, admin, nil).start(t, exec.Command(binary, "run", "--config", "caddy.json"))
	for name, tt := range map[string]struct {
		header []string
		status int
		body   string
	}{
		"a token":  {[]string{"Authorization", "Bearer " + token}, 200, "jwt"},
		"a key":    {[]string{"X-Api-Key", key}, 200, "api_key"},
		"both":     {[]string{"Authorization", "Bearer " + token, "X-Api-Key", key}, 401, ""},
		"a forged": {[]string{"Authorization", "Bearer " + token + "x"}, 401, ""},
		"nothing":  {nil, 401, ""},
	} {
		a := send(t, http.DefaultClient, "GET", "http://"+addr+"/", tt.header...)
		if a.status != tt.status || tt.body != "" && !strings.Contains(a.body, tt.body) {
			t.Errorf("%s: got %d %s", name, a.status, a.body)
		}
	}
}
