package elb

import (
	"time"

	"github.com/sallyport-gateway/sallyport/modules/elb/proxyheader"
)

// The allow rules of the listener, each named as its option.
const (
	ruleVPCE = "vpce_ids"
	rulePSC  = "psc_connection_ids"
	ruleLink = "link_ids"
)

// tcpProfile is a balancer that passes TCP through.
type tcpProfile struct {
	name string
	// rules are the headers that it sends.
	rules proxyheader.Rules
	// idle is how long it keeps a connection on which nothing happens, as far as
	// its documentation says; 0 where it does not. Where it can be configured, it
	// is the default.
	idle time.Duration
	// ids are the allow rules for what its headers carry.
	ids []string
	// preserves says that it can leave the client's address on the connection.
	preserves bool
}

var tcpProfiles = []tcpProfile{
	{
		name: "aws_nlb", rules: proxyheader.Rules{Version2: true},
		idle: 350 * time.Second, ids: []string{ruleVPCE}, preserves: true,
	},
	{
		name: "aws_clb_tcp", rules: proxyheader.Rules{Version1: true},
		idle: time.Minute,
	},
	{
		// Version 2 comes from Private Service Connect. Google's health checks with
		// PROXY_V1 send UNKNOWN.
		name: "gcp_tcp", rules: proxyheader.Rules{Version1: true, Version2: true, UnknownIsLocal: true},
		idle: 30 * time.Second, ids: []string{rulePSC},
	},
	{
		// Private Link ends idle connections after 240 to 300 seconds.
		name: "azure_pls", rules: proxyheader.Rules{Version2: true},
		idle: 5 * time.Minute, ids: []string{ruleLink},
	},
	{
		name: "proxy_protocol", rules: proxyheader.Rules{Version1: true, Version2: true},
		ids: []string{ruleVPCE, rulePSC, ruleLink},
	},
}

// tcpProfileOf returns the profile of that name, or nil.
func tcpProfileOf(name string) *tcpProfile {
	for i := range tcpProfiles {
		if tcpProfiles[i].name == name {
			return &tcpProfiles[i]
		}
	}
	return nil
}

func tcpProfileNames() []string {
	names := make([]string, len(tcpProfiles))
	for i := range tcpProfiles {
		names[i] = tcpProfiles[i].name
	}
	return names
}
