package elb

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

// UnmarshalCaddyfile reads the listener wrapper:
//
//	elb <profile> {
//		from                   <prefixes...>
//		timeout                <duration>
//		vpce_ids               <ids...>
//		psc_connection_ids     <ids...>
//		link_ids               <ids...>
//		connections_per_client <n>
//		client_ip_preserved
//	}
func (l *ListenerWrapper) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	position := fmt.Sprintf("%s:%d", d.File(), d.Line())
	defer func() { suite.Written(l, position) }()
	var errs []error
	if err := read.Word(d, &l.Profile, tcpProfileNames()...); err != nil {
		errs = append(errs, err)
	}
	repeatable := []string{"from", ruleVPCE, rulePSC, ruleLink}
	err := read.Block(d, repeatable, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "from":
			return read.Values(o, func(s string) (string, error) {
				_, err := parseFrom(s)
				return s, err
			}, &l.From)
		case "timeout":
			return read.Duration(o, time.Millisecond, maxHeaderTimeout, &l.Timeout)
		case ruleVPCE:
			return read.Values(o, parseVPCE, &l.VPCEIDs)
		case rulePSC:
			return read.Values(o, parsePSC, &l.PSCConnectionIDs)
		case ruleLink:
			return read.Values(o, parseLink, &l.LinkIDs)
		case "connections_per_client":
			l.ConnectionsPerClient = new(int)
			return read.Int(o, 0, 1_000_000, l.ConnectionsPerClient)
		case "client_ip_preserved":
			return read.Flag(o, &l.ClientIPPreserved)
		}
		return read.Unknown(o, "from", "timeout", ruleVPCE, rulePSC, ruleLink, "connections_per_client", "client_ip_preserved")
	})
	if errs = append(errs, err); errors.Join(errs...) == nil {
		if err := l.check(); err != nil {
			errs = append(errs, d.WrapErr(err))
		}
	}
	return errors.Join(errs...)
}

// Interface guards
var _ caddyfile.Unmarshaler = (*ListenerWrapper)(nil)
