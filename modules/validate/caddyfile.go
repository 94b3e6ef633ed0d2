package validate

import (
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/validate/jsonscan"
	"github.com/sallyport-gateway/sallyport/modules/validate/param"
)

// UnmarshalCaddyfile reads the directive:
//
//	validate [<matcher>] {
//		methods              <methods...>
//		max_uri              <size>
//		max_headers          <number>
//		max_header_size      <size>
//		max_body             <size>
//		content_types        <types...>
//		max_query_parameters <number>
//		query_unknown        reject | ignore
//		query <name> {
//			required
//			type       string | integer | number | boolean | uuid | date | date-time | ipv4 | ipv6
//			range      <lowest> <highest>
//			min_length <number>
//			max_length <number>
//			pattern    <RE2>
//			enum       <values...>
//			repeat     <number>
//		}
//		json {
//			required
//			max_depth         <number>
//			max_keys          <number>
//			max_items         <number>
//			max_string_length <number>
//			max_number_length <number>
//			duplicate_keys    reject | ignore
//		}
//		openapi <file>
//		mode    enforce | dry_run
//	}
//
// query may be repeated, for other names. Sizes are numbers of bytes or have a
// unit: 512, 64KiB, 1MiB, 10MB.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	err := read.Block(d, []string{"query"}, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "methods":
			return read.Values(o, checked(checkMethod), &h.Methods)
		case "max_uri":
			return read.Size(o, maxHead, &h.MaxURI)
		case "max_headers":
			return read.Int(o, 1, maxLines, &h.MaxHeaders)
		case "max_header_size":
			return read.Size(o, maxHead, &h.MaxHeaderSize)
		case "max_body":
			return read.Size(o, maxBody, &h.MaxBody)
		case "content_types":
			return read.Values(o, checked(checkType), &h.ContentTypes)
		case "max_query_parameters":
			return read.Int(o, 1, maxPairs, &h.MaxQueryParameters)
		case "query_unknown":
			return read.Word(o, &h.QueryUnknown, reject, ignore)
		case "query":
			return h.readQuery(o)
		case "json":
			h.JSON = new(JSON)
			return readJSON(o, h.JSON)
		case "openapi":
			return read.String(o, &h.OpenAPI)
		}
		if ok, err := guard.Option(o, &h.Guard); ok {
			return err
		}
		return read.Unknown(o, "methods", "max_uri", "max_headers", "max_header_size", "max_body", "content_types",
			"max_query_parameters", "query_unknown", "query", "json", "openapi", "mode")
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

// checked makes a reader of a check.
func checked(check func(string) error) func(string) (string, error) {
	return func(s string) (string, error) { return s, check(s) }
}

func (h *Handler) readQuery(o *caddyfile.Dispenser) error {
	var rule param.Rule
	if err := read.String(o, &rule.Name); err != nil {
		return err
	}
	if slices.ContainsFunc(h.Query, func(r param.Rule) bool { return r.Name == rule.Name }) {
		return o.Errf("query %s is given twice", rule.Name)
	}
	err := read.Block(o, nil, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "required":
			return read.Flag(o, &rule.Required)
		case "type":
			return read.Word(o, &rule.Type, param.Types...)
		case "range":
			return readRange(o, &rule.Range)
		case "min_length":
			return read.Int(o, 1, param.MaxLength, &rule.MinLength)
		case "max_length":
			rule.MaxLength = new(int)
			return read.Int(o, 0, param.MaxLength, rule.MaxLength)
		case "pattern":
			return read.Value(o, func(s string) (string, error) { _, err := param.Pattern(s); return s, err }, &rule.Pattern)
		case "enum":
			return read.Strings(o, &rule.Enum)
		case "repeat":
			return read.Int(o, 1, param.MaxRepeat, &rule.Repeat)
		}
		return read.Unknown(o, "required", "type", "range", "min_length", "max_length", "pattern", "enum", "repeat")
	})
	if err != nil {
		return err
	}
	h.Query = append(h.Query, rule)
	if err := param.CheckRule(rule); err != nil {
		return at(o, fmt.Errorf("query %s: %w", rule.Name, err))
	}
	return nil
}

func readRange(o *caddyfile.Dispenser, dst *[]string) error {
	values := o.RemainingArgs()
	if len(values) != 2 {
		return o.Errf("range needs a lowest and a highest value")
	}
	*dst = values
	return nil
}

func readJSON(o *caddyfile.Dispenser, j *JSON) error {
	return read.Block(o, nil, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "required":
			return read.Flag(o, &j.Required)
		case "max_depth":
			return read.Int(o, 1, jsonscan.MaxDepth, &j.MaxDepth)
		case "max_keys":
			return read.Int(o, 1, maxCount, &j.MaxKeys)
		case "max_items":
			return read.Int(o, 1, maxCount, &j.MaxItems)
		case "max_string_length":
			return read.Int(o, 1, maxBody, &j.MaxStringLength)
		case "max_number_length":
			return read.Int(o, 1, jsonscan.MaxNumberLength, &j.MaxNumberLength)
		case "duplicate_keys":
			return read.Word(o, &j.DuplicateKeys, reject, ignore)
		}
		return read.Unknown(o, "required", "max_depth", "max_keys", "max_items", "max_string_length", "max_number_length", "duplicate_keys")
	})
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Handler)(nil)
