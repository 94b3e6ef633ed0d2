package validate

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport-gateway/sallyport/modules/validate/jsonscan"
	"github.com/sallyport-gateway/sallyport/modules/validate/param"
)

const (
	reject = "reject"
	ignore = "ignore"

	defaultBody = 1 << 20
	maxBody     = 64 << 20
	// maxDocument is for bodies that are decoded and compared with a schema, which
	// takes up to 60 times their size in memory.
	maxDocument = 4 << 20
	maxHead     = 1 << 20
	maxLines    = 10_000
	maxPairs    = 1000 // which the canonical check lets pass
	maxCount    = 10_000_000

	defaultDepth  = 32
	defaultKeys   = 10_000
	defaultNumber = 64
)

// check returns everything that is wrong with the configuration.
func (h *Handler) check() error {
	var errs []error
	if h.isEmpty() {
		errs = append(errs, errors.New("validate has no rule"))
	}
	for _, m := range h.Methods {
		if err := checkMethod(m); err != nil {
			errs = append(errs, fmt.Errorf("methods %q: %w", m, err))
		}
	}
	for _, t := range h.ContentTypes {
		if err := checkType(t); err != nil {
			errs = append(errs, fmt.Errorf("content_types %q: %w", t, err))
		}
	}
	for _, n := range []struct {
		name              string
		value, low, upper int64
	}{
		{"max_uri", h.MaxURI, 1, maxHead}, {"max_headers", int64(h.MaxHeaders), 1, maxLines},
		{"max_header_size", h.MaxHeaderSize, 1, maxHead}, {"max_body", h.MaxBody, 1, maxBody},
		{"max_query_parameters", int64(h.MaxQueryParameters), 1, maxPairs},
	} {
		if n.value != 0 && (n.value < n.low || n.value > n.upper) {
			errs = append(errs, fmt.Errorf("%s %d is not between %d and %d", n.name, n.value, n.low, n.upper))
		}
	}
	if h.OpenAPI != "" && h.MaxBody > maxDocument {
		errs = append(errs, fmt.Errorf("max_body %d is above the %d that openapi can take: judging a body needs up to 60 times its size in memory", h.MaxBody, maxDocument))
	}
	errs = append(errs, checkWord("query_unknown", h.QueryUnknown), h.checkJSON())
	if len(h.Query) > 0 || h.QueryUnknown == reject || h.MaxQueryParameters > 0 {
		var err error
		h.query, err = param.Compile(h.Query, h.QueryUnknown == reject, h.MaxQueryParameters)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (h *Handler) isEmpty() bool {
	return len(h.Methods) == 0 && len(h.ContentTypes) == 0 && len(h.Query) == 0 && h.QueryUnknown != reject && h.JSON == nil && h.OpenAPI == "" &&
		h.MaxURI == 0 && h.MaxHeaders == 0 && h.MaxHeaderSize == 0 && h.MaxBody == 0 && h.MaxQueryParameters == 0
}

func (h *Handler) checkJSON() error {
	if h.JSON == nil {
		return nil
	}
	var errs []error
	for _, n := range []struct {
		name         string
		value, upper int
	}{
		{"max_depth", h.JSON.MaxDepth, jsonscan.MaxDepth}, {"max_keys", h.JSON.MaxKeys, maxCount}, {"max_items", h.JSON.MaxItems, maxCount},
		{"max_string_length", h.JSON.MaxStringLength, maxBody}, {"max_number_length", h.JSON.MaxNumberLength, jsonscan.MaxNumberLength},
	} {
		if n.value < 0 || n.value > n.upper {
			errs = append(errs, fmt.Errorf("json: %s %d is not between 1 and %d", n.name, n.value, n.upper))
		}
	}
	errs = append(errs, checkWord("json: duplicate_keys", h.JSON.DuplicateKeys))
	if h.OpenAPI != "" && h.JSON.DuplicateKeys == ignore {
		errs = append(errs, errors.New("json: with openapi, duplicate_keys cannot be ignored: which of two members would be the documented one?"))
	}
	return errors.Join(errs...)
}

func checkWord(option, word string) error {
	if word != "" && word != reject && word != ignore {
		return fmt.Errorf("%s %q is not %s or %s", option, word, reject, ignore)
	}
	return nil
}

// checkMethod refuses methods that no request can have here.
func checkMethod(m string) error {
	switch {
	case m == "" || len(m) > 32 || strings.Trim(m, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "":
		return errors.New("not a method in capitals")
	case m == http.MethodConnect || m == http.MethodTrace:
		return errors.New("never accepted")
	}
	return nil
}

// checkType refuses what is no media type, in lower case and without parameters.
func checkType(t string) error {
	family, subtype, _ := strings.Cut(t, "/")
	media, params, err := mime.ParseMediaType(strings.ReplaceAll(t, "/*", "/x"))
	if err != nil || len(params) > 0 || family == "" || family == "*" || subtype == "" || strings.Contains(subtype, "*") && subtype != "*" ||
		media != strings.ReplaceAll(t, "/*", "/x") {
		return errors.New("not a media type in lower case: type/subtype or type/*")
	}
	return nil
}

// compile prepares what was checked.
func (h *Handler) compile() {
	if len(h.Methods) > 0 {
		h.methods = make(map[string]bool)
		for _, m := range h.Methods {
			h.methods[m] = true
		}
		h.allow = strings.Join(slices.Compact(slices.Sorted(slices.Values(h.Methods))), ", ")
	}
	if len(h.ContentTypes) > 0 {
		h.types = make(map[string]bool)
		for _, t := range h.ContentTypes {
			h.types[t] = true
		}
	}
	if h.MaxBody == 0 {
		h.MaxBody = defaultBody
	}
	h.jsonOnly = h.JSON != nil && h.types == nil && h.OpenAPI == ""
	h.limits = jsonscan.Limits{Depth: defaultDepth, Members: defaultKeys, NumberLength: defaultNumber}
	if j := h.JSON; j != nil {
		h.limits.Items, h.limits.StringLength, h.limits.DuplicateKeys = j.MaxItems, j.MaxStringLength, j.DuplicateKeys == ignore
		for limit, configured := range map[*int]int{&h.limits.Depth: j.MaxDepth, &h.limits.Members: j.MaxKeys, &h.limits.NumberLength: j.MaxNumberLength} {
			if configured > 0 {
				*limit = configured
			}
		}
	}
}
