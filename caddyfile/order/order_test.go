package order_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // the directives around ours

	_ "github.com/sallyport-gateway/sallyport" // every directive
	"github.com/sallyport-gateway/sallyport/caddyfile/order"
)

// directives is every directive of the suite, and the standard ones whose place
// beside them matters, in an order that is wrong everywhere.
const directives = `
	reverse_proxy 127.0.0.1:1
	problem
	health
	redact {
		response {
			drop keys password
		}
	}
	encode
	request_header X-A b
	rewrite /a /b
	redir /c /d
	quota {
		zone q {
			key principal
			rate 1/s
		}
	}
	access_rules {
		rule known {
			path /orders/*
			require method jwt
		}
	}
	auth {
		jwt https://issuer.example {
			audience a
			key_file k.pem
		}
	}
	verify_gateway {
		audience a
		jwks file k.json
	}
	rate_limiter {
		zone r {
			key client_ip
			rate 1/s
		}
	}
	cors {
		allow_origins https://app.example.com
	}
	allowlist {
		deny 192.0.2.1
	}
	header X-A b
	tracing
	telemetry
`

// chain is the order in which they run.
var chain = []string{
	"telemetry", "tracing",
	"headers", // header: sets response headers also on refusals
	"allowlist", "cors", "rate_limiter", "verify_gateway", "auth", "access_rules", "quota",
	"static_response", "rewrite", "headers", "encode", // redir, rewrite, request_header, encode
	"redact", "health", "problem", "reverse_proxy",
}

func TestTheChain(t *testing.T) {
	tests := []struct {
		name, caddyfile string
		want            []string
	}{
		{"at the top of a site", "http://localhost {" + directives + "}", chain},
		{"inside handle", "http://localhost {\n\thandle {" + directives + "}\n}", chain},
		{"inside route it is that of the file", "http://localhost {\n\troute {" + directives + "}\n}", []string{
			"reverse_proxy", "problem", "health", "redact", "encode", "headers", "rewrite", "static_response",
			"quota", "access_rules", "auth", "verify_gateway", "rate_limiter", "cors", "allowlist", "headers", "tracing", "telemetry",
		}},
		{"a guard of the site stands in front of one in handle", `http://localhost {
	handle {
		allowlist {
			deny 192.0.2.1
		}
	}
	quota {
		zone q {
			key principal
			rate 1/s
		}
	}
}`, []string{"quota", "allowlist"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(tt.caddyfile), map[string]any{"filename": "Caddyfile"})
			if err != nil {
				t.Fatal(err)
			}
			var config any
			if err := json.Unmarshal(adapted, &config); err != nil {
				t.Fatal(err)
			}
			if got := handlers(config, nil); !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// handlers are the handlers of a configuration in the order of its routes.
func handlers(v any, found []string) []string {
	switch v := v.(type) {
	case map[string]any:
		if name, ok := v["handler"].(string); ok && name != "subroute" {
			return append(found, name)
		}
		for _, key := range []string{"apps", "http", "servers", "srv0", "routes", "handle"} {
			found = handlers(v[key], found)
		}
	case []any:
		for _, item := range v {
			found = handlers(item, found)
		}
	}
	return found
}

func TestEveryDirectiveHasAPlaceAndAReason(t *testing.T) {
	for _, entry := range order.Table {
		if entry.Reason == "" || strings.HasSuffix(entry.Reason, ".") {
			t.Errorf("%s: reason %q", entry.Directive, entry.Reason)
		}
		_, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte("http://localhost {\n\t"+entry.Directive+" {\n\t\tno_such_option\n\t}\n}"), nil)
		if err == nil || strings.Contains(err.Error(), "unrecognized directive") {
			t.Errorf("%s is not compiled in, or accepts anything: %v", entry.Directive, err)
		}
	}
}

func TestADirectiveOutsideOfTheTableCannotBeRegistered(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it was registered")
		}
	}()
	order.Register("no_such_guard", nil)
}
