package openapi

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/sallyport-gateway/sallyport/modules/validate/jsonscan"
	"github.com/sallyport-gateway/sallyport/modules/validate/param"
)

// Fault is how a request departs from its operation.
type Fault uint8

// The faults of a request.
const (
	OK Fault = iota
	Missing
	Invalid
	Repeated
	Costly
)

// maxRepeat bounds the occurrences of a parameter that is an array.
const maxRepeat = 1000

// operation is a compiled operation.
type operation struct {
	path, header, cookie []*parameter
	query                map[string]*parameter
	needed               []*parameter // required query parameters
	secrets              map[string]bool
	body                 *body
}

// parameter is a compiled parameter.
type parameter struct {
	name     string
	header   string // the canonical form of name
	required bool
	empty    bool // an empty value passes
	array    bool
	repeated bool   // one pair for each item
	sep      string // between items otherwise
	content  bool   // the value is JSON
	schema   *schema
}

// body is what the operation says of the request's body.
type body struct {
	required bool
	media    map[string]*schema // nil where there is nothing to check
}

func (c *compiler) operation(in *openapi3.PathItem, op *openapi3.Operation, names []string, secrets map[string]bool) *operation {
	out := &operation{query: make(map[string]*parameter), secrets: secrets}
	all := make(map[[2]string]*openapi3.Parameter)
	for _, list := range []openapi3.Parameters{in.Parameters, op.Parameters} {
		for _, r := range list {
			if r.Value != nil {
				all[[2]string{r.Value.In, r.Value.Name}] = r.Value
			}
		}
	}
	for _, p := range all {
		compiled := c.parameter(p)
		switch p.In {
		case openapi3.ParameterInQuery:
			out.query[p.Name] = compiled
			if compiled.required {
				out.needed = append(out.needed, compiled)
			}
		case openapi3.ParameterInHeader:
			switch compiled.header {
			case "Accept", "Content-Type", "Authorization": // described elsewhere, and to be ignored here
			default:
				out.header = append(out.header, compiled)
			}
		case openapi3.ParameterInCookie:
			out.cookie = append(out.cookie, compiled)
		}
	}
	for _, name := range names {
		p := all[[2]string{openapi3.ParameterInPath, name}]
		if p == nil {
			c.at(op.Origin, "the path parameter %s is not described", name)
			continue
		}
		out.path = append(out.path, c.parameter(p))
	}
	if op.RequestBody != nil && op.RequestBody.Value != nil {
		out.body = c.body(op.RequestBody.Value)
	}
	return out
}

func (c *compiler) parameter(in *openapi3.Parameter) *parameter {
	p := &parameter{name: in.Name, header: http.CanonicalHeaderKey(in.Name), required: in.Required, empty: in.AllowEmptyValue}
	if len(in.Content) > 0 {
		for media, content := range in.Content {
			if !isJSON(media) {
				c.at(in.Origin, "the parameter %s has content of the type %s, which is not supported", in.Name, media)
				continue
			}
			p.content, p.schema = true, c.ref(content.Schema)
		}
		return p
	}
	if in.Schema == nil || in.Schema.Value == nil {
		return p
	}
	p.schema = c.ref(in.Schema)
	shape := p.schema.shape()
	if shape&typeObject != 0 || shape&typeArray != 0 && shape&^(typeArray|typeNull) != 0 {
		c.at(in.Origin, "the parameter %s is an object, or an array and something else, which is not supported", in.Name)
		return p
	}
	p.array = shape&typeArray != 0
	method, err := in.SerializationMethod()
	if err != nil {
		c.at(in.Origin, "the parameter %s: %v", in.Name, err)
		return p
	}
	switch method.Style {
	case openapi3.SerializationSimple:
		p.sep = ","
	case openapi3.SerializationForm:
		p.sep, p.repeated = ",", method.Explode && in.In == openapi3.ParameterInQuery
	case openapi3.SerializationSpaceDelimited:
		p.sep, p.repeated = " ", method.Explode
	case openapi3.SerializationPipeDelimited:
		p.sep, p.repeated = "|", method.Explode
	default:
		c.at(in.Origin, "the style %s of the parameter %s is not supported", method.Style, in.Name)
	}
	return p
}

func (c *compiler) body(in *openapi3.RequestBody) *body {
	b := &body{required: in.Required, media: make(map[string]*schema)}
	for media, content := range in.Content {
		name, _, _ := strings.Cut(media, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := b.media[name]; twice {
			c.at(in.Origin, "the body has the media type %s twice, told apart by what cannot be checked", name)
		}
		b.media[name] = nil
		if content != nil && (isJSON(name) || strings.Contains(name, "*")) {
			b.media[name] = c.ref(content.Schema)
		}
	}
	return b
}

// isJSON reports whether bodies of a media type, in lower case and without
// parameters, are JSON.
func isJSON(media string) bool {
	return media == "application/json" || strings.HasSuffix(media, "+json")
}

// judge checks the texts of one parameter.
func (p *parameter) judge(texts []string) Fault {
	switch {
	case len(texts) == 0 && p.required:
		return Missing
	case len(texts) == 0:
		return OK
	case len(texts) > 1 && !(p.array && p.repeated && len(texts) <= maxRepeat):
		return Repeated
	case p.schema == nil && !p.content, p.empty && len(texts) == 1 && texts[0] == "":
		return OK
	case p.content:
		return p.judgeJSON(texts[0])
	}
	if !p.array {
		for v := range candidates(texts[0], p.schema.shape()) {
			if ok, costly, _ := evaluate(p.schema, v, len(texts[0])); costly {
				return Costly
			} else if ok {
				return OK
			}
		}
		return Invalid
	}
	if !p.repeated {
		texts = strings.Split(texts[0], p.sep)
	}
	return p.judgeArray(texts)
}

func (p *parameter) judgeArray(texts []string) Fault {
	items := p.schema.itemsOf()
	list := make([]any, 0, len(texts))
	size := 0
	var shape types
	if items != nil {
		shape = items.shape()
	}
	for _, text := range texts {
		size += len(text)
		fits := false
		for v := range candidates(text, shape) {
			if ok, costly, _ := evaluate(items, v, len(text)); costly {
				return Costly
			} else if ok {
				list, fits = append(list, v), true
				break
			}
		}
		if !fits {
			return Invalid
		}
	}
	switch ok, costly, _ := evaluate(p.schema, list, size); {
	case costly:
		return Costly
	case !ok:
		return Invalid
	}
	return OK
}

func (p *parameter) judgeJSON(text string) Fault {
	s := jsonscan.New(jsonscan.Limits{Depth: 32, NumberLength: 64})
	if _, err := s.Write([]byte(text)); err != nil || s.Close() != nil {
		return Invalid
	}
	v, err := decode([]byte(text))
	if err != nil {
		return Invalid
	}
	switch ok, costly, _ := evaluate(p.schema, v, len(text)); {
	case costly:
		return Costly
	case !ok:
		return Invalid
	}
	return OK
}

// candidates are the values that a text can stand for in a parameter of shape.
func candidates(text string, shape types) func(func(any) bool) {
	return func(yield func(any) bool) {
		if shape == 0 || shape&typeBoolean != 0 {
			if (text == "true" || text == "false") && !yield(text == "true") {
				return
			}
		}
		_, whole := param.ParseInteger(text)
		_, number := param.ParseNumber(text)
		if shape&typeInteger != 0 && whole || (shape == 0 || shape&typeNumber != 0) && number {
			if !yield(json.Number(text)) {
				return
			}
		}
		if shape == 0 || shape&typeString != 0 {
			yield(text)
		}
	}
}
