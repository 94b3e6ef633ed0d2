package tlspolicy

import (
	"errors"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	_ "github.com/sallyport-gateway/sallyport/caddyfile/order" // the handler's place
	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
)

func init() {
	httpcaddyfile.RegisterDirective("tls_policy", parseDirective)
}

// parseDirective reads the directive:
//
//	tls_policy modern | intermediate {
//		client_auth require | verify_if_given {
//			trust_pool <module> …
//			verifier   <module> …
//		}
//		mode enforce | dry_run
//	}
//
// It adds a connection policy to the site, as the tls directive does: the adapter
// merges the two, and refuses settings of one that contradict the other's.
func parseDirective(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	handler := new(Handler)
	clients, err := handler.unmarshal(h.Dispenser)
	if err != nil {
		return nil, err
	}
	policy := levelNamed(handler.Level).connectionPolicy()
	policy.ClientAuthentication = clients
	return append(h.NewRoute(nil, handler), httpcaddyfile.ConfigValue{Class: "tls.connection_policy", Value: policy}), nil
}

func (h *Handler) unmarshal(d *caddyfile.Dispenser) (*caddytls.ClientAuthentication, error) {
	var clients *caddytls.ClientAuthentication
	d.Next()
	first := read.Word(d, &h.Level, levelNames()...)
	err := read.Block(d, nil, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "client_auth":
			clients = new(caddytls.ClientAuthentication)
			return readClientAuth(o, &h.ClientAuth, clients)
		}
		if ok, err := guard.Option(o, &h.Guard); ok {
			return err
		}
		return read.Unknown(o, "client_auth", "mode")
	})
	return clients, errors.Join(first, err)
}

// readClientAuth reads client_auth with Caddy's own modules for what is trusted.
func readClientAuth(o *caddyfile.Dispenser, word *string, a *caddytls.ClientAuthentication) error {
	if err := read.Word(o, word, clientRequire, clientIfGiven); err != nil {
		return err
	}
	if a.Mode = *word; a.Mode == clientRequire {
		// Caddy's own "require" takes any certificate, also one that anybody made.
		a.Mode = "require_and_verify"
	}
	start := *o
	err := read.Block(o, []string{"verifier"}, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "trust_pool":
			pool, name, err := module[caddytls.CA](o, "tls.ca_pool.source.")
			if err != nil {
				return err
			}
			a.CARaw = caddyconfig.JSONModuleObject(pool, "provider", name, nil)
		case "verifier":
			verifier, name, err := module[caddytls.ClientCertificateVerifier](o, "tls.client_auth.verifier.")
			if err != nil {
				return err
			}
			a.VerifiersRaw = append(a.VerifiersRaw, caddyconfig.JSONModuleObject(verifier, "verifier", name, nil))
		default:
			return read.Unknown(o, "trust_pool", "verifier")
		}
		return nil
	})
	if err == nil && a.CARaw == nil {
		err = start.Err("client_auth needs trust_pool: whose certificates are accepted")
	}
	return err
}

// module reads the name of a module and what it is configured with.
func module[T any](o *caddyfile.Dispenser, namespace string) (T, string, error) {
	var none T
	option := o.Val()
	if !o.NextArg() {
		return none, "", o.Errf("%s needs a module", option)
	}
	name := o.Val()
	m, err := caddyfile.UnmarshalModule(o, namespace+name)
	if err != nil {
		return none, "", err
	}
	typed, ok := m.(T)
	if !ok {
		return none, "", o.Errf("%s %s is a module of another kind", option, name)
	}
	return typed, name, nil
}
