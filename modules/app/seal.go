package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
)

// sealed is the configuration that this process keeps, nil while it may be
// replaced. It is a variable of the process because another configuration need
// not have this app.
var sealed atomic.Pointer[App]

// The ways to change a configuration, as the metric calls them.
const (
	wayConfig = "config" // POST, PUT, PATCH, DELETE /config/…
	wayID     = "id"     // the same by /id/…
	wayLoad   = "load"   // POST /load
	wayStop   = "stop"   // POST /stop
	wayAdapt  = "adapt"  // POST /adapt, which changes nothing but reads any file
	wayOther  = "other"  // a configuration came in some other way
)

var changesRefused = newChangesRefused()

func newChangesRefused() *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: metric.Namespace,
		Name:      "config_changes_refused_total",
		Help:      "Attempts to change the configuration of a sealed gateway, by way.",
	}, []string{"way"})
	for _, way := range []string{wayConfig, wayID, wayLoad, wayStop, wayAdapt, wayOther} {
		c.WithLabelValues(way)
	}
	return c
}

var errSealed = errors.New("the gateway is sealed: its configuration cannot be changed at run time")

// seal makes a sealed configuration the last one of the process. Caddy would read
// the file again on SIGUSR1, and a configuration with `admin off` in it goes past
// everything else here; without a file it ignores the signal.
func (a *App) seal() {
	if !a.Seal {
		return
	}
	a.before.sealed = sealed.Swap(a)
	caddy.SetLastConfig("", "", nil)
}

// unseal takes back seal for a configuration that started and did not come into
// force. SIGUSR1 stays ignored.
func (a *App) unseal() {
	if a.Seal && !a.left {
		sealed.CompareAndSwap(a, a.before.sealed)
	}
}

// checkSealed refuses another configuration beside a sealed one, and a sealed one
// that would not stay. The apps' Provision is where every configuration comes
// through, with an admin endpoint before that is replaced.
func (a *App) checkSealed(ctx caddy.Context) error {
	config := configOf(ctx)
	switch kept := sealed.Load(); {
	case kept == nil || kept == a:
	case inForce.restoring.Load() != nil && a.digest() == kept.digest() && a.digest() != "":
		// The same policy once more, to bring its admin endpoint back.
	default:
		// With an admin endpoint, Caddy asks Admin first, and that asks here.
		a.adminKept = config == nil || config.Admin == nil || !config.Admin.Disabled
		refused(wayOther, nil)
		return errSealed
	}
	if !a.Seal {
		return nil
	}
	if config == nil {
		return errors.New("seal: this version of Caddy does not show its configuration")
	}
	var errs []error
	if config.Admin != nil && config.Admin.Config != nil && config.Admin.Config.LoadRaw != nil {
		errs = append(errs, errors.New("seal: admin.config.load would replace the configuration, remove it"))
	}
	return errors.Join(append(errs, checkArguments(os.Args))...)
}

// configOf returns the configuration that ctx belongs to, which Caddy does not
// export.
func configOf(ctx caddy.Context) *caddy.Config {
	field := reflect.ValueOf(ctx).FieldByName("cfg")
	if !field.IsValid() || field.Type() != reflect.TypeFor[*caddy.Config]() {
		return nil
	}
	return (*caddy.Config)(field.UnsafePointer())
}

// checkArguments refuses a command line that would replace a sealed configuration,
// or that let another one take its place already.
func checkArguments(args []string) error {
	if len(args) < 2 {
		return nil
	}
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.ParseErrorsAllowlist.UnknownFlags = true
	f.Usage = func() {}
	// Flags of `caddy run` with a value, so that the value is not taken for a flag.
	f.StringP("config", "c", "", "")
	f.StringP("adapter", "a", "", "")
	f.StringSlice("envfile", nil, "")
	f.String("pidfile", "", "")
	f.String("pingback", "", "")
	f.BoolP("environ", "e", false, "")
	watch := f.BoolP("watch", "w", false, "")
	resume := f.BoolP("resume", "r", false, "")
	if err := f.Parse(args[1:]); err != nil || f.Arg(0) != "run" {
		return nil // not Caddy's command line
	}
	var errs []error
	if *watch {
		errs = append(errs, errors.New("seal: --watch would replace the configuration, remove it"))
	}
	if *resume {
		errs = append(errs, errors.New("seal: --resume runs what was saved last instead of the file, remove it"))
	}
	return errors.Join(errs...)
}

// shadow is a route of the admin API that stands in front of one of Caddy's.
type shadow struct{ method, path, way string }

// shadowed are the routes that change a configuration. A pattern with a method has
// precedence over the same one without, which Caddy's are.
var shadowed = []shadow{
	{http.MethodPost, "/config/", wayConfig},
	{http.MethodPut, "/config/", wayConfig},
	{http.MethodPatch, "/config/", wayConfig},
	{http.MethodDelete, "/config/", wayConfig},
	{http.MethodPost, "/id/", wayID},
	{http.MethodPut, "/id/", wayID},
	{http.MethodPatch, "/id/", wayID},
	{http.MethodDelete, "/id/", wayID},
	{http.MethodPost, "/load", wayLoad},
	{http.MethodPost, "/stop", wayStop},
	{http.MethodPost, "/adapt", wayAdapt},
}

func (s shadow) pattern() string { return s.method + " " + s.path }

func shadows() []caddy.AdminRoute {
	routes := make([]caddy.AdminRoute, len(shadowed))
	for i, s := range shadowed {
		routes[i] = caddy.AdminRoute{Pattern: s.pattern(), Handler: caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			refused(s.way, r)
			return answerSealed(w)
		})}
	}
	return routes
}

// refused counts and logs an attempt.
func refused(way string, r *http.Request) {
	changesRefused.WithLabelValues(way).Inc()
	fields := []zap.Field{zap.String("way", way)}
	if r != nil {
		fields = append(fields, zap.String("method", r.Method), zap.String("remote", r.RemoteAddr))
	}
	caddy.Log().Named("sallyport.seal").Warn("a configuration change was refused: the gateway is sealed", fields...)
}

func answerSealed(w http.ResponseWriter) error {
	body, err := json.Marshal(map[string]any{
		"title":  "The gateway is sealed.",
		"status": http.StatusForbidden,
		"detail": "Its configuration cannot be changed at run time. Roll out a new image, or end the process by its supervisor.",
	})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusForbidden)
	_, err = w.Write(body)
	return err
}

// checkShadows proves that the routes have the precedence they are made for. They
// have not with GODEBUG=httpmuxgo121=1.
func checkShadows() error {
	mux := http.NewServeMux()
	nothing := http.NotFoundHandler()
	for _, path := range []string{"/config/", "/id/", "/load", "/stop", "/adapt"} {
		mux.Handle(path, nothing)
	}
	for _, s := range shadowed {
		mux.Handle(s.pattern(), nothing)
	}
	for _, s := range shadowed {
		r, err := http.NewRequest(s.method, s.path, nil)
		if err != nil {
			return err
		}
		if _, pattern := mux.Handler(r); pattern != s.pattern() {
			return fmt.Errorf("seal: the admin API cannot be sealed, %s reaches %s (is GODEBUG=httpmuxgo121=1 set?)", s.pattern(), pattern)
		}
	}
	return nil
}
