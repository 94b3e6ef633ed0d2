package openapi

import (
	"net/http"
	"strings"

	"github.com/sallyport-gateway/sallyport/modules/validate/param"
)

// Documented reports whether the operation has a query parameter of that name, or
// the document puts a credential there.
func (m *Match) Documented(name string) bool {
	return m.op.query[name] != nil || m.op.secrets[name]
}

// Parameters judges the parameters of a request, and returns the name of the
// documented one that is not what it should be.
func (m *Match) Parameters(rawQuery string, header http.Header) (Fault, string) {
	var one [1]string
	for i, p := range m.op.path {
		one[0] = m.values.list[i]
		if fault := p.judge(one[:]); fault != OK {
			return fault, p.name
		}
	}
	if fault, name := m.query(rawQuery); fault != OK {
		return fault, name
	}
	for _, p := range m.op.header {
		if fault := p.judge(header[p.header]); fault != OK {
			return fault, p.name
		}
	}
	if len(m.op.cookie) > 0 {
		return m.cookies(header)
	}
	return OK, ""
}

func (m *Match) query(raw string) (Fault, string) {
	if len(m.op.query) == 0 {
		return OK, ""
	}
	texts := make(map[*parameter][]string)
	for _, semicolon := range []bool{false, true} {
		if semicolon && strings.IndexByte(raw, ';') < 0 {
			break
		}
		clear(texts)
		for rest := raw; rest != ""; {
			var key, value string
			key, value, rest = param.Pair(rest, semicolon)
			if p := m.op.query[param.Decode(key)]; p != nil {
				texts[p] = append(texts[p], param.Decode(value))
				if len(texts[p]) > maxRepeat {
					return Repeated, p.name
				}
			}
		}
		for p, list := range texts {
			if fault := p.judge(list); fault != OK {
				return fault, p.name
			}
		}
		for _, p := range m.op.needed {
			if len(texts[p]) == 0 {
				return Missing, p.name
			}
		}
	}
	return OK, ""
}

// cookies reads the Cookie lines by itself: net/http drops what it does not like,
// which the backend may see.
func (m *Match) cookies(header http.Header) (Fault, string) {
	for _, p := range m.op.cookie {
		var texts []string
		for _, line := range header["Cookie"] {
			for pair := range strings.SplitSeq(line, ";") {
				name, value, _ := strings.Cut(pair, "=")
				if strings.Trim(name, " \t") == p.name { // servers read "name =value", too
					texts = append(texts, strings.TrimRight(value, " \t"))
				}
			}
		}
		if fault := p.judge(texts); fault != OK {
			return fault, p.name
		}
	}
	return OK, ""
}

// Body is what an operation says of a body of one media type.
type Body struct {
	schema *schema
	// Required says that there has to be a body.
	Required bool
	// Documented says that the operation takes a body at all.
	Documented bool
	// Media says that it takes one of this media type.
	Media bool
}

// Inspect reports whether the body has to be decoded for Check.
func (b *Body) Inspect() bool { return b.schema != nil }

// Body returns what the operation says of a body of a media type, in lower case
// and without parameters; "" for none.
func (m *Match) Body(media string) Body {
	in := m.op.body
	if in == nil {
		return Body{}
	}
	out := Body{Required: in.required, Documented: true}
	family, _, _ := strings.Cut(media, "/")
	for _, name := range [...]string{media, family + "/*", "*/*"} {
		if s, ok := in.media[name]; ok {
			out.Media = true
			if isJSON(media) {
				out.schema = s
			}
			break
		}
	}
	return out
}

// Check judges a JSON text that was found to be well-formed and to have one
// reading. pointer is where it is not as documented.
func (b *Body) Check(text []byte) (fault Fault, pointer string) {
	v, err := decode(text)
	if err != nil {
		return Invalid, ""
	}
	switch ok, costly, at := evaluate(b.schema, v, len(text)); {
	case costly:
		return Costly, ""
	case !ok:
		return Invalid, at
	}
	return OK, ""
}
