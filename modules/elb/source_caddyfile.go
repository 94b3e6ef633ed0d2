package elb

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

// UnmarshalCaddyfile reads the source:
//
//	trusted_proxies elb <profile> {
//		from                   <prefixes...>
//		hops                   <n>
//		fdid                   <uuid>
//		connections_per_client <n>
//	}
func (s *Source) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	position := fmt.Sprintf("%s:%d", d.File(), d.Line())
	defer func() { suite.Written(s, position) }()
	errs := []error{read.Word(d, &s.Profile, profileNames()...)}
	given := make(map[string]bool)
	errs = append(errs, read.Block(d, []string{"from"}, func(o *caddyfile.Dispenser) error {
		given[o.Val()] = true
		switch o.Val() {
		case "from":
			return read.Values(o, func(text string) (string, error) {
				_, err := parseBalancer(text)
				return text, err
			}, &s.From)
		case "hops":
			return read.Int(o, 1, mostHops, &s.Hops)
		case "fdid":
			return read.Value(o, parseFDID, &s.FDID)
		case "connections_per_client":
			s.ConnectionsPerClient = new(int)
			return read.Int(o, 0, 1_000_000, s.ConnectionsPerClient)
		}
		return read.Unknown(o, "from", "hops", "fdid", "connections_per_client")
	}))
	for _, err := range s.check(func(option string) bool { return given[option] }) {
		errs = append(errs, d.WrapErr(err))
	}
	return errors.Join(errs...)
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Source)(nil)
