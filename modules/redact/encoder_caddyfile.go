package redact

import (
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap/zapcore"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/redact/logtext"
)

// UnmarshalCaddyfile reads the encoder behind "format". Syntax:
//
//	format redact {
//		wrap    <encoder> {          # default: json
//			<options of the encoder>
//		}
//		headers <names...>           # masked beside the default ones
//		query   <names...>
//		keys    <names...>
//		detect  email
//	}
//
// Every option but wrap may be repeated.
func (e *Encoder) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return read.Block(d, []string{"headers", "query", "keys", "detect"}, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "wrap":
			return e.readWrapped(o)
		case "headers":
			return read.Values(o, checkedName, &e.Headers)
		case "query":
			return read.Values(o, checkedName, &e.Query)
		case "keys":
			return read.Values(o, checkedName, &e.Keys)
		case "detect":
			return e.readDetect(o)
		default:
			return read.Unknown(o, "wrap", "headers", "query", "keys", "detect")
		}
	})
}

func (e *Encoder) readDetect(o *caddyfile.Dispenser) error {
	before := len(e.Detect)
	if err := read.Words(o, &e.Detect, logtext.Optional()...); err != nil {
		return err
	}
	for i, name := range e.Detect {
		if i >= before && slices.Contains(e.Detect[:i], name) {
			return o.Errf("detect %s is given twice", name)
		}
	}
	return nil
}

func (e *Encoder) readWrapped(o *caddyfile.Dispenser) error {
	var name string
	if err := read.String(o, &name); err != nil {
		return err
	}
	module, err := caddyfile.UnmarshalModule(o, "caddy.logging.encoders."+name)
	if err != nil {
		return err
	}
	wrapped, ok := module.(zapcore.Encoder)
	if !ok {
		return o.Errf("wrap %s: %T encodes no log entries", name, module)
	}
	e.WrappedRaw = caddyconfig.JSONModuleObject(wrapped, "format", name, nil)
	return nil
}

func checkedName(name string) (string, error) {
	return name, logtext.CheckName(name)
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Encoder)(nil)
