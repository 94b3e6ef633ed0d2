package storage

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
	"github.com/sallyport-gateway/sallyport/modules/internal/secret"
	"github.com/sallyport-gateway/sallyport/modules/internal/store"
)

func init() {
	caddy.RegisterModule(new(Storage))
}

const (
	defaultPrefix = "caddy"
	longestPrefix = 64

	defaultLease  = 30 * time.Second
	shortestLease = time.Second
	longestLease  = 10 * time.Minute

	defaultWait  = 10 * time.Second
	shortestWait = 10 * time.Millisecond
	longestWait  = time.Hour
)

// Storage keeps Caddy's certificates, private keys and locks in Redis or Valkey,
// so that identical gateways share them. Values are encrypted. It fails closed:
// what cannot be read, or is not what was stored under that name, is an error and
// never an absent value, which Caddy would replace.
type Storage struct {
	store.Config

	// Prefix begins the names of everything in the store. Gateways with one prefix
	// share. Default: caddy.
	Prefix string `json:"prefix,omitempty"`

	// Key are the encryption keys: the first encrypts, all decrypt. Required,
	// unless InsecurePlaintext is set.
	Key []Key `json:"key,omitempty"`

	// InsecurePlaintext stores private keys unencrypted, for whoever reads the
	// store or its backups. Default: false.
	InsecurePlaintext bool `json:"insecure_plaintext,omitempty"`

	// LockLease is for how long a lock outlives the gateway that held it, at least
	// twice Timeout. Default: 30s.
	LockLease caddy.Duration `json:"lock_lease,omitempty"`

	// Wait is for how long an operation waits for a store that is away, longer than
	// Timeout. Default: 10s.
	Wait caddy.Duration `json:"wait,omitempty"`

	share  *store.Lease
	client *store.Client
	sealer sealer
	names  redisNames
	lease  time.Duration
	wait   time.Duration
	logger *zap.Logger

	mu    sync.Mutex
	held  map[string]*heldLock
	gates map[string]*gate
}

// Key is an encryption key.
type Key struct {
	// ID names the key in the values that it encrypted. Required.
	ID string `json:"id,omitempty"`

	// Secret is {env.NAME} or {file.PATH}: 32 random bytes in base64 or
	// hexadecimal. Required.
	Secret string `json:"secret,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Storage) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "caddy.storage.redis",
		New: func() caddy.Module { return new(Storage) },
	}
}

// Provision implements caddy.Provisioner. It connects to nothing.
func (s *Storage) Provision(ctx caddy.Context) error {
	if err := s.check(); err != nil {
		return err
	}
	if err := metric.Register(ctx, storageErrors); err != nil {
		return err
	}
	if err := s.readKeys(); err != nil {
		return err
	}
	s.logger = ctx.Logger()
	if s.InsecurePlaintext {
		s.logger.Warn("private keys are stored unencrypted")
	}
	share, err := store.Open(ctx, s.Config)
	if err != nil {
		return err
	}
	s.share = share
	s.begin(share.Value())
	return nil
}

// begin makes the storage ready for use.
func (s *Storage) begin(client *store.Client) {
	s.client = client
	s.lease, s.wait = cmp.Or(time.Duration(s.LockLease), defaultLease), cmp.Or(time.Duration(s.Wait), defaultWait)
	s.names = namesFor(s.prefix())
	s.held, s.gates = make(map[string]*heldLock), make(map[string]*gate)
}

// Cleanup implements caddy.CleanerUpper. Locks that are still held keep the store
// open until they are released.
func (s *Storage) Cleanup() error { return s.share.Release() }

// CertMagicStorage implements caddy.StorageConverter.
func (s *Storage) CertMagicStorage() (certmagic.Storage, error) { return s, nil }

// String implements fmt.Stringer, for Caddy's logs.
func (s *Storage) String() string {
	if s.client == nil {
		return "redis"
	}
	return fmt.Sprintf("redis:%s/%s", s.client.Name(), s.prefix())
}

// Reachable returns nil if the store answered the last time, for readiness.
func (s *Storage) Reachable() error { return s.client.Reachable() }

func (s *Storage) prefix() string {
	if s.Prefix == "" {
		return defaultPrefix
	}
	return s.Prefix
}

// check returns everything that is wrong with the options. Nothing is read.
func (s *Storage) check() error {
	errs := []error{s.Config.Check(), checkPrefix(s.prefix())}
	switch {
	case len(s.Key) == 0 && !s.InsecurePlaintext:
		errs = append(errs, errors.New("key is missing: private keys would be readable in the store and its backups"))
	case len(s.Key) > 0 && s.InsecurePlaintext:
		errs = append(errs, errors.New("key and insecure_plaintext contradict each other"))
	}
	seen := make(map[string]bool)
	for i, k := range s.Key {
		if err := checkID(k.ID); err != nil {
			errs = append(errs, fmt.Errorf("key %d: %w", i+1, err))
		} else if seen[k.ID] {
			errs = append(errs, fmt.Errorf("key %d: the id %q is given twice", i+1, k.ID))
		}
		seen[k.ID] = true
		if err := secret.Check(k.Secret); err != nil {
			errs = append(errs, fmt.Errorf("key %d: %w", i+1, err))
		}
	}
	errs = append(errs,
		within("lock_lease", time.Duration(s.LockLease), shortestLease, longestLease),
		within("wait", time.Duration(s.Wait), shortestWait, longestWait),
		s.checkTimeout())
	return errors.Join(errs...)
}

// checkTimeout compares how long a command may take with how long others wait.
func (s *Storage) checkTimeout() error {
	timeout, wait, lease := s.CommandTimeout(), cmp.Or(time.Duration(s.Wait), defaultWait), cmp.Or(time.Duration(s.LockLease), defaultLease)
	var errs []error
	if timeout >= wait {
		errs = append(errs, fmt.Errorf("timeout %s is not shorter than wait %s: a store that hangs would not be found out", timeout, wait))
	}
	if timeout > lease/2 {
		errs = append(errs, fmt.Errorf("timeout %s is longer than half of lock_lease %s: one lost answer would cost a lock", timeout, lease))
	}
	return errors.Join(errs...)
}

// readKeys resolves the keys, and returns the errors of all.
func (s *Storage) readKeys() error {
	var errs []error
	for _, k := range s.Key {
		text, err := secret.Resolve(k.Secret)
		var key []byte
		if err == nil {
			key, err = decodeKey(text)
		}
		var made sealKey
		if err == nil {
			made, err = newSealKey(k.ID, key)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("key %q: %w", k.ID, err))
			continue
		}
		s.sealer.keys = append(s.sealer.keys, made)
	}
	return errors.Join(errs...)
}

func within(word string, d, shortest, longest time.Duration) error {
	if d != 0 && (d < shortest || d > longest) {
		return fmt.Errorf("%s is not between %s and %s", word, shortest, longest)
	}
	return nil
}

func checkPrefix(s string) error {
	if len(s) > longestPrefix || !only(s, "-_.:/") {
		return fmt.Errorf("prefix is not 1 to %d letters, digits and - _ . : /", longestPrefix)
	}
	return nil
}

func checkID(s string) error {
	if s == "" || len(s) > longestID || !only(s, "-_.") {
		return fmt.Errorf("the id is not 1 to %d letters, digits and - . _", longestID)
	}
	return nil
}

// only reports whether s has nothing but letters, digits and others.
func only(s, others string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(others, r)
	}) < 0
}

// redisNames are the keys of a storage in the store, and what they begin with.
type redisNames struct {
	values, names, writer, lock, fence, ended string
}

func namesFor(prefix string) redisNames {
	tag := "{" + prefix + "}:"
	return redisNames{
		values: tag + "values", names: tag + "names", writer: tag + "writer:" + writer,
		lock: tag + "lock:", fence: tag + "fence:", ended: tag + "ended:",
	}
}

// Interface guards
var (
	_ caddy.Provisioner          = (*Storage)(nil)
	_ caddy.CleanerUpper         = (*Storage)(nil)
	_ caddy.StorageConverter     = (*Storage)(nil)
	_ certmagic.Storage          = (*Storage)(nil)
	_ certmagic.TryLocker        = (*Storage)(nil)
	_ certmagic.LockLeaseRenewer = (*Storage)(nil)
)
