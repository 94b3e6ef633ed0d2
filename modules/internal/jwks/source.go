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

	// missInterval is how long after an attempt the next one may be caused by a
	// token.
	missInterval = 15 * time.Second

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
	missed  chan struct{}

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
	s := &Source{url: url, client: newClient(transport), observe: observe, missed: make(chan struct{}, 1), done: make(chan struct{})}
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

// Missed implements jwt.KeySource: it brings the next fetch forward.
func (s *Source) Missed() {
	select {
	case s.missed <- struct{}{}:
	default:
	}
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
	s.Missed()
	return err
}

func (s *Source) run() {
	defer close(s.done)
	retry, failing := minRetry, false
	for {
		// Tokens up to now are served by the fetch that begins now.
		select {
		case <-s.missed:
		default:
		}
		began := time.Now()
		next, changed, err := s.fetch()
		if s.ctx.Err() != nil {
			return
		}
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
		if !s.wait(began, next) {
			return
		}
	}
}

// wait returns when the next fetch is due: after next, or when a token misses a
// key and the last fetch is long enough ago. It returns false at the end.
func (s *Source) wait(began time.Time, next time.Duration) bool {
	timer := time.NewTimer(next - time.Duration(rand.Int64N(int64(next)/10)))
	defer timer.Stop()
	select {
	case <-s.ctx.Done():
		return false
	case <-timer.C:
		return true
	case <-s.missed:
	}
	early := time.NewTimer(time.Until(began.Add(missInterval)))
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
