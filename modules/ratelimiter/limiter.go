package ratelimiter

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
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
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
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
	zones    []zone // in ascending order of their tables' id, which decide needs
	policy   *policyList
	policies map[string]*policyList // by tier
	crowds   []crowd
	reason   *decision.Reason
	leases   []releaser
}

// releaser is a share of something that outlives the configuration.
type releaser interface{ Release() error }

// policyFor returns the policies of who calls.
func (l *limiter) policyFor(p *principal.Principal) *policyList {
	if p != nil {
		if policy := l.policies[p.Tier]; policy != nil {
			return policy
		}
	}
	return l.policy
}

// zone is a Zone, compiled.
type zone struct {
	table *table
	limit limit
	tiers map[string]*limit // by the principal's tier, nil for none
	key   key
	item  string // the beginning of its RateLimit item
	cause error  // names it in logs of refusals
	full  prometheus.Counter
}

// limitFor returns the limit of who calls.
func (z *zone) limitFor(p *principal.Principal) *limit {
	if z.tiers == nil || p == nil {
		return &z.limit
	}
	if l := z.tiers[p.Tier]; l != nil {
		return l
	}
	return &z.limit
}

// provision compiles zones for the guard g, which Setup prepared, and takes a
// lease on the table of each.
func (l *limiter) provision(ctx caddy.Context, g *guard.Guard, guardName string, reason *decision.Reason, zones []Zone, concurrency []Concurrency) error {
	l.reason = reason
	compiled, crowds, err := compileAll(zones, concurrency, guardName == quotaName)
	if err != nil {
		return err
	}
	if err := metric.Register(ctx, full); err != nil {
		return err
	}
	var errs []error
	for i := range zones {
		z := &compiled[i]
		name := zones[i].Name
		if err := g.Suite().Define("zone", name, zones[i].definition(z)); err != nil {
			errs = append(errs, err)
			continue
		}
		leased, err := tables.Take(tableName(name, &z.limit), func() (*table, error) { return newTable(), nil })
		if err != nil {
			errs = append(errs, err)
			continue
		}
		l.leases = append(l.leases, leased)
		z.table, z.item, z.cause, z.full = leased.Value(), item(name), fmt.Errorf("zone %s", name), full.WithLabelValues(name)
		l.zones = append(l.zones, *z)
	}
	l.policy, l.policies = policies(zones, compiled)
	lockOrder(l.zones)
	for i := range crowds {
		name := concurrency[i].Name
		if err := g.Suite().Define("concurrency", name, concurrency[i].definition()); err != nil {
			errs = append(errs, err)
			continue
		}
		leased, err := underWays.Take(name, func() (*underWay, error) { return newUnderWay(), nil })
		if err != nil {
			errs = append(errs, err)
			continue
		}
		l.leases = append(l.leases, leased)
		crowds[i].underWay = leased.Value()
		l.crowds = append(l.crowds, crowds[i])
	}
	return errors.Join(errs...)
}

// tableName is what a zone's buckets are known by. What calendar windows count
// means nothing to a rate, and the other way round.
func tableName(zone string, l *limit) string {
	if l.calendar == nil {
		return zone
	}
	return zone + "/" + l.calendar.word
}

// policies returns the RateLimit-Policy items of the zones, in their order in the
// configuration, and those for each tier that one of them has.
func policies(zones []Zone, compiled []zone) (*policyList, map[string]*policyList) {
	var names []string
	items := func(tier string) *policyList {
		list := make([]string, len(zones))
		for i := range zones {
			list[i] = policyItem(zones[i].Name, compiled[i].limitFor(&principal.Principal{Tier: tier}))
			names = slices.AppendSeq(names, maps.Keys(compiled[i].tiers))
		}
		return &policyList{items: strings.Join(list, ", ")}
	}
	policy, byTier := items(""), make(map[string]*policyList)
	for _, tier := range names {
		byTier[tier] = items(tier)
	}
	return policy, byTier
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
	if len(l.crowds) > 0 {
		e, crowded := l.enter(r, req, g.DryRun())
		defer l.leave(&e)
		if crowded != nil {
			if !g.DryRun() {
				w.Header()["Retry-After"] = []string{"1"}
			}
			if err := g.Deny(w, r, reasonConcurrency, crowded.cause); err != nil {
				return err
			}
			return next.ServeHTTP(w, r)
		}
	}
	if len(l.zones) == 0 {
		g.Allow()
		return next.ServeHTTP(w, r)
	}
	return l.charge(g, w, r, req, next)
}

// charge decides about one request by the zones, and passes it on or refuses it.
func (l *limiter) charge(g *guard.Guard, w http.ResponseWriter, r *http.Request, req *guard.Request, next caddyhttp.Handler) error {
	var room [maxZones]charge
	charges := room[:len(l.zones)]
	for i := range l.zones {
		z := &l.zones[i]
		charges[i].table, charges[i].limit, charges[i].hash = z.table, z.limitFor(req.Principal), z.key.hash(r, req)
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
			l.advertiseRefusal(w, l.policyFor(req.Principal), charges)
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
	return l.advertise(w, r, next, l.policyFor(req.Principal), charges)
}

// advertise passes r on, with the items of all zones in its response.
func (l *limiter) advertise(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, policy *policyList, charges []charge) error {
	claimant, first := claim(w)
	var list [256]byte
	limits := append(list[:0], claimant.limit[0]...)
	for i := range charges {
		limits = appendLimitItem(limits, l.zones[i].item, charges[i].limit, charges[i].used, charges[i].time)
	}
	claimant.set(policy.after(claimant.policy[0]), string(limits))
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
func (l *limiter) advertiseRefusal(w http.ResponseWriter, policy *policyList, charges []charge) {
	var limits []byte
	var wait int64
	for i := range charges {
		if c := &charges[i]; c.refused {
			limits = appendLimitItem(limits, l.zones[i].item, c.limit, c.used, c.time)
			wait = max(wait, c.limit.back(c.used, c.time))
		}
	}
	claimant, _ := claim(w)
	claimant.set(policy.after(claimant.policy[0]), string(limits))
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
