package redact

import (
	"encoding/json"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/logging"
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"

	"github.com/sallyport-gateway/sallyport/modules/internal/event"
	"github.com/sallyport-gateway/sallyport/modules/redact/logtext"
)

func init() {
	caddy.RegisterModule(Encoder{})
	cleaner, err := logtext.New(logtext.Config{})
	if err != nil {
		panic(err)
	}
	event.ScrubWith(cleaner.Clean)
}

// Encoder masks credentials in log entries. It lets another encoder make the
// entry and cleans the finished bytes, so it sees what the log will show: the
// message, fields however deep and of whatever type, the request that Caddy
// attaches to access and error logs.
//
// REDACTED takes the place of the values of secret headers, cookies, query
// parameters and JSON members, of a URL's userinfo, of Bearer and Basic
// credentials, private keys, and of what the detectors card, jwt and cloud_keys
// find, in free text and in nested or escaped forms too; package logtext says
// what exactly. Caddy's log_credentials does not change that. The request's
// path, addresses, user and ids stay, also a user that is an email address,
// unless the detector email is added.
//
// As the format of the global log option it covers every log of the process
// except those of sites that have an output of their own: they need a format
// redact of their own.
//
// It fails closed: an entry that cannot be cleaned is replaced by one that says
// so.
type Encoder struct {
	// The encoder that makes the entries: any module of
	// caddy.logging.encoders. Default: json.
	WrappedRaw json.RawMessage `json:"wrap,omitempty" caddy:"namespace=caddy.logging.encoders inline_key=format"`

	// Names of headers to mask, beside those that always are. Case, "_" and
	// "-" make no difference, here and below. Default: none.
	Headers []string `json:"headers,omitempty"`

	// Names of query, form and cookie parameters to mask, beside those that
	// always are. Of a name like user[pin], the last part. Default: none.
	Query []string `json:"query,omitempty"`

	// Names of JSON members, at any depth, and of pairs in text to mask, beside
	// those that always are. Default: none.
	Keys []string `json:"keys,omitempty"`

	// Detectors beside card, jwt and cloud_keys: email. Default: none.
	Detect []string `json:"detect,omitempty"`

	cleaning `json:"-"`
}

// CaddyModule returns the Caddy module information.
func (Encoder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "caddy.logging.encoders.redact",
		New: func() caddy.Module { return new(Encoder) },
	}
}

// Provision loads the wrapped encoder and compiles the names.
func (e *Encoder) Provision(ctx caddy.Context) error {
	cleaner, err := logtext.New(logtext.Config{Headers: e.Headers, Query: e.Query, Keys: e.Keys, Detectors: e.Detect})
	if err != nil {
		return err
	}
	e.policy = &policy{cleaner: cleaner}
	if e.WrappedRaw == nil {
		wrapped := new(logging.JSONEncoder)
		if err := wrapped.Provision(ctx); err != nil {
			return fmt.Errorf("provisioning the wrapped encoder: %w", err)
		}
		e.Encoder = wrapped
	} else {
		wrapped, err := ctx.LoadModule(e, "WrappedRaw")
		if err != nil {
			return fmt.Errorf("loading the wrapped encoder: %w", err)
		}
		e.Encoder = wrapped.(zapcore.Encoder)
	}
	return e.prepareWithheld()
}

// ConfigureDefaultFormat implements caddy.ConfiguresFormatterDefault, for
// wrapped encoders that choose their format by where the log goes.
func (e *Encoder) ConfigureDefaultFormat(wo caddy.WriterOpener) error {
	wrapped, ok := e.Encoder.(caddy.ConfiguresFormatterDefault)
	if !ok {
		return nil
	}
	if err := wrapped.ConfigureDefaultFormat(wo); err != nil {
		return err
	}
	return e.prepareWithheld()
}

// prepareWithheld makes the entry that stands for one that cannot be cleaned,
// while nothing has gone wrong yet. It has no time: it is always the same.
func (e *Encoder) prepareWithheld() error {
	line, err := e.Encoder.Clone().EncodeEntry(zapcore.Entry{
		Level:      zapcore.ErrorLevel,
		LoggerName: "redact",
		Message:    "log entry withheld: it could not be redacted",
	}, nil)
	if err != nil {
		return fmt.Errorf("trying the wrapped encoder: %w", err)
	}
	e.withheld = append([]byte(nil), line.Bytes()...)
	line.Free()
	return nil
}

// cleaning is what makes the entries. It is a type of its own because zap
// clones it for every request.
type cleaning struct {
	zapcore.Encoder
	*policy
}

// policy is what all clones share.
type policy struct {
	cleaner  *logtext.Cleaner
	withheld []byte // stands for an entry that could not be cleaned
}

// Clone implements zapcore.Encoder.
func (c *cleaning) Clone() zapcore.Encoder {
	return &cleaning{c.Encoder.Clone(), c.policy}
}

// EncodeEntry implements zapcore.Encoder.
func (c *cleaning) EncodeEntry(entry zapcore.Entry, fields []zapcore.Field) (out *buffer.Buffer, err error) {
	defer func() {
		if recover() != nil {
			out, err = c.withhold(), nil
		}
	}()
	raw, err := c.Encoder.EncodeEntry(entry, fields)
	if err != nil {
		// zap would print the error, and with it what it quotes of the entry.
		return c.withhold(), nil
	}
	clean := buffers.Get()
	if !c.cleaner.Clean(clean, raw.Bytes()) {
		clean.Free()
		return raw, nil
	}
	raw.Free()
	return clean, nil
}

func (p *policy) withhold() *buffer.Buffer {
	out := buffers.Get()
	out.AppendBytes(p.withheld)
	return out
}

var buffers = buffer.NewPool()

// Interface guards
var (
	_ caddy.Provisioner                = (*Encoder)(nil)
	_ caddy.ConfiguresFormatterDefault = (*Encoder)(nil)
	_ zapcore.Encoder                  = (*Encoder)(nil)
)
