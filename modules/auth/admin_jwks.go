package auth

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwks"
)

func init() {
	caddy.RegisterModule(adminJWKS{})
}

// jwksPath is where the admin endpoint tells the state of every source of keys.
const jwksPath = "/sallyport/jwks"

// jwksAnswer is what it tells.
type jwksAnswer struct {
	Sources []jwks.State `json:"sources"`
}

// adminJWKS is a part of the admin API: GET /sallyport/jwks returns what
// `caddy sallyport jwks` prints. It tells public keys and configured names only.
type adminJWKS struct{}

// CaddyModule returns the Caddy module information.
func (adminJWKS) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.sallyport_jwks",
		New: func() caddy.Module { return new(adminJWKS) },
	}
}

// Routes implements caddy.AdminRouter.
func (adminJWKS) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: jwksPath, Handler: caddy.AdminHandlerFunc(answerJWKS)}}
}

func answerJWKS(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("only GET")}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(jwksAnswer{jwks.States(time.Now())})
}

// Interface guards
var _ caddy.AdminRouter = adminJWKS{}
