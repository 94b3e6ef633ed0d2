package jwks

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
)

const (
	minRetry = 2 * time.Second
	maxRetry = 5 * time.Minute
)

// Why there are no keys.
var (
	ErrNotLoaded = errors.New("the key set has not been fetched yet")
	ErrStale     = errors.New("the key set could not be fetched for too long")
)

// Source keeps the key set of one URL, or of one issuer. It is a jwt.KeySource, safe
// for concurrent use. Make it with New, and Close it.
type Source struct {
	config  Config
	client  *http.Client
	observe func(Event)

	current atomic.Pointer[fetched]
	found   atomic.Pointer[found]
	rounds  *rounds
	keeper  keeper
	// background is what the storage is doing.
	background sync.WaitGroup
	report     report

	once   sync.Once
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
}

// fetched is a key set and when it was last seen at the URL.
type fetched struct {
	keys *jwt.KeySet
	at   time.Time
	// stored says that it is from the storage: this process has not seen it there.
	stored bool
}

// Event is a change worth a line in a log: other keys are in force, reading them
// began to fail, or it works again.
type Event struct {
	// Source is the URL or the file's path.
	Source string
	// Keys are the keys in force; nil if there never were any.
	Keys *jwt.KeySet
	// Err is why the last attempt failed, or nil.
	Err error
	// Storage says that this is about the storage: Err is why the last good keys could
	// not be kept or read there; without it, those are in force that were there.
	Storage bool
}

// New returns the source of a key set. It fetches nothing before Start. observe is
// called on the source's goroutines and must not call Close.
func New(config Config, observe func(Event)) (*Source, error) {
	config = config.Complete()
	if err := config.Check(); err != nil {
		return nil, err
	}
	transport, err := newTransport(config)
	if err != nil {
		return nil, err
	}
	return newSource(config, transport, observe), nil
}

func newSource(config Config, transport http.RoundTripper, observe func(Event)) *Source {
	config = config.Complete()
	s := &Source{
		config: config, client: newClient(transport), observe: observe,
		rounds: newRounds(min(missInterval, config.MinRefresh)), done: make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	live.add(s)
	return s
}

// Start begins to fetch, the first time it is called. Whoever needs keys starts
// the source as well, in case nobody did.
func (s *Source) Start() {
	s.once.Do(func() { go s.run() })
}

// Close ends the source's goroutine, and a fetch in progress, and waits for both. It
// gives the storage a second to end what it is doing.
// It may be called again.
func (s *Source) Close() error {
	s.cancel()
	s.once.Do(func() { close(s.done) }) // never started, and never will be
	<-s.done
	s.settle()
	s.client.CloseIdleConnections()
	live.remove(s)
	return nil
}

// Keys implements jwt.KeySource.
func (s *Source) Keys(now time.Time) (*jwt.KeySet, error) {
	f := s.current.Load()
	if f == nil {
		return nil, s.want(ErrNotLoaded)
	}
	if now.Sub(f.at) > s.config.MaxStale {
		return nil, s.want(ErrStale)
	}
	return f.keys, nil
}

// Ready returns an error until there were keys for the first time. Later the
// source stays ready, also when it fails: taking every gateway out of service
// because an issuer is down would take down what does not need it.
func (s *Source) Ready() error {
	if s.current.Load() == nil {
		return s.want(ErrNotLoaded)
	}
	return nil
}

// want says that keys are needed and missing: the wait between retries grows
// long, but not while somebody asks.
func (s *Source) want(err error) error {
	s.Start()
	_, _, _, _ = s.rounds.ask(time.Now())
	return err
}

func (s *Source) run() {
	defer close(s.done)
	retry, failing := minRetry, false
	for {
		now := time.Now()
		s.report.attempt(now)
		next, changed, err := s.fetch(s.rounds.begin(now))
		if s.ctx.Err() != nil {
			return
		}
		if err != nil {
			next, retry = retry, min(2*retry, maxRetry, max(s.config.MaxRefresh, minRetry))
		} else {
			retry = minRetry
		}
		next -= time.Duration(rand.Int64N(int64(next) / 10))
		if err != nil {
			s.awaitStored()
		}
		s.report.attempted(err, time.Now().Add(next))
		s.rounds.end(err)
		if changed || failing != (err != nil) {
			failing = err != nil
			s.tell(Event{Err: err})
		}
		if !s.wait(next) {
			return
		}
	}
}

// wait returns when the next fetch is due: after next, or when a token misses a
// key and may cause one. It returns false at the end.
func (s *Source) wait(next time.Duration) bool {
	timer := time.NewTimer(next)
	defer timer.Stop()
	select {
	case <-s.ctx.Done():
		return false
	case <-timer.C:
		return true
	case <-s.rounds.wake:
	}
	early := time.NewTimer(s.rounds.until(time.Now()))
	defer early.Stop()
	select {
	case <-s.ctx.Done():
		return false
	case <-timer.C:
	case <-early.C:
	}
	return true
}

func (s *Source) tell(e Event) {
	if s.observe == nil {
		return
	}
	e.Source = s.config.URL
	if f := s.current.Load(); f != nil {
		e.Keys = f.keys
	}
	s.observe(e)
}

// Interface guards
var _ jwt.KeySource = (*Source)(nil)
