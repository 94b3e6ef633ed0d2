package auth

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

// said is a standing credential that is what a header says.
type said struct {
	header string
	asked  *int
}

func (s said) judge(r *http.Request, _ http.Header, _ time.Time) outcome {
	*s.asked++
	switch value := r.Header.Get(s.header); value {
	case "":
		return outcome{reason: reasonNone}
	case "expired":
		return outcome{reason: tokenReasons[jwt.Expired]}
	case "failed":
		return outcome{reason: reasonFailed}
	default:
		return outcome{who: &principal.Principal{ID: value}}
	}
}

// accepts is a verifier of every credential.
type accepts struct {
	leaf  leaf
	asked *int
}

func (v accepts) verify(_ context.Context, credential string, _ netip.Addr, _ time.Time) verdict {
	*v.asked++
	return verdict{who: &principal.Principal{ID: credential}, leaf: v.leaf}
}
func (accepts) token() bool { return true }
func (accepts) dear() bool  { return true }

func TestStandingCredentials(t *testing.T) {
	var first, second, third, signatures int
	one, two, three := said{"One", &first}, said{"Two", &second}, said{"Three", &third}
	tree := tree{
		doors: []door{{source{inHeader, "Key"}, accepts{leaf{2, 0}, &signatures}}},
		branches: []branch{
			{standing: []member{{one, 0}, {two, 1}}, group: true},
			{standing: []member{{three, 0}}},
			{doors: 1, standing: []member{{three, 1}}, group: true},
		},
		grouped: 1,
	}
	tests := []struct {
		name   string
		header []string
		who    string
		reason string
	}{
		{"a group of them", []string{"One", "a", "Two", "b"}, "a", ""},
		{"a group without its second", []string{"One", "a"}, "", "auth.incomplete"},
		{"a group without its first", []string{"Two", "b"}, "", "auth.incomplete"},
		{"a bad member", []string{"One", "a", "Two", "expired"}, "", "auth.token_expired"},
		{"a failure of ours", []string{"One", "failed", "Two", "b"}, "", "auth.failed"},
		{"a failure of ours does not fall through", []string{"One", "failed", "Three", "c"}, "", "auth.failed"},
		{"an incomplete group does not fall through", []string{"One", "a", "Three", "c"}, "", "auth.incomplete"},
		{"the single one", []string{"Three", "c"}, "c", ""},
		{"none", nil, "", "auth.no_credential"},
		{"a group's with the explicit credential", []string{"Three", "c", "Key", "k"}, "k", ""},
		{"an explicit credential without it", []string{"Key", "k"}, "", "auth.incomplete"},
		{"an explicit credential with others", []string{"Key", "k", "One", "a", "Two", "b"}, "", "auth.incomplete"},
		{"a failure of ours in the group", []string{"Three", "failed", "Key", "k"}, "", "auth.failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			signatures = 0
			r := httptest.NewRequest("GET", "/", nil)
			for i := 0; i < len(tt.header); i += 2 {
				r.Header.Set(tt.header[i], tt.header[i+1])
			}
			o := tree.judge(&attempt{r: r, client: netip.MustParseAddr("192.0.2.1"), now: time.Now()})
			who, reason := "", ""
			if o.who != nil {
				who = o.who.ID
			}
			if o.reason != nil {
				reason = o.reason.Code
			}
			if who != tt.who || reason != tt.reason {
				t.Errorf("got %q %s, want %q %s", who, reason, tt.who, tt.reason)
			}
			if tt.who == "" && signatures > 0 {
				t.Error("a signature was checked although the cheap member was missing")
			}
		})
	}
}
