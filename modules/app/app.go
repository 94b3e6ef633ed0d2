package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/app/policy"
	"github.com/sallyport-gateway/sallyport/modules/internal/canonical"
	"github.com/sallyport-gateway/sallyport/modules/internal/event"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/internal/lease"
	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

func init() {
	caddy.RegisterModule(new(App))
}

// drainLimit bounds how long a reload waits for clients to leave the old
// configuration. Clients with a request under way leave with its response; the
// limit is for idle connections.
const drainLimit = 5 * time.Second

// What an exit takes unless the global options shutdown_delay and grace_period
// say otherwise: together less than the 30 s after which Kubernetes and ECS end a
// process. The delay is for the balancer to notice that the gateway is not ready,
// so there is none without the health directive.
const (
	shutdownDelay = 10 * time.Second
	gracePeriod   = 15 * time.Second
)

// App is what the suite's modules in one configuration share.
type App struct {
	// Canonical says how requests with two readings are treated.
	Canonical Canonical `json:"canonical,omitzero"`

	// Store says where state is that requests are judged by and gateways share.
	// Default: in this process's memory.
	Store Store `json:"store,omitzero"`

	// SessionTicketsRaw is a tls.stek module: where the keys of TLS session tickets
	// come from. Default: each gateway makes its own, and no other resumes its
	// sessions.
	SessionTicketsRaw json.RawMessage `json:"session_tickets,omitempty" caddy:"namespace=tls.stek inline_key=provider"`

	// Events says where security events go, one JSON line for each refusal.
	// Default: off.
	Events event.Config `json:"events,omitzero"`
	// Seal makes this configuration the last one of the process: it cannot be changed
	// at run time. Default: it can.
	Seal bool `json:"seal,omitempty"`

	ctx       caddy.Context
	suite     *suite.Config
	events    *lease.Lease[*event.Sink]
	admin     bool          // this configuration has an admin endpoint
	adminKept bool          // the admin endpoint is still the one of the configuration in force
	served    chan struct{} // closed when this configuration, which was in force, is replaced
	tickets   *tickets      // nil without SessionTicketsRaw
	release   func() error  // gives the store back; nil until it is open
	left      bool          // it was replaced, or the process ends

	policyMu sync.Mutex
	policy   policy.Digest // empty for `caddy validate`

	// before is what was in force when this configuration came.
	before struct {
		logger *zap.Logger
		admin  bool
		policy string
		sealed *App
	}
}

// Canonical configures the check in front of every request.
type Canonical struct {
	// Mode is "enforce" or "dry_run": count, and let pass. Default: enforce.
	Mode string `json:"mode,omitempty"`

	// Allow are ambiguous forms that requests may have: path_parameters,
	// encoded_slash, empty_segments, query_semicolon, method_override.
	// Default: none.
	Allow []string `json:"allow,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  suite.AppName,
		New: func() caddy.Module { return new(App) },
	}
}

// Provision implements caddy.Provisioner.
func (a *App) Provision(ctx caddy.Context) error {
	a.identify()
	if err := a.checkSealed(ctx); err != nil {
		return err
	}
	if err := errors.Join(a.check(), checkSuperseded()); err != nil {
		return err
	}
	a.suite = &suite.Config{CanonicalDryRun: a.Canonical.Mode == guard.ModeDryRun, OnReread: a.reread}
	a.suite.SetPolicy(a.digest())
	for _, word := range a.Canonical.Allow {
		*form(&a.suite.Canonical, word) = true
	}
	a.ctx = ctx
	if err := metric.Register(ctx, slices.Concat(collectors, suite.Collectors, event.Collectors)...); err != nil {
		return err
	}
	if err := a.openEvents(); err != nil {
		return err
	}
	if err := a.openStore(ctx); err != nil {
		return err
	}
	if err := a.shareTickets(ctx); err != nil {
		return err
	}
	if err := a.suite.Contributions(ctx); err != nil {
		return err
	}
	events, err := ctx.App("events")
	if err != nil {
		return err
	}
	return errors.Join(
		events.(*caddyevents.App).On("started", handlerFunc(a.started)),
		events.(*caddyevents.App).On("stopping", handlerFunc(a.leave)),
		a.tickets.alone(ctx),
	)
}

// openEvents takes a share of the output of security events, if there is one.
func (a *App) openEvents() (err error) {
	if a.events, err = a.Events.Open(); err == nil && a.events != nil {
		a.suite.Events = a.events.Value()
	}
	return err
}

// Suite implements suite.Owner.
func (a *App) Suite() *suite.Config { return a.suite }

// Start refuses the first configuration if parts of its Caddyfile got lost. It has
// the store connected: a request would not wait for that as long as it may take.
func (a *App) Start() error {
	if err := suite.Lost(); err != nil {
		return err
	}
	_ = a.suite.Store().Reachable()
	a.seal()
	return nil
}

// Stop implements caddy.App.
func (a *App) Stop() error { return nil }

// Cleanup gives back what loading this configuration changed, if it never came
// into force. Its servers have ended by now, and so have its events.
func (a *App) Cleanup() error {
	a.tickets.stop()
	if a.suite != nil {
		a.suite.End()
	}
	a.unseal()
	err := a.events.Release()
	switch {
	case a.served == nil:
		a.giveBack()
	case !a.left:
		// It started, and then Caddy rejected it: for its remote admin endpoint, or a
		// config loader.
		close(a.served)
		inForce.logger.Store(a.before.logger)
		inForce.admin.Store(a.before.admin)
		_ = showPolicy(a.before.policy)
		a.giveBack()
	}
	return errors.Join(err, a.closeStore())
}

// started runs when every app of the configuration has started.
func (a *App) started() {
	redirectStdLog()
	a.before.logger = inForce.logger.Swap(caddy.Log())
	a.before.admin = inForce.admin.Swap(a.admin)
	a.before.policy = a.announcePolicy()
	a.served = make(chan struct{})
	a.tickets.start(a.ctx)
	a.suite.InForce()
	go watchLogger(a.served)
}

// leave runs before any app is stopped, when the next configuration serves
// already.
func (a *App) leave() {
	close(a.served)
	a.left = true
	replaced := !caddy.Exiting()
	if replaced {
		a.suite.Drain(drainLimit)
	}
	if caddy.Exiting() {
		a.exit(replaced)
	}
}

// exit begins the drain of a process that ends. Caddy does the rest when it stops
// the http app, after this: it waits for the shutdown delay, then finishes what
// is under way within the grace period. Both get a default, because a balancer
// loses requests without the one and the process may never end without the other.
//
// replaced says that the process is ended while a reload drains this
// configuration: its servers' addresses stay open, so Caddy waits for no delay.
func (a *App) exit(replaced bool) {
	var delay, grace time.Duration
	if app, err := a.ctx.AppIfConfigured("http"); err == nil {
		server := app.(*caddyhttp.App)
		if server.ShutdownDelay == 0 && a.suite.IsProbed() {
			server.ShutdownDelay = caddy.Duration(shutdownDelay)
		}
		if server.GracePeriod <= 0 {
			server.GracePeriod = caddy.Duration(gracePeriod)
		}
		delay, grace = time.Duration(server.ShutdownDelay), time.Duration(server.GracePeriod)
	}
	a.suite.Exit(a.ctx.Logger(), delay, grace, replaced)
}

// check refuses options that the app does not have.
func (a *App) check() error {
	var errs []error
	switch a.Canonical.Mode {
	case "", guard.ModeEnforce, guard.ModeDryRun:
	default:
		errs = append(errs, fmt.Errorf("canonical: mode %q is not enforce or dry_run", a.Canonical.Mode))
	}
	if err := a.Store.check(); err != nil {
		errs = append(errs, fmt.Errorf("store: %w", err))
	}
	for i, word := range a.Canonical.Allow {
		if form(new(canonical.Options), word) == nil {
			errs = append(errs, fmt.Errorf("canonical: allow[%d]: unknown form %q", i, word))
		}
	}
	errs = append(errs, a.Events.Check())
	return errors.Join(errs...)
}

// forms are the words of `canonical { allow … }`.
var forms = []string{"path_parameters", "encoded_slash", "empty_segments", "query_semicolon", "method_override"}

// form returns the option that a word of `allow` turns on, or nil.
func form(o *canonical.Options, word string) *bool {
	switch word {
	case "path_parameters":
		return &o.PathParameters
	case "encoded_slash":
		return &o.EncodedSlash
	case "empty_segments":
		return &o.EmptySegments
	case "query_semicolon":
		return &o.QuerySemicolon
	case "method_override":
		return &o.MethodOverride
	}
	return nil
}

// handlerFunc is a caddyevents.Handler that needs nothing of the event.
type handlerFunc func()

func (f handlerFunc) Handle(context.Context, caddy.Event) error {
	f()
	return nil
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
	_ suite.Owner        = (*App)(nil)
)
