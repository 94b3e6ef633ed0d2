package openapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/sallyport-gateway/sallyport/modules/validate/param"
)

// maxPatternLength bounds a pattern; what RE2 makes of it is bounded by itself.
const maxPatternLength = 1000

// compiler compiles the schemas of one document, each once.
type compiler struct {
	file  string
	newer bool // 3.1 or later
	memo  map[*openapi3.Schema]*schema
	errs  []error
}

// at adds an error at the place of origin.
func (c *compiler) at(origin *openapi3.Origin, format string, args ...any) {
	line := 0
	if origin != nil && origin.Key != nil {
		line = origin.Key.Line
	}
	c.errs = append(c.errs, located(c.file, line, fmt.Errorf(format, args...)))
}

// atField adds an error at the line of a field of a schema.
func (c *compiler) atField(in *openapi3.Schema, field, format string, args ...any) {
	if in.Origin != nil {
		if place, ok := in.Origin.Fields.Lookup(field); ok {
			c.errs = append(c.errs, located(c.file, place.Line, fmt.Errorf(format, args...)))
			return
		}
	}
	c.at(in.Origin, format, args...)
}

func located(file string, line int, err error) error {
	if line > 0 {
		return fmt.Errorf("%s:%d: %w", file, line, err)
	}
	return fmt.Errorf("%s: %w", file, err)
}

func (c *compiler) ref(r *openapi3.SchemaRef) *schema {
	if r == nil || r.Value == nil {
		return nil
	}
	return c.schema(r.Value)
}

func (c *compiler) refs(list openapi3.SchemaRefs) []*schema {
	var all []*schema
	for _, r := range list {
		if s := c.ref(r); s != nil {
			all = append(all, s)
		}
	}
	return all
}

func (c *compiler) schema(in *openapi3.Schema) *schema {
	if s, ok := c.memo[in]; ok {
		return s
	}
	s := &schema{maxLength: -1, maxItems: -1, maxContains: -1, maxProps: -1}
	c.memo[in] = s
	if in.Always != nil {
		s.never = !*in.Always
		return s
	}
	c.unsupported(in)
	for _, name := range in.Type.Slice() {
		s.types |= typeNames[name]
	}
	s.readOnly = in.ReadOnly
	c.values(in, s)
	c.numbers(in, s)
	c.texts(in, s)
	c.arrays(in, s)
	c.objects(in, s)
	s.allOf, s.anyOf, s.oneOf = c.refs(in.AllOf), c.refs(in.AnyOf), c.refs(in.OneOf)
	s.not, s.condition, s.then, s.otherwise = c.ref(in.Not), c.ref(in.If), c.ref(in.Then), c.ref(in.Else)
	c.discriminator(in, s)
	if !c.newer {
		s.nullable = in.Nullable
		s.noNull = !s.nullable && !s.hasCombination() && !in.IsEmpty()
	}
	return s
}

// unsupported refuses what would otherwise be passed over.
func (c *compiler) unsupported(in *openapi3.Schema) {
	for keyword, used := range map[string]bool{
		"$id": in.SchemaID != "", "$anchor": in.Anchor != "", "$dynamicRef": in.DynamicRef != "", "$dynamicAnchor": in.DynamicAnchor != "",
		"unevaluatedItems":      in.UnevaluatedItems.Has != nil || in.UnevaluatedItems.Schema != nil,
		"unevaluatedProperties": in.UnevaluatedProperties.Has != nil || in.UnevaluatedProperties.Schema != nil,
		"$schema":               in.SchemaDialect != "" && in.SchemaDialect != "https://json-schema.org/draft/2020-12/schema" && in.SchemaDialect != "https://spec.openapis.org/oas/3.1/dialect/base",
	} {
		if used {
			c.atField(in, keyword, "the keyword %s cannot be checked", keyword)
		}
	}
	for name := range in.Extensions {
		if !strings.HasPrefix(name, "x-") {
			c.atField(in, name, "the keyword %s is not known", name)
		}
	}
}

func (c *compiler) values(in *openapi3.Schema, s *schema) {
	if in.Enum != nil {
		s.enum = []any{}
	}
	for _, v := range in.Enum {
		decoded, err := asJSON(v)
		if err != nil {
			c.at(in.Origin, "enum: %v", err)
		}
		s.enum = append(s.enum, decoded)
	}
	if in.Const != nil {
		decoded, err := asJSON(in.Const)
		if err != nil {
			c.at(in.Origin, "const: %v", err)
		}
		s.hasConst, s.constant = true, decoded
	} else if in.Origin != nil {
		_, s.hasConst = in.Origin.Fields.Lookup("const") // const: null
	}
}

// asJSON brings a value of the document into the form that bodies are decoded to.
func asJSON(v any) (any, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return decode(text)
}

// decode decodes a text, numbers as they are written.
func decode(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

func (c *compiler) numbers(in *openapi3.Schema, s *schema) {
	s.low, s.high = in.Min, in.Max
	s.exclusiveLow, s.exclusiveHigh = in.ExclusiveMin.IsTrue(), in.ExclusiveMax.IsTrue()
	if v := in.ExclusiveMin.Value; v != nil && (s.low == nil || *v >= *s.low) {
		s.low, s.exclusiveLow = v, true
	}
	if v := in.ExclusiveMax.Value; v != nil && (s.high == nil || *v <= *s.high) {
		s.high, s.exclusiveHigh = v, true
	}
	if in.MultipleOf != nil {
		r, ok := new(big.Rat).SetString(strconv.FormatFloat(*in.MultipleOf, 'g', -1, 64))
		if !ok || r.Sign() <= 0 {
			c.atField(in, "multipleOf", "multipleOf is not above 0")
			return
		}
		s.multipleOf = r
	}
	s.number = numberFormats[in.Format]
}

var numberFormats = map[string]func(json.Number) bool{
	"int32": func(n json.Number) bool { return inRange(n, 32) },
	"int64": func(n json.Number) bool { return inRange(n, 64) },
	"float": func(n json.Number) bool {
		f, err := n.Float64()
		return err == nil && math.Abs(f) <= math.MaxFloat32
	},
}

// inRange reports whether a whole number has so many bits.
func inRange(n json.Number, bits int) bool {
	if _, err := strconv.ParseInt(string(n), 10, bits); err == nil {
		return true
	}
	r, ok := new(big.Rat).SetString(string(n))
	if !ok || !r.IsInt() || !r.Num().IsInt64() {
		return false
	}
	return bits == 64 || int64(int32(r.Num().Int64())) == r.Num().Int64()
}

var emailPattern = regexp.MustCompile(`\A[^@\s<>",]+@[^@\s<>",]+\z`)

func (c *compiler) texts(in *openapi3.Schema, s *schema) {
	s.minLength = clamp(in.MinLength)
	if in.MaxLength != nil {
		s.maxLength = clamp(*in.MaxLength)
	}
	if in.Pattern != "" {
		s.pattern = c.pattern(in, in.Pattern)
	}
	switch in.Format {
	case "email":
		s.format = emailPattern.MatchString
	case "byte":
		s.format = func(v string) bool { _, err := base64.StdEncoding.DecodeString(v); return err == nil }
	case param.Date, param.DateTime, param.UUID, param.IPv4, param.IPv6:
		s.format = param.Format(in.Format)
	}
}

// codePoint is how ECMA-262 writes a character that RE2 writes in another way.
var codePoint = regexp.MustCompile(`\\u([0-9A-Fa-f]{4})`)

func (c *compiler) pattern(in *openapi3.Schema, expression string) *regexp.Regexp {
	if len(expression) > maxPatternLength {
		c.atField(in, "pattern", "a pattern is longer than %d bytes", maxPatternLength)
		return nil
	}
	compiled, err := regexp.Compile(codePoint.ReplaceAllString(expression, `\x{$1}`))
	if err != nil {
		c.atField(in, "pattern", "pattern: %v", err)
	}
	return compiled
}

func clamp(n uint64) int { return int(min(n, math.MaxInt32)) }

func (c *compiler) arrays(in *openapi3.Schema, s *schema) {
	s.items, s.prefix, s.contains = c.ref(in.Items), c.refs(in.PrefixItems), c.ref(in.Contains)
	s.minItems, s.unique, s.minContains = clamp(in.MinItems), in.UniqueItems, 1
	if in.MaxItems != nil {
		s.maxItems = clamp(*in.MaxItems)
	}
	if in.MinContains != nil {
		s.minContains = clamp(*in.MinContains)
	}
	if in.MaxContains != nil {
		s.maxContains = clamp(*in.MaxContains)
	}
}

func (c *compiler) objects(in *openapi3.Schema, s *schema) {
	s.required, s.dependentRequired = in.Required, in.DependentRequired
	s.minProps, s.propertyNames = clamp(in.MinProps), c.ref(in.PropertyNames)
	if in.MaxProps != nil {
		s.maxProps = clamp(*in.MaxProps)
	}
	s.properties, s.dependentSchemas = c.named(in.Properties), c.named(in.DependentSchemas)
	for expression, r := range in.PatternProperties {
		if compiled := c.pattern(in, expression); compiled != nil {
			s.patterns = append(s.patterns, patternProperty{compiled, c.ref(r)})
		}
	}
	switch a := in.AdditionalProperties; {
	case a.Has != nil && !*a.Has:
		s.additional = &schema{never: true}
	case a.Schema != nil:
		s.additional = c.ref(a.Schema)
	}
}

func (c *compiler) named(in openapi3.Schemas) map[string]*schema {
	if len(in) == 0 {
		return nil
	}
	out := make(map[string]*schema, len(in))
	for name, r := range in {
		out[name] = c.ref(r)
	}
	return out
}

// discriminator compiles the choice among oneOf or anyOf. A schema that a mapping
// names has to be among them.
func (c *compiler) discriminator(in *openapi3.Schema, s *schema) {
	list := slices.Concat(in.OneOf, in.AnyOf)
	if in.Discriminator == nil || len(list) == 0 {
		return // without a list it only documents
	}
	d := &discriminator{property: in.Discriminator.PropertyName, choices: make(map[string]*schema)}
	byRef := make(map[string]*schema)
	for _, r := range list {
		if r.Ref == "" {
			c.at(in.Origin, "a discriminator chooses among schemas that are no references")
			return
		}
		name := r.Ref[strings.LastIndexByte(r.Ref, '/')+1:]
		byRef[r.Ref], d.choices[name] = c.ref(r), c.ref(r)
	}
	for value, target := range in.Discriminator.Mapping {
		name := target.Ref
		choice := byRef[name]
		if choice == nil {
			choice = d.choices[name]
		}
		if choice == nil {
			c.at(in.Origin, "the discriminator maps %q to a schema that is not among the choices", value)
			continue
		}
		d.choices[value] = choice
	}
	s.discriminator = d
}

// checkCycles refuses schemas that judge a value by themselves, which would not
// end.
func (c *compiler) checkCycles() {
	const open, done = 1, 2
	state := make(map[*schema]int)
	var visit func(*schema) bool
	visit = func(s *schema) bool {
		if s == nil || state[s] == done {
			return true
		}
		if state[s] == open {
			return false
		}
		state[s] = open
		for _, sub := range s.inPlace() {
			if !visit(sub) {
				return false
			}
		}
		state[s] = done
		return true
	}
	for in, s := range c.memo {
		if !visit(s) {
			c.at(in.Origin, "a schema refers to itself without a property or an item between")
			return
		}
	}
}

func (c *compiler) err() error {
	// Maps have no order, and the same document should be refused with the same text.
	slices.SortFunc(c.errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(slices.CompactFunc(c.errs, func(a, b error) bool { return a.Error() == b.Error() })...)
}
