package app

import (
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/event"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("sallyport", parseGlobal)
}

func parseGlobal(d *caddyfile.Dispenser, _ any) (any, error) {
	a := new(App)
	if err := a.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: suite.AppName, Value: caddyconfig.JSON(a, nil)}, nil
}

// UnmarshalCaddyfile reads the global option:
//
//	sallyport {
//		canonical {
//			mode  enforce | dry_run
//			allow <forms...>
//		}
//		session_tickets shared
//		store memory | redis {
//			<options of the store, for redis>
//			prefix <text>
//		}
//		events stdout | file <path> | off
//		seal on | off
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return read.Block(d, nil, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "canonical":
			return a.Canonical.unmarshal(o)
		case "store":
			return a.Store.unmarshal(o)
		case "session_tickets":
			var provider string
			if err := read.Word(o, &provider, sharedTickets); err != nil {
				return err
			}
			a.SessionTicketsRaw = caddyconfig.JSON(map[string]string{"provider": provider}, nil)
			return nil
		case "events":
			return unmarshalEvents(o, &a.Events)
		case "seal":
			var word string
			err := read.Word(o, &word, "on", "off")
			a.Seal = word == "on"
			return err
		default:
			return read.Unknown(o, "canonical", "store", "session_tickets", "events", "seal")
		}
	})
}

func unmarshalEvents(o *caddyfile.Dispenser, c *event.Config) error {
	if err := read.Word(o, &c.Output, event.Stdout, event.File, event.Off); err != nil || c.Output != event.File {
		return err
	}
	if !o.NextArg() {
		return o.Err("events file needs a path")
	}
	c.Path = o.Val()
	if err := c.Check(); err != nil {
		return o.WrapErr(err)
	}
	return nil
}

func (c *Canonical) unmarshal(d *caddyfile.Dispenser) error {
	return read.Block(d, nil, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "mode":
			return read.Word(o, &c.Mode, guard.ModeEnforce, guard.ModeDryRun)
		case "allow":
			return read.Words(o, &c.Allow, forms...)
		default:
			return read.Unknown(o, "mode", "allow")
		}
	})
}

// Interface guards
var _ caddyfile.Unmarshaler = (*App)(nil)
