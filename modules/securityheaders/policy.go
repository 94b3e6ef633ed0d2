package securityheaders

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Field is a response header with its value.
type Field struct {
	// Name of the header.
	Name string `json:"name,omitempty"`
	// Value as it is sent.
	Value string `json:"value,omitempty"`
}

// Config is what a Policy is compiled from.
type Config struct {
	Preset       string
	Set, Default []Field
	Remove       []string
}

// line is a header that responses get.
type line struct {
	name   string // canonical
	secure string // where the client's connection is https; "" is none
	plain  string // where it is not
	public string // where every origin may read the response; "" is no other value
	absent bool   // only for responses without it
}

// Policy is what is done to response headers. It is safe for concurrent use.
type Policy struct {
	lines    []line
	removed  map[string]bool // by canonical name
	prefixes []string        // canonical
	kept     map[string]bool // by canonical name: not removed, whatever the preset says
}

// Compile returns the Policy that c describes, or every error in it.
func Compile(c Config) (*Policy, error) {
	p := &Policy{removed: make(map[string]bool), kept: make(map[string]bool)}
	var errs []error
	lines := presets[c.Preset]
	switch c.Preset {
	case presetAPI, presetHTML:
		lines = slices.Concat(common, lines)
		p.remove(revealing...)
	case presetNone:
	default:
		errs = append(errs, fmt.Errorf("preset %q is not api, html or none", c.Preset))
	}
	named := make(map[string]string)
	add := func(option string, fields []Field, absent bool) {
		for _, f := range fields {
			if err := errors.Join(checkName(f.Name), checkValue(f.Value), once(named, option, f.Name)); err != nil {
				errs = append(errs, fmt.Errorf("%s %s: %w", option, f.Name, err))
				continue
			}
			l := line{name: textproto.CanonicalMIMEHeaderKey(f.Name), secure: f.Value, plain: f.Value, absent: absent}
			if l.name == hsts {
				l.plain = ""
			}
			lines = slices.DeleteFunc(slices.Clone(lines), func(other line) bool { return other.name == l.name })
			lines = append(lines, l)
			p.kept[l.name] = true
		}
	}
	add("set", c.Set, false)
	add("default", c.Default, true)
	for _, name := range c.Remove {
		if err := errors.Join(checkName(strings.TrimSuffix(name, "*")), once(named, "remove", name)); err != nil {
			errs = append(errs, fmt.Errorf("remove %s: %w", name, err))
		}
	}
	p.remove(c.Remove...)
	p.lines = slices.DeleteFunc(slices.Clone(lines), func(l line) bool { return p.removes(l.name) })
	if len(errs) == 0 && len(p.lines) == 0 && len(c.Remove) == 0 {
		errs = append(errs, errors.New("the preset none without set, default and remove does nothing"))
	}
	return p, errors.Join(errs...)
}

// once says that an option named a header, which no other may.
func once(named map[string]string, option, name string) error {
	name = textproto.CanonicalMIMEHeaderKey(name)
	if other := named[name]; other != "" {
		return fmt.Errorf("the header is in %s already", other)
	}
	named[name] = option
	return nil
}

func (p *Policy) remove(names ...string) {
	for _, name := range names {
		if prefix, ok := strings.CutSuffix(name, "*"); ok {
			p.prefixes = append(p.prefixes, textproto.CanonicalMIMEHeaderKey(prefix))
		} else {
			p.removed[textproto.CanonicalMIMEHeaderKey(name)] = true
		}
	}
}

// removes reports whether a header with a canonical name is taken away.
func (p *Policy) removes(name string) bool {
	if p.removed[name] {
		return !p.kept[name]
	}
	for _, prefix := range p.prefixes {
		if strings.HasPrefix(name, prefix) {
			return !p.kept[name]
		}
	}
	return false
}

// Stamp makes header what the policy wants. secure says that the client's
// connection is https. slots back the lines that are written: one for each of
// Lines. It can be repeated.
func (p *Policy) Stamp(header http.Header, secure bool, slots []string) {
	for name := range header {
		if p.removes(name) {
			delete(header, name)
		}
	}
	readable := header["Access-Control-Allow-Origin"]
	public := len(readable) == 1 && readable[0] == "*"
	for i := range p.lines {
		l := &p.lines[i]
		value := l.plain
		if secure {
			value = l.secure
		}
		if public && l.public != "" {
			value = l.public
		}
		present := header[l.name]
		switch {
		case value == "" && l.absent:
		case value == "":
			delete(header, l.name)
		case l.absent && len(present) > 0 && &present[0] != &slots[i]:
		default:
			// Written anew each time: whoever holds the header may edit it in place.
			slots[i] = value
			header[l.name] = slots[i : i+1 : i+1]
		}
	}
}

// Lines is how many headers the policy may write.
func (p *Policy) Lines() int { return len(p.lines) }

// reserved are the headers that other parts of the gateway answer for.
var reserved = map[string]string{
	"Connection": "it belongs to the connection", "Content-Length": "it frames the body", "Transfer-Encoding": "it frames the body",
	"Trailer": "it frames the body", "Upgrade": "it belongs to the connection", "Keep-Alive": "it belongs to the connection",
	"Te": "it belongs to the connection", "Content-Encoding": "it describes the body", "Content-Range": "it describes the body",
	"Date": "the server writes it", "Set-Cookie": "a response may have several", "Www-Authenticate": "auth writes it",
}

func checkName(name string) error {
	if !httpguts.ValidHeaderFieldName(name) {
		return errors.New("not a header name")
	}
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	if why, ok := reserved[canonical]; ok {
		return fmt.Errorf("not a header for this directive: %s", why)
	}
	if strings.HasPrefix(canonical, "Access-Control-") {
		return errors.New("not a header for this directive: it is cors's")
	}
	return nil
}

// placeholder finds what Caddy would replace in other directives.
var placeholder = regexp.MustCompile(`\{[$a-z][\w.$/-]*\}`)

func checkValue(value string) error {
	switch {
	case value == "" || strings.TrimSpace(value) != value:
		return errors.New("the value is empty or has spaces around it")
	case !httpguts.ValidHeaderFieldValue(value):
		return errors.New("the value has characters that no header may have")
	case placeholder.MatchString(value):
		return errors.New("placeholders are not expanded here: write the value")
	}
	return nil
}
