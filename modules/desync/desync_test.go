package desync

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

func TestAdapt(t *testing.T) { gatetest.Adapt(t, "testdata/adapt/*.caddyfiletest") }

func TestAPlaceWhereItSeesNothingIsRefused(t *testing.T) {
	g, b := run(t, modeStrictest)
	cert, key := certificate(t)
	site := "http://:{$PORT} {\n\treverse_proxy " + b.ln.Addr().String() + "\n}\n"
	secure := "https://localhost:{$PORT} {\n\ttls " + cert + " " + key + "\n\trespond ok\n}\n"
	for _, tt := range []struct {
		name, caddyfile, want string
	}{
		{"in front of tls, with TLS", placed("desync", "tls") + secure, "has to stand after tls"},
		{"twice", placed("desync", "desync strictest") + site, "stands twice"},
		{"both", placed("desync", "tls", "desync") + secure, "stands twice"},
		{"in front of tls, without TLS", placed("desync", "tls") + site, ""},
		{"after tls", placed("proxy_protocol", "tls", "desync") + secure, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := g.Reload(t, tt.caddyfile)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("the error lacks %q: %v", tt.want, err)
			}
		})
	}
}

// placed are global options with listener wrappers in an order.
func placed(wrappers ...string) string {
	all := globals("", "", strings.Join(wrappers, "\n\t\t\t"))
	return strings.Replace(all, "\n\t\t\tdesync \n", "\n", 1)
}

func TestAListenerThatIsNoHTTPServersIsRefused(t *testing.T) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	defer cancel()
	if err := new(Wrapper).Provision(ctx); err == nil || !strings.Contains(err.Error(), "a server of the http app") {
		t.Errorf("%v", err)
	}
}

func TestAModeFromJSONIsChecked(t *testing.T) {
	w := Wrapper{Mode: "Strictest"}
	if err := w.compile(); err == nil || !strings.Contains(err.Error(), `mode "Strictest"`) {
		t.Errorf("%v", err)
	}
}
