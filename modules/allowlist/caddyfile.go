package allowlist

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
)

// UnmarshalCaddyfile reads the directive:
//
//	allowlist [<matcher>] {
//		allow <prefixes...>
//		allow file <path>
//		deny  <prefixes...>
//		deny  file <path>
//		mode  enforce | dry_run
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	err := read.Block(d, []string{"allow", "deny"}, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "allow":
			return readEntries(o, &h.Allow, &h.AllowFiles)
		case "deny":
			return readEntries(o, &h.Deny, &h.DenyFiles)
		}
		if ok, err := guard.Option(o, &h.Guard); ok {
			return err
		}
		return read.Unknown(o, "allow", "deny", "mode")
	})
	if err != nil {
		return err
	}
	if err := h.check(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// readEntries reads prefixes, or the word file and a path.
func readEntries(o *caddyfile.Dispenser, inline, files *[]string) error {
	if args := o.RemainingArgs(); len(args) > 0 && args[0] == "file" {
		o.Reset()
		o.Next()
		o.NextArg()
		var path string
		if err := read.String(o, &path); err != nil {
			return err
		}
		*files = append(*files, path)
		return nil
	}
	o.Reset()
	o.Next()
	return read.Values(o, func(s string) (string, error) {
		_, err := parsePrefix(s)
		return s, err
	}, inline)
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Handler)(nil)
