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
	minRefresh     = time.Minute
	defaultRefresh = 15 * time.Minute
	maxRefresh     = time.Hour

	minRetry = 2 * time.Second
	maxRetry = 5 * time.Minute

	// maxStale is how long keys stay in force without a successful fetch.
	maxStale = 24 * time.Hour
)

// Why there are no keys.
var (
	ErrNotLoaded = errors.New("the key set has not been fetched yet")
	ErrStale     = errors.New("the key set could not be fetched for too long")
)

// Source keeps the key set of one URL. It is a jwt.KeySource, safe for concurrent
// use. Make it with New, and Close it.
type Source struct {
	url     string
	client  *http.Client
	observe func(Event)

	current atomic.Pointer[fetched]
	rounds  *rounds

	once   sync.Once
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
}

// fetched is a key set and when it was last seen at the URL.
type fetched struct {
	keys *jwt.KeySet
	at   time.Time
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
}

// New returns the source of the key set at url. It fetches nothing before Start.
// observe is called on the source's goroutine and must not call Close.
func New(url string, observe func(Event)) (*Source, error) {
	if err := CheckURL(url); err != nil {
		return nil, err
	}
	return newSource(url, newTransport(), observe), nil
}

func newSource(url string, transport http.RoundTripper, observe func(Event)) *Source {
	s := &Source{url: url, client: newClient(transport), observe: observe, rounds: newRounds(), done: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.count()
	return s
}

// Start begins to fetch, the first time it is called. Whoever needs keys starts
// the source as well, in case nobody did.
func (s *Source) Start() {
	s.once.Do(func() { go s.run() })
}

// Close ends the source's goroutine, and a fetch in progress, and waits for both.
// It may be called again.
func (s *Source) Close() error {
	s.cancel()
	s.once.Do(func() { close(s.done) }) // never started, and never will be
	<-s.done
	s.client.CloseIdleConnections()
	s.uncount()
	return nil
}

// Keys implements jwt.KeySource.
func (s *Source) Keys(now time.Time) (*jwt.KeySet, error) {
	f := s.current.Load()
	if f == nil {
		return nil, s.want(ErrNotLoaded)
	}
	if now.Sub(f.at) > maxStale {
		return nil, s.want(ErrStale)
	}
	return f.keys, nil
}

// Ready returns an error until keys were fetched for the first time. Later the
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
	_, _, _ = s.rounds.ask(time.Now())
	return err
}

func (s *Source) run() {
	defer close(s.done)
	retry, failing := minRetry, false
	for {
		s.rounds.begin(time.Now())
		next, changed, err := s.fetch()
		if s.ctx.Err() != nil {
			return
		}
		s.rounds.end(err)
		s.counted(err)
		if err == nil {
			retry = minRetry
		} else {
			next, retry = retry, min(2*retry, maxRetry)
		}
		if changed || failing != (err != nil) {
			failing = err != nil
			s.tell(err)
		}
		if !s.wait(next) {
			return
		}
	}
}

// wait returns when the next fetch is due: after next, or when a token misses a
// key and may cause one. It returns false at the end.
func (s *Source) wait(next time.Duration) bool {
	timer := time.NewTimer(next - time.Duration(rand.Int64N(int64(next)/10)))
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

// fetch gets the key set once and puts it in force. It returns when to do it
// again, and whether the keys are others than before.
func (s *Source) fetch() (next time.Duration, changed bool, err error) {
	body, next, err := s.get()
	if err != nil {
		return 0, false, err
	}
	old := s.current.Load()
	if old != nil && old.keys.IsFrom(body) {
		s.current.Store(&fetched{old.keys, time.Now()})
		return next, false, nil
	}
	keys, err := jwt.ParseJWKS(body)
	if err != nil {
		return 0, false, err
	}
	s.current.Store(&fetched{keys, time.Now()})
	s.rounds.replaced()
	return next, true, nil
}

func (s *Source) tell(err error) {
	if s.observe == nil {
		return
	}
	event := Event{Source: s.url, Err: err}
	if f := s.current.Load(); f != nil {
		event.Keys = f.keys
	}
	s.observe(event)
}

// Interface guards
var _ jwt.KeySource = (*Source)(nil)
