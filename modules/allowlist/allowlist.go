package allowlist

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/gaissmai/bart"

	"github.com/sallyport-gateway/sallyport/caddyfile/order"
	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
)

func init() {
	caddy.RegisterModule(new(Handler))
	order.Register("allowlist", func() order.Directive { return new(Handler) })
}

// Callers are not told which list refused them.
const titleRefused = "This address is not allowed to call."

var (
	reasonDenied     = decision.NewReason("allowlist.denied", http.StatusForbidden, titleRefused)
	reasonNotAllowed = decision.NewReason("allowlist.not_allowed", http.StatusForbidden, titleRefused)
)

// Handler refuses clients by their address.
type Handler struct {
	guard.Guard

	// Allow are addresses and prefixes that may call. With any, and with any of
	// AllowFiles, all others are refused. Default: everyone may.
	Allow []string `json:"allow,omitempty"`

	// AllowFiles are files with one address or prefix a line. Default: none.
	AllowFiles []string `json:"allow_files,omitempty"`

	// Deny are addresses and prefixes that may not call, whatever allows them.
	// Default: none.
	Deny []string `json:"deny,omitempty"`

	// DenyFiles are files with one address or prefix a line. Default: none.
	DenyFiles []string `json:"deny_files,omitempty"`

	list list
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.allowlist",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision implements caddy.Provisioner.
func (h *Handler) Provision(ctx caddy.Context) error {
	if err := h.Setup(ctx, "allowlist"); err != nil {
		return err
	}
	h.list.closed = len(h.Allow) > 0 || len(h.AllowFiles) > 0
	return errors.Join(
		h.check(),
		fill(&h.list.allowed, "allow", h.Allow, h.AllowFiles),
		fill(&h.list.denied, "deny", h.Deny, h.DenyFiles),
	)
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
	switch h.list.judge(req.Client) {
	case pass:
		h.Guard.Allow()
	case denied:
		err = h.Guard.Deny(w, r, reasonDenied, nil)
	case notAllowed:
		err = h.Guard.Deny(w, r, reasonNotAllowed, nil)
	}
	if err != nil {
		return err
	}
	return next.ServeHTTP(w, r)
}

// check refuses a list that decides nothing.
func (h *Handler) check() error {
	if len(h.Allow)+len(h.AllowFiles)+len(h.Deny)+len(h.DenyFiles) == 0 {
		return errors.New("allowlist has neither allow nor deny")
	}
	return nil
}

// fill adds inline prefixes and those of files to set, and returns every error.
func fill(set *bart.Lite, option string, inline, files []string) error {
	var errs []error
	for i, s := range inline {
		p, err := parsePrefix(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s[%d]: %q %w", option, i, s, err))
			continue
		}
		set.Insert(p)
	}
	for _, path := range files {
		prefixes, err := readFile(path)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s file %s: %w", option, path, err))
			continue
		}
		for _, p := range prefixes {
			set.Insert(p)
		}
	}
	return errors.Join(errs...)
}

func readFile(path string) ([]netip.Prefix, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseFile(content)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
