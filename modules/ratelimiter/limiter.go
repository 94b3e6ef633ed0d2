package ratelimiter

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/internal/lease"
	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
)

// maxZones bounds the zones of one guard: a decision lives on the stack.
const maxZones = 8

// tables are the buckets of all zones by name. They outlive a reload, accepted
// or rejected; the limits are the configuration's own.
var tables = lease.NewPool[*table]()

var full = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: metric.Namespace,
	Name:      "zone_full_total",
	Help:      "Requests whose key shared a bucket with others, because their zone had max_keys in use.",
}, []string{"zone"})

// limiter is what rate_limiter and quota have in common. It is read-only once
// provisioned.
type limiter struct {
	zones  []zone // in ascending order of their tables' id, which decide needs
	policy policyList
	reason *decision.Reason
	leases []*lease.Lease[*table]
}

// zone is a Zone, compiled.
type zone struct {
	table *table
	limit limit
	key   key
	item  string // the beginning of its RateLimit item
	cause error  // names it in logs of refusals
	full  prometheus.Counter
}

// provision compiles zones for the guard g, which Setup prepared, and takes a
// lease on the table of each.
func (l *limiter) provision(ctx caddy.Context, g *guard.Guard, guardName string, reason *decision.Reason, zones []Zone) error {
	l.reason = reason
	limits, keys, err := compileAll(zones, guardName == quotaName)
	if err != nil {
		return err
	}
	if err := metric.Register(ctx, full); err != nil {
		return err
	}
	var errs []error
	var policies []string
	for i := range zones {
		name := zones[i].Name
		if err := g.Suite().Define("zone", name, zones[i].definition(limits[i])); err != nil {
			errs = append(errs, err)
			continue
		}
		leased, err := tables.Take(name, func() (*table, error) { return newTable(), nil })
		if err != nil {
			errs = append(errs, err)
			continue
		}
		l.leases = append(l.leases, leased)
		l.zones = append(l.zones, zone{
			table: leased.Value(),
			limit: limits[i],
			key:   keys[i],
			item:  item(name),
			cause: fmt.Errorf("zone %s", name),
			full:  full.WithLabelValues(name),
		})
		policies = append(policies, policyItem(name, &limits[i]))
	}
	l.policy.items = strings.Join(policies, ", ")
	lockOrder(l.zones)
	return errors.Join(errs...)
}

// lockOrder puts zones into the order in which decide locks their tables.
func lockOrder(zones []zone) {
	slices.SortFunc(zones, func(a, b zone) int { return cmp.Compare(a.table.id, b.table.id) })
}

// cleanup gives back what provision took, however far it came.
func (l *limiter) cleanup() error {
	var errs []error
	for _, leased := range l.leases {
		errs = append(errs, leased.Release())
	}
	return errors.Join(errs...)
}

// serve decides about one request and passes it on or refuses it.
func (l *limiter) serve(g *guard.Guard, w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	req, err := g.Begin(w, r)
	if err != nil {
		return err
	}
	if req == nil {
		return next.ServeHTTP(w, r)
	}
	var room [maxZones]charge
	charges := room[:len(l.zones)]
	for i := range l.zones {
		z := &l.zones[i]
		charges[i].table, charges[i].limit, charges[i].hash = z.table, &z.limit, z.key.hash(r, req)
	}
	admitted := decide(monotonic, charges)
	for i := range charges {
		if charges[i].full {
			l.zones[i].full.Inc()
		}
	}
	if !admitted {
		// Callers do not see a trial: a client would slow down for it.
		if !g.DryRun() {
			l.advertiseRefusal(w, charges)
		}
		if err := g.Deny(w, r, l.reason, l.cause(charges)); err != nil {
			return err
		}
		return next.ServeHTTP(w, r)
	}
	g.Allow()
	if g.DryRun() {
		return next.ServeHTTP(w, r)
	}
	return l.advertise(w, r, next, charges)
}

// advertise passes r on, with the items of all zones in its response.
func (l *limiter) advertise(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, charges []charge) error {
	claimant, first := claim(w)
	var list [256]byte
	limits := append(list[:0], claimant.limit[0]...)
	for i := range charges {
		limits = appendLimitItem(limits, l.zones[i].item, charges[i].limit, charges[i].used)
	}
	claimant.set(l.policy.after(claimant.policy[0]), string(limits))
	if first {
		return claimant.serve(r, next)
	}
	return next.ServeHTTP(w, r)
}

// advertiseRefusal says which zones refuse, and when to come back: not before
// the last of them admits a request.
//
// The limits of zones that admit, also those of a guard further out, are left
// out: Retry-After must not come before the end of an effective window (section
// 6), and the ends of those mean nothing here.
func (l *limiter) advertiseRefusal(w http.ResponseWriter, charges []charge) {
	var limits []byte
	var wait int64
	for i := range charges {
		if c := &charges[i]; c.refused {
			limits = appendLimitItem(limits, l.zones[i].item, c.limit, c.used)
			wait = max(wait, c.limit.wait(c.used))
		}
	}
	claimant, _ := claim(w)
	claimant.set(l.policy.after(claimant.policy[0]), string(limits))
	w.Header()["Retry-After"] = []string{strconv.FormatInt(wholeSeconds(wait), 10)}
}

// cause names the first zone that refuses.
func (l *limiter) cause(charges []charge) error {
	for i := range charges {
		if charges[i].refused {
			return l.zones[i].cause
		}
	}
	return nil
}
