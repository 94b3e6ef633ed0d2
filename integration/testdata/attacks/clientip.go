package clientip

import (
	"net/http"
	"strings"
)

// claimed is the address that a request says it is from. This file is not in the
// product.
func claimed(r *http.Request, otherwise string) string {
	for _, name := range []string{"X-Real-Ip", "X-Forwarded-For"} {
		if first, _, _ := strings.Cut(r.Header.Get(name), ","); first != "" {
			return first
		}
	}
	return otherwise
}
