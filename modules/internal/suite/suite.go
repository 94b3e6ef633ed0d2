// Package suite is what the modules of one configuration share: readiness, names
// that must mean one thing, how requests are read, where shared state is, and whether
// the configuration is being replaced. The `sallyport` app owns it; modules reach it with Of.
package suite

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/internal/canonical"
	"github.com/sallyport-gateway/sallyport/modules/internal/event"
	"github.com/sallyport-gateway/sallyport/modules/internal/store"
)

// AppName is the ID of the app that owns a Config.
const AppName = "sallyport"

// Owner is what the app implements.
type Owner interface {
	Suite() *Config
}

// Of returns what the modules of the configuration being provisioned share.
func Of(ctx caddy.Context) (*Config, error) {
	app, err := ctx.App(AppName)
	if err != nil {
		return nil, fmt.Errorf("the sallyport app: %w (build with github.com/sallyport-gateway/sallyport)", err)
	}
	owner, ok := app.(Owner)
	if !ok {
		return nil, errors.New("the sallyport app is not this suite's")
	}
	return owner.Suite(), nil
}

// contributions are what modules add to every configuration.
var contributions []func(caddy.Context, *Config) error

// Contribute makes f run for every configuration, when its app is provisioned:
// for what a module does for the whole gateway and not where it is named. Call it
// in init. Other apps may not be provisioned by then.
func Contribute(f func(caddy.Context, *Config) error) {
	contributions = append(contributions, f)
}

// Contributions runs what was given to Contribute. It is for the app.
func (c *Config) Contributions(ctx caddy.Context) error {
	var errs []error
	for _, f := range contributions {
		errs = append(errs, f(ctx, c))
	}
	return errors.Join(errs...)
}

// Config is shared by the modules of one configuration. Its methods are safe for
// concurrent use; the exported fields are set before the first of them runs.
type Config struct {
	// Canonical are the ambiguous forms that requests may have.
	Canonical canonical.Options
	// CanonicalDryRun counts what the canonical check would refuse, and lets it pass.
	CanonicalDryRun bool
	// Shared is what Store returns.
	Shared store.Store
	// Events takes the security events; nil where they are off.
	Events *event.Sink
	// OnReread is called by Reread.
	OnReread func(path string)

	policy      atomic.Pointer[string]
	draining    atomic.Bool
	connections connections
	inForce     atomic.Bool
	probed      atomic.Bool

	// Of the exit; logger and replaced are set before exiting is.
	exiting, closing, waited atomic.Bool
	logger                   *zap.Logger
	replaced                 bool
	requests                 atomic.Int64

	mu     sync.Mutex
	names  map[[2]string]string
	checks map[string]func() error
	once   map[any]any
	ends   []func()
	paths  map[string]http.Handler
}

// Store returns what gateways remember together. It is open from Provision to
// Cleanup, and not asked while provisioning.
func (c *Config) Store() store.Store { return c.Shared }

// Policy returns the digest of the configuration and the files it names, "" where
// it is only validated.
func (c *Config) Policy() string {
	if digest := c.policy.Load(); digest != nil {
		return *digest
	}
	return ""
}

// SetPolicy says what Policy returns. It is for the app.
func (c *Config) SetPolicy(digest string) { c.policy.Store(&digest) }

// Reread says that a file which is part of the policy was read again, and has come
// into force: what is not read once when the configuration is loaded.
func (c *Config) Reread(path string) {
	if c.OnReread != nil {
		c.OnReread(path)
	}
}

// Define says that the name of a kind means definition in this configuration.
// It is an error if the same name was given another definition: modules that
// share state by name must agree on it.
func (c *Config) Define(kind, name, definition string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := [2]string{kind, name}
	if other, ok := c.names[key]; ok && other != definition {
		return fmt.Errorf("%s %s is defined twice and differently: %s and %s", kind, name, other, definition)
	}
	if c.names == nil {
		c.names = make(map[[2]string]string)
	}
	c.names[key] = definition
	return nil
}

// Ready adds a condition of readiness; a second one of the same name replaces
// the first. check is called on each probe and has to be fast; its error is
// logged and shown to nobody.
func (c *Config) Ready(name string, check func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.checks == nil {
		c.checks = make(map[string]func() error)
	}
	c.checks[name] = check
}

// AtEnd makes f run when the configuration has been replaced, or rejected. Caddy's
// own OnCancel runs nothing that a module gives it.
func (c *Config) AtEnd(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends = append(c.ends, f)
}

// End runs what was given to AtEnd. It is for the app.
func (c *Config) End() {
	c.mu.Lock()
	ends := c.ends
	c.ends = nil
	c.mu.Unlock()
	for _, f := range ends {
		f()
	}
}

// Publish adds a document that the health directive serves at path, to GET and HEAD
// requests of whoever may probe; a second one of the same path replaces the first.
func (c *Config) Publish(path string, document http.Handler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.paths == nil {
		c.paths = make(map[string]http.Handler)
	}
	c.paths[path] = document
}

// Published returns the document at path, or nil.
func (c *Config) Published(path string) http.Handler {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.paths[path]
}

// The errors of a gateway that is not ready whatever its modules say.
var (
	errNotInForce = errors.New("the configuration is not in force yet")
	errExiting    = errors.New("the gateway is about to end")
)

// InForce says that every app of the configuration has started.
func (c *Config) InForce() { c.inForce.Store(true) }

// Probed says that something asks for readiness, so that an exit has to give it
// the time to notice.
func (c *Config) Probed() { c.probed.Store(true) }

// IsProbed reports whether Probed was called.
func (c *Config) IsProbed() bool { return c.probed.Load() }

// NotReady asks every condition and returns the errors of those that do not
// hold, in the order of their names.
func (c *Config) NotReady() []error {
	errs := c.missing()
	// Not while a reload drains: then another configuration serves.
	if c.exiting.Load() || caddy.Exiting() {
		errs = append(errs, errExiting)
	}
	return errs
}

// startedUp says that every condition has held once in this process.
var startedUp atomic.Bool

// StartedUp reports whether every condition has held, be it only once, in this
// configuration or an earlier one.
func (c *Config) StartedUp() bool {
	return startedUp.Load() || len(c.missing()) == 0
}

func (c *Config) missing() (errs []error) {
	c.mu.Lock()
	checks := maps.Clone(c.checks)
	c.mu.Unlock()
	if !c.inForce.Load() {
		errs = append(errs, errNotInForce)
	}
	for _, name := range slices.Sorted(maps.Keys(checks)) {
		if err := checks[name](); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	if len(errs) == 0 {
		startedUp.Store(true)
	}
	return errs
}

// Once returns the value kept under key, made by construct the first time: what
// several modules of one configuration need one of, such as one per server.
func (c *Config) Once(key any, construct func() any) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.once[key]; ok {
		return v
	}
	if c.once == nil {
		c.once = make(map[any]any)
	}
	v := construct()
	c.once[key] = v
	return v
}
