package keyring

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/upstream/assertion"
)

const (
	// TTL is how long a verifier may keep the published set.
	TTL = 5 * time.Minute
	// rotation is how long a key signs.
	rotation = 24 * time.Hour
	// lead is how long before its first use a key is made. It is more than a gateway
	// needs to find a new key and a verifier to forget an old set.
	lead = 15 * time.Minute
	// keep is how long a key stays published after its successor took over.
	keep = time.Hour
)

// entry is a key and when it is first used.
type entry struct {
	key     *assertion.Key
	private []byte // PKCS #8
	from    time.Time
}

// set is all keys, in the order of their use. It is immutable.
type set struct {
	entries []entry
	jwks    []byte
}

// stored is the form of a set in the storage.
type stored struct {
	Keys []storedKey `json:"keys"`
}

type storedKey struct {
	Private []byte    `json:"private"` // PKCS #8
	From    time.Time `json:"from"`
}

// errDamaged names nothing of what was read.
var errDamaged = errors.New("the stored signing keys are damaged: delete them to have new ones made")

// parse reads what encode wrote.
func parse(data []byte) ([]entry, error) {
	var s stored
	if err := json.Unmarshal(data, &s); err != nil || len(s.Keys) == 0 {
		return nil, errDamaged
	}
	entries := make([]entry, 0, len(s.Keys))
	for _, k := range s.Keys {
		e, err := entryOf(k.Private, k.From)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return a.from.Compare(b.from) })
	return entries, nil
}

func entryOf(private []byte, from time.Time) (entry, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(private)
	if err != nil {
		return entry{}, errDamaged
	}
	p256, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return entry{}, errDamaged
	}
	key, err := assertion.NewKey(p256)
	if err != nil {
		return entry{}, errDamaged
	}
	return entry{key, private, from}, nil
}

func encode(entries []entry) ([]byte, error) {
	var s stored
	for _, e := range entries {
		s.Keys = append(s.Keys, storedKey{e.private, e.from})
	}
	return json.Marshal(s)
}

// newEntry makes a key that is first used at from.
func newEntry(from time.Time) (entry, error) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return entry{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(p256)
	if err != nil {
		return entry{}, err
	}
	return entryOf(private, from)
}

// signing is the index of the key in use at now: the last one whose time has come,
// or the first, where a gateway with a faster clock made it.
func signing(entries []entry, now time.Time) int {
	i := 0
	for j := range entries {
		if !entries[j].from.After(now) {
			i = j
		}
	}
	return i
}

// due reports what is to be done at now: how many keys at the front are no longer
// published, and when a new key is to be used first, if one is to be made.
func due(entries []entry, now time.Time) (expired int, from time.Time, make bool) {
	if len(entries) == 0 {
		return 0, now, true
	}
	for expired+1 < len(entries) && !now.Before(entries[expired+1].from.Add(keep)) {
		expired++
	}
	// A gateway whose clock was wrong may have made a key for a day far away: until
	// then the others must not wait for it.
	n := len(entries)
	for n > 1 && entries[n-1].from.After(now.Add(rotation)) {
		n--
	}
	last := entries[n-1].from
	if now.Before(last.Add(rotation - lead)) {
		return expired, time.Time{}, false
	}
	from = now.Add(lead)
	if next := last.Add(rotation); next.After(from) {
		from = next
	}
	return expired, from, true
}

func newSet(entries []entry) *set {
	s := &set{entries: entries}
	s.jwks = append(s.jwks, `{"keys":[`...)
	for i, e := range entries {
		if i > 0 {
			s.jwks = append(s.jwks, ',')
		}
		s.jwks = append(s.jwks, e.key.JWK()...)
	}
	s.jwks = append(s.jwks, "]}\n"...)
	return s
}

func (s *set) same(other *set) bool { return s != nil && bytes.Equal(s.jwks, other.jwks) }
