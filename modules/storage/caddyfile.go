package storage

import (
	"errors"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/store"
)

// UnmarshalCaddyfile reads the storage:
//
//	storage redis {
//		<options of the store>
//		prefix             <text>
//		key                <id> {env.NAME} | {file.PATH}
//		insecure_plaintext
//		lock_lease         <duration>
//		wait               <duration>
//	}
//
// The options of the store are in the comment of package store. key may be
// repeated.
func (s *Storage) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	err := read.Block(d, []string{"address", "key"}, func(o *caddyfile.Dispenser) error {
		if known, err := s.Config.Option(o); known {
			return err
		}
		switch o.Val() {
		case "prefix":
			return read.Value(o, func(text string) (string, error) { return text, checkPrefix(text) }, &s.Prefix)
		case "key":
			// Nothing that stands here gets into an error: it may be the key.
			args := o.RemainingArgs()
			if len(args) != 2 {
				return o.Err("key needs an id and a secret")
			}
			s.Key = append(s.Key, Key{ID: args[0], Secret: args[1]})
			return nil
		case "insecure_plaintext":
			return read.Flag(o, &s.InsecurePlaintext)
		case "lock_lease":
			return read.Duration(o, shortestLease, longestLease, &s.LockLease)
		case "wait":
			return read.Duration(o, shortestWait, longestWait, &s.Wait)
		}
		return read.Unknown(o, slices.Concat(store.Options, []string{"prefix", "key", "insecure_plaintext", "lock_lease", "wait"})...)
	})
	if checked := s.check(); checked != nil {
		err = errors.Join(err, d.WrapErr(checked))
	}
	return err
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Storage)(nil)
