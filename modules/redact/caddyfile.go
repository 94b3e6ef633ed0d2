package redact

import (
	"errors"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/redact/scrub"
)

// UnmarshalCaddyfile reads the directive:
//
//	redact [<matcher>] {
//		response {
//			drop    keys   <names...>
//			mask    keys   <names...> {
//				keep_last <number>
//			}
//			mask    detect <detectors...> {
//				keep_last <number>
//			}
//			replace keys   <names...> <text>
//			replace detect <detectors...> <text>
//		}
//		on_error block | truncate
//		mode     enforce | dry_run
//	}
//
// The lines of response may be repeated.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	err := read.Block(d, nil, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "response":
			return readRules(o, &h.Response)
		case "on_error":
			return read.Word(o, &h.OnError, onErrorBlock, onErrorTruncate)
		}
		if ok, err := guard.Option(o, &h.Guard); ok {
			return err
		}
		return read.Unknown(o, "response", "on_error", "mode")
	})
	if err != nil {
		return err
	}
	if err := h.check(); err != nil {
		return at(d, err)
	}
	return nil
}

// at puts the position of the directive or option on an error about all of it.
func at(d *caddyfile.Dispenser, err error) error {
	d.Reset()
	d.Next()
	return d.WrapErr(err)
}

func readRules(o *caddyfile.Dispenser, rules *[]Rule) error {
	var checker scrub.Checker
	return read.Block(o, []string{"drop", "mask", "replace"}, func(o *caddyfile.Dispenser) error {
		rule := Rule{Action: o.Val()}
		var err error
		switch o.Val() {
		case string(scrub.Drop):
			err = readSelector(o, &rule, "keys")
		case string(scrub.Mask):
			err = errors.Join(readSelector(o, &rule, "keys", "detect"), readMask(o, &rule))
		case string(scrub.Replace):
			err = readSelector(o, &rule, "keys", "detect")
		default:
			return read.Unknown(o, "drop", "mask", "replace")
		}
		if err != nil {
			return err
		}
		*rules = append(*rules, rule)
		if err := checker.Check(rule.rule()); err != nil {
			return at(o, err)
		}
		return nil
	})
}

// readSelector reads what a rule applies to, and the text that replace has
// behind it.
func readSelector(o *caddyfile.Dispenser, rule *Rule, kinds ...string) error {
	var kind string
	if err := read.Word(o, &kind, kinds...); err != nil {
		o.RemainingArgs()
		return err
	}
	names := o.RemainingArgs()
	if rule.Action == string(scrub.Replace) {
		if len(names) < 2 {
			return o.Errf("replace %s needs at least one name, and the text that takes the place", kind)
		}
		rule.Text, names = names[len(names)-1], names[:len(names)-1]
	}
	if len(names) == 0 {
		return o.Errf("%s %s needs at least one name", rule.Action, kind)
	}
	if kind == "keys" {
		rule.Keys = names
	} else {
		rule.Detect = names
	}
	return nil
}

func readMask(o *caddyfile.Dispenser, rule *Rule) error {
	return read.Block(o, nil, func(o *caddyfile.Dispenser) error {
		if o.Val() == "keep_last" {
			return read.Int(o, 1, scrub.MaxKeepLast, &rule.KeepLast)
		}
		return read.Unknown(o, "keep_last")
	})
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Handler)(nil)
