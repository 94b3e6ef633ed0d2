package tlspolicy

import (
	"errors"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
)

// UnmarshalCaddyfile reads an option of the tls directive:
//
//	get_certificate mounted [<cert_file> <key_file>] {
//		cert <file>
//		key  <file>
//		pair <cert_file> <key_file>
//		poll <duration>
//	}
func (m *Mounted) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	var errs []error
	if d.NextArg() {
		files := Files{Certificate: d.Val()}
		if !d.NextArg() {
			errs = append(errs, d.Err("mounted needs a key file after the certificate file"))
		} else {
			files.Key = d.Val()
			m.Pairs = append(m.Pairs, files)
		}
	}
	var files Files
	start := *d
	errs = append(errs, read.Block(d, []string{"pair"}, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "cert":
			return read.String(o, &files.Certificate)
		case "key":
			return read.String(o, &files.Key)
		case "pair":
			var both []string
			if err := read.Strings(o, &both); err != nil {
				return err
			}
			if len(both) != 2 {
				return o.Err("pair needs a certificate file and a key file")
			}
			m.Pairs = append(m.Pairs, Files{both[0], both[1]})
			return nil
		case "poll":
			return read.Duration(o, shortestPoll, longestPoll, &m.Poll)
		default:
			return read.Unknown(o, "cert", "key", "pair", "poll")
		}
	}))
	if files != (Files{}) {
		m.Pairs = append([]Files{files}, m.Pairs...)
		if files.Certificate == "" || files.Key == "" {
			errs = append(errs, start.Err("mounted needs cert and key, both"))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if errs := m.check(); len(errs) > 0 {
		return start.WrapErr(errors.Join(errs...))
	}
	return nil
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Mounted)(nil)
