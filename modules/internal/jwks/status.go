package jwks

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
)

// State is what can be told of a source of keys.
type State struct {
	// Source is the configured URL, or the path of a file.
	Source string `json:"source"`
	// Kind is jwks, discovery or file.
	Kind string `json:"kind"`
	// Issuer and KeySet are who the metadata are of and where they say the keys are.
	Issuer string `json:"issuer,omitempty"`
	KeySet string `json:"key_set,omitempty"`
	// State is ok, failing, stale or empty.
	State string `json:"state"`
	// Keys are those in force, and NotUsed says why others of the set are not.
	Keys    []jwt.KeyInfo `json:"keys"`
	NotUsed []string      `json:"not_used,omitempty"`
	// FetchedAt is when the issuer last had these keys; StaleAt when they are too old.
	FetchedAt *time.Time `json:"fetched_at,omitempty"`
	StaleAt   *time.Time `json:"stale_at,omitempty"`
	// Stored says that they are from the storage, and were not fetched since.
	Stored bool `json:"stored,omitempty"`
	// LastAttempt is when the last fetch began, and NextFetch when the next one is due.
	LastAttempt *time.Time `json:"last_attempt,omitempty"`
	NextFetch   *time.Time `json:"next_fetch,omitempty"`
	// LastError is why the last fetch failed.
	LastError string `json:"last_error,omitempty"`
	// Failures are the fetches that failed, TokenFetches those that tokens caused.
	Failures     int `json:"failures"`
	TokenFetches int `json:"token_fetches"`
}

// The words of State.State.
const (
	StateOK      = "ok"
	StateFailing = "failing" // the last attempt failed, the keys before it are in force
	StateStale   = "stale"   // there are no keys that are not too old
	StateEmpty   = "empty"   // there never were any
)

// maxError bounds what is shown of an error: some repeat what a server said.
const maxError = 300

// report is how the fetches of a source went.
type report struct {
	mu       sync.Mutex
	began    time.Time
	next     time.Time
	err      error
	failures int
}

func (r *report) attempt(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.began, r.next = now, time.Time{}
}

func (r *report) attempted(err error, next time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err, r.next = err, next
	if err != nil {
		r.failures++
	}
}

// state returns what can be told of s at now.
func (s *Source) state(now time.Time) State {
	state := State{Source: s.config.URL, Kind: "jwks", Issuer: s.config.Issuer, State: StateEmpty, Keys: []jwt.KeyInfo{}}
	if s.config.Issuer != "" {
		state.Kind = "discovery"
		if f := s.found.Load(); f != nil {
			state.KeySet = f.url
		}
	}
	s.report.mu.Lock()
	failing := s.report.err != nil
	state.Failures = s.report.failures
	state.LastAttempt, state.NextFetch = moment(s.report.began), moment(s.report.next)
	if failing {
		state.LastError = s.report.err.Error()
		state.LastError = state.LastError[:min(len(state.LastError), maxError)]
	}
	s.report.mu.Unlock()
	s.rounds.mu.Lock()
	state.TokenFetches = s.rounds.caused
	s.rounds.mu.Unlock()
	f := s.current.Load()
	if f == nil {
		return state
	}
	stale := f.at.Add(s.config.MaxStale)
	state.FetchedAt, state.StaleAt, state.Stored = moment(f.at), moment(stale), f.stored
	state.tellKeys(f.keys)
	switch {
	case now.Sub(f.at) > s.config.MaxStale:
		state.State, state.Keys = StateStale, []jwt.KeyInfo{}
	case failing:
		state.State = StateFailing
	default:
		state.State = StateOK
	}
	return state
}

// state returns what can be told of f.
func (f *File) state(time.Time) State {
	state := State{Source: f.path, Kind: "file", State: StateOK}
	state.tellKeys(f.current.Load())
	if failed := f.failing.Load(); failed != nil {
		state.State, state.LastError = StateFailing, *failed
	}
	return state
}

func (s *State) tellKeys(keys *jwt.KeySet) {
	s.Keys = keys.Infos()
	for _, reason := range keys.Skipped() {
		s.NotUsed = append(s.NotUsed, reason.Error())
	}
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// live are the sources that are open.
var live registry

type stateful interface{ state(time.Time) State }

type registry struct {
	mu      sync.Mutex
	sources map[stateful]struct{}
}

func (r *registry) add(s stateful) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sources == nil {
		r.sources = make(map[stateful]struct{})
	}
	r.sources[s] = struct{}{}
}

func (r *registry) remove(s stateful) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sources, s)
}

// States returns what can be told of every open source, in order.
func States(now time.Time) []State {
	live.mu.Lock()
	sources := slices.Collect(maps.Keys(live.sources))
	live.mu.Unlock()
	states := make([]State, len(sources))
	for i, s := range sources {
		states[i] = s.state(now)
	}
	slices.SortStableFunc(states, func(a, b State) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Issuer, b.Issuer))
	})
	return states
}
