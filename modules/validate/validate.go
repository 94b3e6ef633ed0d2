package validate

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/caddyfile/order"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/validate/jsonscan"
	"github.com/sallyport-gateway/sallyport/modules/validate/openapi"
	"github.com/sallyport-gateway/sallyport/modules/validate/param"
)

func init() {
	caddy.RegisterModule(new(Handler))
	order.Register("validate", func() order.Directive { return new(Handler) })
}

// Handler refuses requests that are not what the API takes.
type Handler struct {
	guard.Guard

	// Methods are the methods that are accepted. GET does not include HEAD.
	// Default: all.
	Methods []string `json:"methods,omitempty"`

	// MaxURI is the size of the request target in bytes. Default: no limit of its
	// own.
	MaxURI int64 `json:"max_uri,omitempty"`

	// MaxHeaders is the number of header lines, with those that the gate adds.
	// Default: no limit of its own.
	MaxHeaders int `json:"max_headers,omitempty"`

	// MaxHeaderSize is the size of the name and the value of one header line in
	// bytes. Default: no limit of its own.
	MaxHeaderSize int64 `json:"max_header_size,omitempty"`

	// MaxBody is the size of a body in bytes, as it is sent and as it is decoded.
	// 1 to 67108864. Default: 1048576.
	MaxBody int64 `json:"max_body,omitempty"`

	// ContentTypes are the media types that a body may have: type/subtype, or
	// type/*. Default: all; with json and no openapi, those of JSON.
	ContentTypes []string `json:"content_types,omitempty"`

	// Query are the rules for query parameters. Default: none.
	Query []param.Rule `json:"query,omitempty"`

	// QueryUnknown is "reject" or "ignore": what to do with parameters that
	// neither Query nor OpenAPI describes. Default: ignore.
	QueryUnknown string `json:"query_unknown,omitempty"`

	// MaxQueryParameters is the number of query parameters. Default: 1000, which
	// no request can have more of.
	MaxQueryParameters int `json:"max_query_parameters,omitempty"`

	// JSON checks the form of JSON bodies. Default: not checked; with OpenAPI,
	// checked with its defaults.
	JSON *JSON `json:"json,omitempty"`

	// OpenAPI is the file of the document that requests have to keep to. Default:
	// none.
	OpenAPI string `json:"openapi,omitempty"`

	methods  map[string]bool
	allow    string
	types    map[string]bool
	jsonOnly bool
	query    *param.Query
	limits   jsonscan.Limits
	plan     *openapi.Plan
}

// JSON are the rules for the form of JSON bodies.
type JSON struct {
	// Required says that POST, PUT and PATCH need a body. Default: false.
	Required bool `json:"required,omitempty"`

	// MaxDepth is how many objects and arrays may be inside each other. 1 to 1000.
	// Default: 32.
	MaxDepth int `json:"max_depth,omitempty"`

	// MaxKeys is the number of members of one object. Default: 10000.
	MaxKeys int `json:"max_keys,omitempty"`

	// MaxItems is the number of items of one array. Default: no limit.
	MaxItems int `json:"max_items,omitempty"`

	// MaxStringLength is the number of characters of a string, also of a name.
	// Default: no limit.
	MaxStringLength int `json:"max_string_length,omitempty"`

	// MaxNumberLength is the size of a number in bytes. 1 to 400. Default: 64.
	MaxNumberLength int `json:"max_number_length,omitempty"`

	// DuplicateKeys is "reject" or "ignore": what to do with a name that occurs
	// twice in one object. Default: reject.
	DuplicateKeys string `json:"duplicate_keys,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.validate",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision implements caddy.Provisioner.
func (h *Handler) Provision(ctx caddy.Context) error {
	if err := h.Setup(ctx, "validate"); err != nil {
		return err
	}
	if err := h.check(); err != nil {
		return err
	}
	h.compile()
	if h.OpenAPI != "" {
		plan, err := openapi.Load(h.OpenAPI)
		if err != nil {
			return fmt.Errorf("openapi: %w", err)
		}
		h.plan = plan
	}
	return nil
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	req, err := h.Begin(w, r)
	if err != nil {
		return err
	}
	if req == nil {
		return next.ServeHTTP(w, r)
	}
	found := h.judge(req, r)
	if found.reason == nil {
		h.Allow()
		return next.ServeHTTP(w, r)
	}
	if err := h.Deny(w, r, found.reason, found.err()); err != nil {
		switch found.reason {
		case reasonMethod, reasonNoCall:
			w.Header().Set("Allow", found.allow)
		case reasonCoding:
			w.Header().Set("Accept-Encoding", acceptedCodings)
		}
		return err
	}
	return next.ServeHTTP(w, r)
}

// judge checks r, the cheap rules first and its body last.
func (h *Handler) judge(req *guard.Request, r *http.Request) finding {
	if h.methods != nil && !h.methods[req.Method] {
		return finding{reason: reasonMethod, allow: h.allow}
	}
	if found := h.judgeSizes(r); found.reason != nil {
		return found
	}
	var match *openapi.Match
	if h.plan != nil {
		match = new(openapi.Match)
		if ok, allow := h.plan.Find(req.Method, req.Path, match); !ok && allow == "" {
			return finding{reason: reasonPath}
		} else if !ok {
			return finding{reason: reasonNoCall, allow: allow}
		}
	}
	b := bodyOf(r)
	if found := h.judgeBodyHeader(r, &b, match); found.reason != nil {
		return found
	}
	if found := h.judgeQuery(req.RawQuery, match); found.reason != nil {
		return found
	}
	if match != nil {
		if fault, name := match.Parameters(req.RawQuery, r.Header); fault != openapi.OK {
			return aboutParameter(parameterReasons[fault], name)
		}
	}
	return h.judgeBody(r, &b)
}

// judgeSizes checks the sizes of the head.
func (h *Handler) judgeSizes(r *http.Request) finding {
	if h.MaxURI > 0 && int64(len(r.RequestURI)) > h.MaxURI {
		return finding{reason: reasonURI}
	}
	if h.MaxHeaders == 0 && h.MaxHeaderSize == 0 {
		return finding{}
	}
	lines := 1 // Host, which net/http takes out
	for name, values := range r.Header {
		lines += len(values)
		for _, v := range values {
			if h.MaxHeaderSize > 0 && int64(len(name)+len(v)) > h.MaxHeaderSize {
				return finding{reason: reasonHeaderSize}
			}
		}
	}
	if h.MaxHeaders > 0 && lines > h.MaxHeaders {
		return finding{reason: reasonHeaderCount}
	}
	return finding{}
}

func (h *Handler) judgeQuery(raw string, match *openapi.Match) finding {
	if h.query == nil {
		return finding{}
	}
	var documented param.Documented
	if match != nil {
		documented = match.Documented
	}
	if fault, name := h.query.Check(raw, documented); fault != param.OK {
		return aboutParameter(queryReasons[fault], name)
	}
	return finding{}
}

// needsBody reports whether the json rule asks for a body.
func (h *Handler) needsBody(method string) bool {
	return h.JSON != nil && h.JSON.Required && strings.Contains(" POST PUT PATCH ", " "+method+" ")
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
