package openapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/sallyport-gateway/sallyport/modules/validate/jsonscan"
)

// maxFile bounds a document; the largest that are published have 12 MB.
const maxFile = 32 << 20

// Plan is a compiled document. It is read-only and safe for concurrent use.
type Plan struct {
	root     *branch
	requests int // how many operations there are
}

// Load reads the document in file, JSON or YAML, and compiles it. Its errors begin
// with file:line where kin-openapi says which line it is.
func Load(file string) (*Plan, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return Compile(file, content)
}

// Compile is Load for a document that was read from file.
func Compile(file string, content []byte) (plan *Plan, err error) {
	if len(content) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", file, maxFile)
	}
	// The document is trusted; a loader that it crashes should still say whose
	// fault it is.
	defer func() {
		if r := recover(); r != nil {
			plan, err = nil, fmt.Errorf("%s: cannot be read: %v", file, r)
		}
	}()
	if err := checkJSON(file, content); err != nil {
		return nil, err
	}
	loader := openapi3.NewLoader()
	loader.IncludeOrigin = true
	loader.IsExternalRefsAllowed = false
	doc, err := loader.LoadFromDataWithPath(content, &url.URL{Path: file})
	if err != nil {
		return nil, locate(file, err)
	}
	if doc.OpenAPI == "" || !doc.IsOpenAPI30() && !doc.IsOpenAPI31OrLater() || doc.IsOpenAPI32OrLater() {
		return nil, fmt.Errorf("%s: openapi %.20q is not 3.0 or 3.1", file, doc.OpenAPI)
	}
	err = doc.Validate(context.Background(), openapi3.EnableMultiError(), openapi3.DisableExamplesValidation(),
		openapi3.EnableSchemaFormatValidation(), openapi3.DisableSchemaPatternValidation(), openapi3.DisableSchemaDefaultsValidation())
	if err != nil {
		return nil, locate(file, err)
	}
	return newPlan(file, doc)
}

// checkJSON refuses a JSON document in which a name occurs twice, of which a
// reader keeps either. YAML is checked by its parser.
func checkJSON(file string, content []byte) error {
	trimmed := bytes.TrimLeft(content, " \t\r\n")
	if !strings.HasSuffix(strings.ToLower(file), ".json") && !bytes.HasPrefix(trimmed, []byte("{")) {
		return nil
	}
	s := jsonscan.New(jsonscan.Limits{Depth: jsonscan.MaxDepth})
	_, err := s.Write(content)
	if err == nil {
		err = s.Close()
	}
	var e *jsonscan.Error
	if errors.As(err, &e) {
		line := 1 + bytes.Count(content[:min(int(e.Offset), len(content))], []byte("\n"))
		return located(file, line, err)
	}
	return nil
}

// locate puts file and line on every error of kin-openapi, which keeps the place
// in a field of the error or of one that it wraps.
func locate(file string, err error) error {
	var many openapi3.MultiError
	if errors.As(err, &many) {
		errs := make([]error, 0, len(many))
		for _, e := range many {
			errs = append(errs, locate(file, e))
		}
		return errors.Join(errs...)
	}
	line := 0
	for e := err; e != nil; e = errors.Unwrap(e) {
		v := reflect.Indirect(reflect.ValueOf(e))
		if v.Kind() != reflect.Struct {
			continue
		}
		if f := v.FieldByName("Origin"); f.IsValid() {
			if o, ok := f.Interface().(*openapi3.Origin); ok && o != nil && o.Key != nil {
				line = o.Key.Line
			}
		}
	}
	if line == 0 { // the parser of YAML says it in words
		if m := saidLine.FindStringSubmatch(err.Error()); m != nil {
			line, _ = strconv.Atoi(m[1])
		}
	}
	return located(file, line, err)
}

var saidLine = regexp.MustCompile(`\bline (\d+)\b`)

func newPlan(file string, doc *openapi3.T) (*Plan, error) {
	c := &compiler{file: file, newer: doc.IsOpenAPI31OrLater(), memo: make(map[*openapi3.Schema]*schema)}
	bases := c.bases(doc.Servers)
	plan := &Plan{root: new(branch)}
	secrets := secretParameters(doc)
	for _, path := range sortedKeys(doc.Paths.Map()) {
		in := doc.Paths.Value(path)
		if len(in.Servers) > 0 {
			c.at(in.Origin, "%s has servers of its own, which is not supported", path)
		}
		segments, names, err := splitTemplate(path)
		if err != nil {
			c.at(in.Origin, "%s: %v", path, err)
			continue
		}
		end := &item{names: names, operations: make(map[string]*operation)}
		for method, op := range in.Operations() {
			if op.Servers != nil && len(*op.Servers) > 0 {
				c.at(op.Origin, "%s %s has servers of its own, which is not supported", method, path)
			}
			end.operations[method] = c.operation(in, op, names, secrets)
			end.methods = append(end.methods, method)
			plan.requests++
		}
		slices.Sort(end.methods)
		end.allow = strings.Join(end.methods, ", ")
		for _, base := range bases {
			if err := plan.root.insert(append(slices.Clone(base), segments...), end); err != nil {
				c.at(in.Origin, "%s: %v", path, err)
			}
		}
	}
	c.checkCycles()
	if plan.requests == 0 && len(c.errs) == 0 {
		c.errs = append(c.errs, fmt.Errorf("%s: documents no operation", file))
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	return plan, nil
}

// bases are the paths in front of those of the document, one for each server.
// Which hosts there are is the site's business.
func (c *compiler) bases(servers openapi3.Servers) [][]template {
	var bases [][]template
	seen := make(map[string]bool)
	for _, server := range servers {
		u, err := url.Parse(server.URL)
		if err != nil || strings.Contains(u.Path, "{") {
			c.at(server.Origin, "the path of the server %s has variables, which is not supported", server.URL)
			continue
		}
		base := strings.TrimSuffix(u.Path, "/")
		if seen[base] {
			continue
		}
		seen[base] = true
		var segments []template
		for name := range strings.SplitSeq(strings.TrimPrefix(base, "/"), "/") {
			if base != "" {
				segments = append(segments, template{prefix: name})
			}
		}
		bases = append(bases, segments)
	}
	if len(servers) == 0 {
		bases = [][]template{nil}
	}
	return bases
}

// secretParameters are the query parameters in which the document's security
// schemes put a credential. They are documented, though no operation lists them.
func secretParameters(doc *openapi3.T) map[string]bool {
	names := make(map[string]bool)
	if doc.Components == nil {
		return names
	}
	for _, r := range doc.Components.SecuritySchemes {
		if r.Value != nil && r.Value.Type == "apiKey" && r.Value.In == openapi3.ParameterInQuery {
			names[r.Value.Name] = true
		}
	}
	return names
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
