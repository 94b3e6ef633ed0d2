package redact

import (
	"errors"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/internal/secret"
	"github.com/sallyport-gateway/sallyport/modules/redact/detect"
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
//			hash    keys   <names...> {
//				key {env.<name>} | {file.<path>}
//			}
//			hash    detect <detectors...> {
//				key {env.<name>} | {file.<path>}
//			}
//			drop | mask | replace | hash path <paths...> …
//		}
//		request {
//			drop     header <names...>
//			drop     query  <names...>
//			block    detect <detectors...>
//			max_body <size>
//		}
//		reveal   role | scope | principal <names...>
//		on_error block | truncate
//		mode     enforce | dry_run
//	}
//
// The lines of response, the lines of request but max_body, and reveal may be
// repeated.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	err := read.Block(d, []string{"reveal"}, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "response":
			return readRules(o, &h.Response)
		case "request":
			h.Request = new(Request)
			return h.Request.unmarshal(o)
		case "reveal":
			return h.readReveal(o)
		case "on_error":
			return read.Word(o, &h.OnError, onErrorBlock, onErrorTruncate)
		}
		if ok, err := guard.Option(o, &h.Guard); ok {
			return err
		}
		return read.Unknown(o, "response", "request", "reveal", "on_error", "mode")
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
	return read.Block(o, []string{"drop", "mask", "replace", "hash"}, func(o *caddyfile.Dispenser) error {
		rule := Rule{Action: o.Val()}
		var err error
		switch o.Val() {
		case string(scrub.Drop):
			err = readSelector(o, &rule, "keys", "path")
		case string(scrub.Mask):
			err = errors.Join(readSelector(o, &rule, "keys", "path", "detect"), readMask(o, &rule))
		case string(scrub.Replace):
			err = readSelector(o, &rule, "keys", "path", "detect")
		case string(scrub.Hash):
			err = errors.Join(readSelector(o, &rule, "keys", "path", "detect"), readKey(o, &rule))
		default:
			return read.Unknown(o, "drop", "mask", "replace", "hash")
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
	switch kind {
	case "keys":
		rule.Keys = names
	case "path":
		rule.Path = names
	default:
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

// readKey reads the block of hash. The key does not stand in errors: it may be
// written out by mistake.
func readKey(o *caddyfile.Dispenser, rule *Rule) error {
	err := read.Block(o, nil, func(o *caddyfile.Dispenser) error {
		if o.Val() != "key" {
			return read.Unknown(o, "key")
		}
		if !o.NextArg() {
			return o.Err("key needs a value")
		}
		if rule.Key = o.Val(); secret.Check(rule.Key) != nil {
			return o.Errf("key: %v", secret.Check(rule.Key))
		}
		return nil
	})
	if err == nil && rule.Key == "" {
		return at(o, rule.checkKey())
	}
	return err
}

func (q *Request) unmarshal(o *caddyfile.Dispenser) error {
	return read.Block(o, []string{"drop", "block"}, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "drop":
			return q.readDrop(o)
		case "block":
			var kind string
			if err := read.Word(o, &kind, "detect"); err != nil {
				o.RemainingArgs()
				return err
			}
			return q.readBlock(o)
		case "max_body":
			return read.Size(o, maxMaxBody, &q.MaxBody)
		}
		return read.Unknown(o, "drop", "block", "max_body")
	})
}

func (q *Request) readDrop(o *caddyfile.Dispenser) error {
	var kind string
	if err := read.Word(o, &kind, "header", "query"); err != nil {
		o.RemainingArgs()
		return err
	}
	if kind == "header" {
		return errors.Join(read.Values(o, checkHeader, &q.DropHeader), repeated(o, "drop header", q.DropHeader, sameHeader))
	}
	return errors.Join(read.Values(o, checkParameter, &q.DropQuery), repeated(o, "drop query", q.DropQuery, sameParameter))
}

func (q *Request) readBlock(o *caddyfile.Dispenser) error {
	return errors.Join(read.Words(o, &q.Block, detect.Names()...),
		repeated(o, "block detect", q.Block, func(a, b string) bool { return a == b }))
}

// repeated reports a name that the line behind o adds to a list that has it.
func repeated(o *caddyfile.Dispenser, what string, names []string, same func(a, b string) bool) error {
	o.Reset()
	o.Next()
	var errs []error
	for i := max(0, len(names)-len(o.RemainingArgs())+1); i < len(names); i++ {
		for _, other := range names[:i] {
			if same(names[i], other) {
				errs = append(errs, o.Errf("%s %s is written twice", what, names[i]))
				break
			}
		}
	}
	return errors.Join(errs...)
}

func (h *Handler) readReveal(o *caddyfile.Dispenser) error {
	if h.Reveal == nil {
		h.Reveal = new(Reveal)
	}
	var kind string
	if err := read.Word(o, &kind, "role", "scope", "principal"); err != nil {
		o.RemainingArgs()
		return err
	}
	lists := map[string]*[]string{"role": &h.Reveal.Roles, "scope": &h.Reveal.Scopes, "principal": &h.Reveal.Principals}
	return read.Strings(o, lists[kind])
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Handler)(nil)
