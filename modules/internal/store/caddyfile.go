package store

import (
	"errors"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
)

// Options are the words that Option knows.
var Options = []string{
	"address", "cluster", "sentinel", "username", "password", "ca", "client_certificate", "client_key", "insecure_skip_verify", "timeout",
}

// Option reads the option on whose name o stands, if it is one of Options. The
// caller checks the whole with Check afterwards.
func (c *Config) Option(o *caddyfile.Dispenser) (known bool, err error) {
	switch o.Val() {
	case "address":
		return true, read.Strings(o, &c.Address)
	case "cluster":
		return true, read.Flag(o, &c.Cluster)
	case "sentinel":
		c.Sentinel = new(Sentinel)
		if err := read.String(o, &c.Sentinel.Master); err != nil {
			return true, err
		}
		if c.Sentinel.Address = o.RemainingArgs(); len(c.Sentinel.Address) == 0 {
			return true, o.Err("sentinel needs the name of the master and at least one address")
		}
		return true, nil
	case "username":
		return true, read.String(o, &c.Username)
	case "password":
		return true, readUnseen(o, &c.Password)
	case "ca":
		return true, read.String(o, &c.CA)
	case "client_certificate":
		return true, read.String(o, &c.ClientCertificate)
	case "client_key":
		return true, read.String(o, &c.ClientKey)
	case "insecure_skip_verify":
		return true, read.Flag(o, &c.InsecureSkipVerify)
	case "timeout":
		return true, read.Duration(o, shortestTimeout, longestTimeout, &c.Timeout)
	}
	return false, nil
}

// readUnseen reads one argument that may be a secret by mistake: a second one,
// such as the rest of a password with a space, must not get into an error.
func readUnseen(o *caddyfile.Dispenser, dst *string) error {
	name := o.Val()
	args := o.RemainingArgs()
	if len(args) != 1 {
		return errors.Join(o.Errf("%s needs one value", name))
	}
	*dst = args[0]
	return nil
}
