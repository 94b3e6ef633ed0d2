package apikey

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

// Status says whether a key may be used at all.
type Status string

// The two values of "status".
const (
	Active  Status = "active"
	Revoked Status = "revoked"
)

// Form says what a key looks like, and so what its hash is of.
type Form string

// The values of "form".
const (
	Own   Form = ""      // sp_<id>_<secret>_<checksum>
	Whole Form = "whole" // made elsewhere: found by its hash, as it has no id of ours in it
)

// Record is one entry of the key file. Its JSON is the file's format.
type Record struct {
	// ID names the key: 1 to 32 lower-case letters and digits, unique in the file.
	ID string `json:"id"`
	// Hash is "hmac-sha256:" and 64 lower-case hexadecimal digits:
	// HMAC-SHA-256 under the pepper, of the secret or as Form says.
	Hash string `json:"hash"`
	// Form is "whole" for a key that was made elsewhere: then the hash is of
	// "whole:" and the 32 bytes of the SHA-256 of the whole key. Default: a key
	// that was made here.
	Form Form `json:"form,omitempty"`
	// Owner is who the key was given to. It becomes the principal's ID, so two
	// keys of one owner, as during a rotation, share that owner's quota.
	Owner string `json:"owner"`
	// Scopes the key carries (RFC 6749 section 3.3). Default: none.
	Scopes []string `json:"scopes,omitempty"`
	// Roles the key carries. Default: none.
	Roles []string `json:"roles,omitempty"`
	// Tier is the class of service, for quotas. Default: none.
	Tier string `json:"tier,omitempty"`
	// Allow are the client addresses and prefixes the key may be used from.
	// Default: any; an empty list is refused, because it could be read both ways.
	Allow []string `json:"allow,omitempty"`
	// NotBefore is the first moment the key is good. Default: always.
	NotBefore time.Time `json:"not_before,omitzero"`
	// Expires is the first moment the key is no longer good. Default: never.
	Expires time.Time `json:"expires,omitzero"`
	// Status is "active" or "revoked".
	Status Status `json:"status"`
	// RotatedTo is the id of the key that takes this one's place. It decides
	// nothing: Expires does. Default: none.
	RotatedTo string `json:"rotated_to,omitempty"`
}

// The longest values accepted, in bytes.
const (
	maxOwner = 128
	maxWord  = 128
)

// entry is a Record as Verify uses it.
type entry struct {
	id                 string
	hash               [32]byte
	absent             bool // the stand-in for ids that are not in the file
	revoked            bool
	notBefore, expires time.Time
	allow              []netip.Prefix
	principal          *principal.Principal
	used               *use // nil until its table is in force
}

// compile checks every member of r and returns all errors. They never contain
// the id or the hash: a whole key pasted into the wrong member must not reach a
// log through its error.
func (r *Record) compile() (*entry, error) {
	e := &entry{id: r.ID, revoked: r.Status == Revoked, notBefore: r.NotBefore, expires: r.Expires}
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if !isID(r.ID) {
		fail("id is not 1 to %d lower-case letters and digits", maxID)
	}
	var ok bool
	if e.hash, ok = parseHash(r.Hash); !ok {
		fail("hash is not %q and 64 lower-case hexadecimal digits", hashPrefix)
	}
	if r.Form != Own && r.Form != Whole {
		fail("form is not %q: leave it out for keys that were made here", Whole)
	}
	if r.RotatedTo != "" && (!isID(r.RotatedTo) || r.RotatedTo == r.ID) {
		fail("rotated_to is not the id of another key")
	}
	if !isName(r.Owner) {
		fail("owner is not 1 to %d bytes of printable text without spaces around it", maxOwner)
	}
	for _, err := range words("scopes", r.Scopes, isScope) {
		fail("%w", err)
	}
	for _, err := range words("roles", r.Roles, isRole) {
		fail("%w", err)
	}
	if r.Tier != "" && !isRole(r.Tier) {
		fail("tier is not one printable word")
	}
	allow, err := prefixes(r.Allow)
	if err != nil {
		fail("%w", err)
	}
	e.allow = allow
	if !r.NotBefore.IsZero() && !r.Expires.IsZero() && !r.NotBefore.Before(r.Expires) {
		fail("not_before is not before expires: the key would never be good")
	}
	if r.Status != Active && r.Status != Revoked {
		fail("status is not %q or %q", Active, Revoked)
	}
	e.principal = &principal.Principal{
		ID:     r.Owner,
		Method: Method,
		Scopes: r.Scopes,
		Roles:  r.Roles,
		Tier:   r.Tier,
		Claims: map[string]any{ClaimKeyID: r.ID},
	}
	return e, errors.Join(errs...)
}

func words(member string, list []string, valid func(string) bool) (errs []error) {
	seen := make(map[string]bool, len(list))
	for i, s := range list {
		switch {
		case !valid(s):
			errs = append(errs, fmt.Errorf("%s[%d] is not one printable word", member, i))
		case seen[s]:
			errs = append(errs, fmt.Errorf("%s[%d] repeats %q", member, i, s))
		}
		seen[s] = true
	}
	return errs
}

// prefixes reads addresses and prefixes. Bits behind the prefix's length are
// refused: 192.0.2.7/24 may mean one address or 256.
func prefixes(list []string) ([]netip.Prefix, error) {
	var (
		out  []netip.Prefix
		errs []error
	)
	for i, s := range list {
		p, err := parsePrefix(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("allow[%d] %q: %w", i, s, err))
			continue
		}
		out = append(out, p)
	}
	return out, errors.Join(errs...)
}

func parsePrefix(s string) (netip.Prefix, error) {
	var p netip.Prefix
	if addr, err := netip.ParseAddr(s); err == nil {
		p = netip.PrefixFrom(addr, addr.BitLen())
		if addr.Zone() != "" {
			return p, errors.New("an address with a zone matches no client")
		}
	} else if p, err = netip.ParsePrefix(s); err != nil {
		return p, errors.New("not an address and not a prefix")
	}
	// Clients are compared unmapped, so a mapped prefix would never match one.
	if p.Addr().Is4In6() {
		return p, errors.New("write the IPv4 form of an IPv4-mapped address")
	}
	if p.Masked() != p {
		return p, fmt.Errorf("has bits behind its length: write %s or the address alone", p.Masked())
	}
	return p, nil
}

func isID(s string) bool {
	return s != "" && len(s) <= maxID && all([]byte(s), &inID)
}

// isName accepts what may stand in a header and a log line without quoting.
func isName(s string) bool {
	return s != "" && len(s) <= maxOwner && printable(s) && strings.TrimSpace(s) == s
}

// isScope is a scope-token of RFC 6749 section 3.3.
func isScope(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return s != "" && len(s) <= maxWord
}

// isRole accepts no space and no comma: lists of roles are written with them.
func isRole(s string) bool {
	return s != "" && len(s) <= maxWord && printable(s) && !strings.ContainsAny(s, " ,")
}

func printable(s string) bool {
	for _, c := range s {
		if !unicode.IsPrint(c) { // of all spaces, IsPrint accepts U+0020 only
			return false
		}
	}
	return utf8.ValidString(s)
}
