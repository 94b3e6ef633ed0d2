package app

import (
	"errors"

	"github.com/caddyserver/caddy/v2"

	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

func init() {
	caddy.RegisterModule(Admin{})
}

// Admin is the suite's part of the admin API. Caddy provisions it for every
// configuration that has an admin endpoint, before it replaces the running one,
// and once more for a remote endpoint. It has routes only where the configuration
// is sealed.
type Admin struct {
	sealed bool
}

// CaddyModule returns the Caddy module information.
func (Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.sallyport",
		New: func() caddy.Module { return new(Admin) },
	}
}

// Provision provisions the apps of a new configuration now, when the admin
// endpoint in force still runs. Caddy does so only after it has replaced the
// endpoint, so that a rejected configuration would move it. Apps that are
// provisioned here are not provisioned again.
//
// At the start of the process there is nothing to protect, and Caddy's own order
// gives the clearer errors.
func (a *Admin) Provision(ctx caddy.Context) error {
	// The app comes first and for every configuration: it mends what is left to
	// mend, also after one that has nothing of this suite.
	owner, err := ctx.App(suite.AppName)
	if err != nil {
		return err
	}
	app := owner.(*App)
	app.admin = true
	if a.sealed = app.Seal; a.sealed {
		if err := checkShadows(); err != nil {
			return err
		}
	}
	if caddy.ActiveContext().Context == nil {
		return nil
	}
	app.adminKept = true
	for _, module := range caddy.GetModules("") {
		if _, err := ctx.AppIfConfigured(string(module.ID)); err != nil && !errors.Is(err, caddy.ErrNotConfigured) {
			return err
		}
	}
	app.adminKept = false
	return nil
}

// Routes implements caddy.AdminRouter.
func (a *Admin) Routes() []caddy.AdminRoute {
	if !a.sealed {
		return nil
	}
	return shadows()
}

// Interface guards
var (
	_ caddy.AdminRouter = (*Admin)(nil)
	_ caddy.Provisioner = (*Admin)(nil)
)
