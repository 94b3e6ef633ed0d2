package ratelimiter

import (
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

func TestPlaceholdersThatAreNoKeyAreRefused(t *testing.T) {
	for _, key := range []string{
		"{http.request.body}", "{http.request.body_base64}", // read whole into memory, before auth
		"{http.request.duration}", "{http.request.duration_ms}", "{time.now}", "{time.now.unix_ms}", // another key each time
		"{http.request.remote.host/24}",                 // the balancer's
		"{http.request.hostport}",                       // has several spellings
		"header X-Remote-Ip", "header X-Azure-Clientip", // removed by the canonical check: one bucket for all
	} {
		z := Zone{Name: "z", Key: []string{key}, Rate: "1/s"}
		if _, err := z.compile(true); err == nil {
			t.Errorf("%s is accepted", key)
		}
	}
}

func TestADefinitionInOtherWordsIsTheSameZone(t *testing.T) {
	g := gatetest.Run(t, site(""))
	first := limited("same.words", "header X-Tenant")
	for _, second := range []string{
		strings.Replace(first, "1/h", "1/h\n\t\t\tburst 1", 1),
		strings.Replace(first, "1/h", "1/60m", 1),
		strings.Replace(first, "X-Tenant", "x-tenant", 1),
		strings.Replace(first, "rate_limiter", "quota", 1),
	} {
		if err := g.Reload(t, site(first)+"http://second.example:{$PORT} {\n"+second+"}\n"); err != nil {
			t.Error(err)
		}
	}
	if err := g.Reload(t, site(first)+"http://second.example:{$PORT} {\n"+strings.Replace(first, "1/h", "2/h", 1)+"}\n"); err == nil {
		t.Error("another rate is the same zone")
	}
}
