package policy

import (
	"cmp"
	"slices"
)

// The severities of findings. Both fail a lint: what is right in one's network is
// waived, with the reason.
const (
	SeverityError   = "error"   // protection that is written does not work
	SeverityWarning = "warning" // it may be right in some network
)

// Finding is one thing that a configuration most likely should not have.
type Finding struct {
	Rule     string `json:"rule"`
	Severity string `json:"severity"`
	// Path is where it is in the JSON, "" if it is not in there.
	Path string `json:"path,omitempty"`
	// Position is file:line of the Caddyfile, "" where it is not known.
	Position string `json:"position,omitempty"`
	Reason   string `json:"reason"`
	Remedy   string `json:"remedy"`
	// Waived is the reason that a waiver gives, "" without one.
	Waived string `json:"waived,omitempty"`
}

// Input is what Lint looks at.
type Input struct {
	// Config is the configuration as encoding/json reads it.
	Config any
	// Guards are the names of handlers that protect something.
	Guards []string
	// Source is the Caddyfile, nil if the configuration is none.
	Source *Source
}

// lint is a configuration being looked at.
type lint struct {
	Input
	servers  []*server
	calls    []*call
	rule     rule
	findings []Finding
	words    []*Word // of the findings, nil where there is none
}

// rule is one thing that is looked for.
type rule struct {
	id, severity string
	look         func(*lint)
}

var rules = []rule{
	{"guard-bypassed", SeverityError, lookForBypassedGuards},
	{"no-auth", SeverityWarning, lookForOpenBackends},
	{"auth-optional", SeverityWarning, lookForOptionalAuth},
	{"upstream-plain", SeverityWarning, lookForPlainUpstreams},
	{"upstream-unverified", SeverityError, lookForUnverifiedUpstreams},
	{"cors-reflected", SeverityError, lookForReflectedOrigins},
	{"inline-secret", SeverityError, lookForInlineSecrets},
	{"admin-open", SeverityError, lookForOpenAdmin},
	{"config-persisted", SeverityWarning, lookForPersistedConfig},
	{"drain-timing", SeverityWarning, lookForDrainTiming},
	{"log-unredacted", SeverityError, lookForUnredactedLogs},
	{"proxies-wide", SeverityError, lookForWideProxies},
	{"servers-lost", SeverityError, lookForLostServers},
}

// Rules returns the names of the rules.
func Rules() []string {
	names := make([]string, len(rules))
	for i, r := range rules {
		names[i] = r.id
	}
	return names
}

// waiverRule is the rule of findings about waivers.
const waiverRule = "waiver"

// Lint returns what the rules find, in the order of the rules and of the
// configuration. What is waived is among them.
func Lint(in Input) []Finding {
	l := &lint{Input: in}
	l.servers, l.calls = readServers(in.Config)
	for _, l.rule = range rules {
		l.rule.look(l)
	}
	l.waive()
	return l.findings
}

// report adds a finding of the rule that is looking.
func (l *lint) report(path string, at place, reason, remedy string) {
	word := l.Source.find(at)
	l.add(word, Finding{Rule: l.rule.id, Severity: l.rule.severity, Path: path, Reason: reason, Remedy: remedy})
}

func (l *lint) add(word *Word, f Finding) {
	if word != nil {
		f.Position = word.position()
	}
	// A snippet that several sites import is one line to mend.
	if f.Position != "" && slices.ContainsFunc(l.findings, func(g Finding) bool {
		return g.Rule == f.Rule && g.Position == f.Position && g.Reason == f.Reason
	}) {
		return
	}
	l.findings, l.words = append(l.findings, f), append(l.words, word)
}

// waive marks the findings that a comment waives, and reports waivers that are
// none: without a reason, of no rule, or where nothing was found.
func (l *lint) waive() {
	waivers := l.Source.waivers()
	slices.SortFunc(waivers, func(a, b *waiver) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	l.rule = rule{id: waiverRule, severity: SeverityWarning}
	for _, w := range waivers {
		for i := range l.findings {
			f, word := &l.findings[i], l.words[i]
			if word != nil && word.File == w.File && word.Line == w.line && f.Rule == w.rule {
				f.Waived = w.reason // stays a finding without a reason
				w.used = true
			}
		}
		at, f := &w.Word, Finding{Rule: waiverRule, Severity: SeverityWarning}
		switch {
		case !slices.Contains(Rules(), w.rule):
			f.Reason, f.Remedy = "there is no rule of this name", "write # lint:ignore <rule> <reason>"
		case w.reason == "":
			f.Reason, f.Remedy = "a waiver of "+w.rule+" has no reason", "say behind the rule why it is right here"
		case !w.used:
			f.Reason, f.Remedy = w.rule+" finds nothing on this line", "remove the comment"
		default:
			continue
		}
		l.add(at, f)
	}
}
