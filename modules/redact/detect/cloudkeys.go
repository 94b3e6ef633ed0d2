package detect

import "slices"

// mark is how the credentials of an issuer are recognised: by a prefix that
// nothing else has, the alphabet behind it, and the length.
type mark struct {
	issuer string
	prefix string
	body   *class
	min    int // characters behind the prefix
	max    int // 0: open ended, all that follows in the alphabet
	word   bool
	check  func(body []byte) bool
}

var (
	base32   = newClass("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
	base64s  = newClass(digits + lower + upper + "+/=")
	base64p  = newClass(digits + lower + upper + "+/")
	dotted   = newClass(digits + lower + upper + "_-.=")
	slackish = newClass(digits + lower + upper + "-")
	tilde    = newClass(digits + lower + upper + "_~.-")
	hexDash  = newClass(digits + "abcdefABCDEF-")

	lowerAlnum = newClass(digits + lower)
)

// marks lists the credentials by issuer. Where a prefix says it all, the
// length is only a lower bound and there is no upper one: issuers have made
// their tokens longer before. Where it does not, the length has to be exact
// and a word has to begin at the prefix.
var marks = []mark{
	{issuer: "1Password", prefix: "ops_eyJ", body: base64s, min: 50},
	{issuer: "Age", prefix: "AGE-SECRET-KEY-1", body: alnum, min: 58},
	{issuer: "Alibaba Cloud", prefix: "LTAI", body: alnum, min: 20, max: 20, word: true},
	{issuer: "Anthropic", prefix: "sk-ant-", body: wordDash, min: 20},
	{issuer: "Artifactory", prefix: "AKCp", body: alnum, min: 69, max: 69, word: true},
	{issuer: "Atlassian", prefix: "ATATT3", body: dotted, min: 40},
	{issuer: "Atlassian", prefix: "ATCTT3", body: dotted, min: 40},
	{issuer: "AWS", prefix: "A3T", body: base32, min: 17, max: 17, word: true},
	{issuer: "AWS", prefix: "ABIA", body: base32, min: 16, max: 16, word: true},
	{issuer: "AWS", prefix: "ACCA", body: base32, min: 16, max: 16, word: true},
	{issuer: "AWS", prefix: "AKIA", body: base32, min: 16, max: 16, word: true},
	{issuer: "AWS", prefix: "ASIA", body: base32, min: 16, max: 16, word: true},
	{issuer: "Azure", prefix: "AccountKey=", body: base64s, min: 86},
	{issuer: "Azure", prefix: "SharedAccessKey=", body: base64s, min: 43},
	{issuer: "Brevo", prefix: "xkeysib-", body: hexDash, min: 64},
	{issuer: "Clojars", prefix: "CLOJARS_", body: alnum, min: 60},
	{issuer: "Contentful", prefix: "CFPAT-", body: wordDash, min: 43},
	{issuer: "Databricks", prefix: "dapi", body: hexDash, min: 32, max: 34, word: true},
	{issuer: "DigitalOcean", prefix: "doo_v1_", body: alnum, min: 64},
	{issuer: "DigitalOcean", prefix: "dop_v1_", body: alnum, min: 64},
	{issuer: "DigitalOcean", prefix: "dor_v1_", body: alnum, min: 64},
	{issuer: "Docker", prefix: "dckr_oat_", body: wordDash, min: 27},
	{issuer: "Docker", prefix: "dckr_pat_", body: wordDash, min: 27},
	{issuer: "Doppler", prefix: "dp.ct.", body: alnum, min: 40},
	{issuer: "Doppler", prefix: "dp.pt.", body: alnum, min: 40},
	{issuer: "Doppler", prefix: "dp.st.", body: dotted, min: 40},
	{issuer: "Dynatrace", prefix: "dt0c01.", body: dotted, min: 89},
	{issuer: "EasyPost", prefix: "EZAK", body: alnum, min: 54, max: 54, word: true},
	{issuer: "EasyPost", prefix: "EZTK", body: alnum, min: 54, max: 54, word: true},
	{issuer: "Figma", prefix: "figd_", body: wordDash, min: 40},
	{issuer: "Flutterwave", prefix: "FLWSECK-", body: slackish, min: 32},
	{issuer: "Flutterwave", prefix: "FLWSECK_TEST-", body: slackish, min: 12},
	{issuer: "Fly.io", prefix: "fo1_", body: wordDash, min: 43},
	{issuer: "Fly.io", prefix: "fm1a_", body: base64s, min: 100},
	{issuer: "Fly.io", prefix: "fm1r_", body: base64s, min: 100},
	{issuer: "Fly.io", prefix: "fm2_", body: base64s, min: 100},
	{issuer: "Google", prefix: "AIza", body: wordDash, min: 35, max: 35, word: true},
	{issuer: "Google", prefix: "GOCSPX-", body: wordDash, min: 28},
	{issuer: "Google", prefix: "ya29.", body: wordDash, min: 30, word: true},
	{issuer: "GitHub", prefix: "ghp_", body: alnum, min: 36},
	{issuer: "GitHub", prefix: "gho_", body: alnum, min: 36},
	{issuer: "GitHub", prefix: "ghu_", body: alnum, min: 36},
	{issuer: "GitHub", prefix: "ghs_", body: dotted, min: 36},
	{issuer: "GitHub", prefix: "ghr_", body: alnum, min: 36},
	{issuer: "GitHub", prefix: "github_pat_", body: word, min: 22},
	{issuer: "GitLab", prefix: "glagent-", body: wordDash, min: 20},
	{issuer: "GitLab", prefix: "glcbt-", body: wordDash, min: 20},
	{issuer: "GitLab", prefix: "gldt-", body: wordDash, min: 20},
	{issuer: "GitLab", prefix: "glffct-", body: wordDash, min: 20},
	{issuer: "GitLab", prefix: "glft-", body: wordDash, min: 20},
	{issuer: "GitLab", prefix: "glimt-", body: wordDash, min: 20},
	{issuer: "GitLab", prefix: "gloas-", body: wordDash, min: 20},
	{issuer: "GitLab", prefix: "glpat-", body: dotted, min: 20},
	{issuer: "GitLab", prefix: "glptt-", body: wordDash, min: 20},
	{issuer: "GitLab", prefix: "glrt-", body: dotted, min: 20},
	{issuer: "GitLab", prefix: "glsoat-", body: wordDash, min: 20},
	{issuer: "GitLab", prefix: "GR1348941", body: wordDash, min: 20},
	{issuer: "Grafana", prefix: "glc_eyJ", body: base64s, min: 32},
	{issuer: "Grafana", prefix: "glsa_", body: word, min: 41},
	{issuer: "Groq", prefix: "gsk_", body: alnum, min: 48},
	{issuer: "HashiCorp", prefix: "hvb.", body: wordDash, min: 24, word: true},
	{issuer: "HashiCorp", prefix: "hvr.", body: wordDash, min: 24, word: true},
	{issuer: "HashiCorp", prefix: "hvs.", body: wordDash, min: 24, word: true},
	{issuer: "HashiCorp", prefix: ".atlasv1.", body: dotted, min: 60},
	{issuer: "Heroku", prefix: "HRKU-", body: wordDash, min: 36},
	{issuer: "Hugging Face", prefix: "api_org_", body: alnum, min: 34},
	{issuer: "Hugging Face", prefix: "hf_", body: alnum, min: 34, word: true},
	{issuer: "Linear", prefix: "lin_api_", body: alnum, min: 40},
	{issuer: "Linear", prefix: "lin_oauth_", body: alnum, min: 40},
	{issuer: "Mailgun", prefix: "key-", body: hex, min: 32, max: 32, word: true},
	{issuer: "Netlify", prefix: "nfp_", body: alnum, min: 36},
	{issuer: "New Relic", prefix: "NRAK-", body: alnum, min: 27},
	{issuer: "New Relic", prefix: "NRII-", body: wordDash, min: 32},
	{issuer: "New Relic", prefix: "NRJS-", body: alnum, min: 19},
	{issuer: "Notion", prefix: "ntn_", body: alnum, min: 40},
	{issuer: "npm", prefix: "npm_", body: alnum, min: 36},
	{issuer: "NuGet", prefix: "oy2", body: alnum, min: 43, max: 43, word: true},
	{issuer: "Octopus Deploy", prefix: "API-", body: alnum, min: 26, max: 26, word: true},
	{issuer: "OpenAI", prefix: "sk-", body: alnum, min: 32, word: true, check: hasDigit},
	{issuer: "OpenAI", prefix: "sk-admin-", body: wordDash, min: 20},
	{issuer: "OpenAI", prefix: "sk-proj-", body: wordDash, min: 20},
	{issuer: "OpenAI", prefix: "sk-svcacct-", body: wordDash, min: 20},
	{issuer: "OpenRouter", prefix: "sk-or-v1-", body: alnum, min: 32},
	{issuer: "Perplexity", prefix: "pplx-", body: alnum, min: 40},
	{issuer: "PlanetScale", prefix: "pscale_oauth_", body: dotted, min: 32},
	{issuer: "PlanetScale", prefix: "pscale_pw_", body: dotted, min: 32},
	{issuer: "PlanetScale", prefix: "pscale_tkn_", body: dotted, min: 32},
	{issuer: "Postman", prefix: "PMAK-", body: hexDash, min: 59},
	{issuer: "Prefect", prefix: "pnu_", body: alnum, min: 36},
	{issuer: "Pulumi", prefix: "pul-", body: alnum, min: 40, word: true},
	{issuer: "PyPI", prefix: "pypi-AgE", body: wordDash, min: 50},
	{issuer: "ReadMe", prefix: "rdme_", body: alnum, min: 70},
	{issuer: "Replicate", prefix: "r8_", body: alnum, min: 37, max: 37, word: true},
	{issuer: "RubyGems", prefix: "rubygems_", body: alnum, min: 48},
	{issuer: "SendGrid", prefix: "SG.", body: dotted, min: 66, max: 66, word: true},
	{issuer: "Sentry", prefix: "sntrys_", body: dotted, min: 60},
	{issuer: "Sentry", prefix: "sntryu_", body: alnum, min: 64},
	{issuer: "Shopify", prefix: "shpat_", body: alnum, min: 32},
	{issuer: "Shopify", prefix: "shpca_", body: alnum, min: 32},
	{issuer: "Shopify", prefix: "shppa_", body: alnum, min: 32},
	{issuer: "Shopify", prefix: "shpss_", body: alnum, min: 32},
	{issuer: "Slack", prefix: "hooks.slack.com/services/", body: base64p, min: 30},
	{issuer: "Slack", prefix: "hooks.slack.com/triggers/", body: base64p, min: 30},
	{issuer: "Slack", prefix: "hooks.slack.com/workflows/", body: base64p, min: 30},
	{issuer: "Slack", prefix: "xapp-", body: slackish, min: 20},
	{issuer: "Slack", prefix: "xoxa-", body: slackish, min: 10},
	{issuer: "Slack", prefix: "xoxb-", body: slackish, min: 10},
	{issuer: "Slack", prefix: "xoxc-", body: slackish, min: 10},
	{issuer: "Slack", prefix: "xoxd-", body: withEscapes(slackish), min: 10},
	{issuer: "Slack", prefix: "xoxe-", body: slackish, min: 10},
	{issuer: "Slack", prefix: "xoxe.xox", body: slackish, min: 10},
	{issuer: "Slack", prefix: "xoxo-", body: slackish, min: 10},
	{issuer: "Slack", prefix: "xoxp-", body: slackish, min: 10},
	{issuer: "Slack", prefix: "xoxr-", body: slackish, min: 10},
	{issuer: "Slack", prefix: "xoxs-", body: slackish, min: 10},
	{issuer: "Sourcegraph", prefix: "sgp_", body: word, min: 40},
	{issuer: "Square", prefix: "EAAA", body: wordDash, min: 60, max: 60, word: true},
	{issuer: "Square", prefix: "sq0atp-", body: wordDash, min: 22},
	{issuer: "Square", prefix: "sq0csp-", body: wordDash, min: 43},
	{issuer: "Stripe", prefix: "rk_live_", body: alnum, min: 10},
	{issuer: "Stripe", prefix: "rk_prod_", body: alnum, min: 10},
	{issuer: "Stripe", prefix: "rk_test_", body: alnum, min: 10},
	{issuer: "Stripe", prefix: "sk_live_", body: alnum, min: 10},
	{issuer: "Stripe", prefix: "sk_prod_", body: alnum, min: 10},
	{issuer: "Stripe", prefix: "sk_test_", body: alnum, min: 10},
	{issuer: "Stripe", prefix: "whsec_", body: base64s, min: 24},
	{issuer: "Supabase", prefix: "sb_secret_", body: wordDash, min: 20},
	{issuer: "Supabase", prefix: "sbp_", body: word, min: 40},
	{issuer: "Tailscale", prefix: "tskey-", body: wordDash, min: 20},
	{issuer: "Twilio", prefix: "SK", body: hex, min: 32, max: 32, word: true},
	{issuer: "Typeform", prefix: "tfp_", body: dotted, min: 40},
	{issuer: "xAI", prefix: "xai-", body: alnum, min: 60, word: true},
}

// Issuers lists whose credentials cloud_keys finds, sorted.
func Issuers() []string {
	names := []string{"Sallyport"}
	for _, m := range marks {
		names = append(names, m.issuer)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (s *Set) addCloudKeys() {
	for i := range marks {
		m := &marks[i]
		s.add(m.anchor(), m.judge)
	}
	for _, name := range []string{"ecret_access_key", "ECRET_ACCESS_KEY", "ecretAccessKey"} {
		s.add(literal(name), awsSecret(len(name)))
	}
	s.add(literal("sp_"), sallyportKey)
	// An Azure client secret has its mark, a digit and Q~, behind three others.
	any := tilde.String()
	s.add([]string{any, any, any, digits, "Q", "~"}, azureSecret)
}

// anchor is the prefix and what may follow it.
func (m *mark) anchor() []string { return append(literal(m.prefix), m.body.String()) }

func (m *mark) judge(b []byte, from, at int, final bool) (Match, verdict) {
	start := at + len(m.prefix)
	limit := m.max + 1
	if m.max == 0 {
		limit = m.min
	}
	n := m.body.run(b, start, limit)
	end := start + n
	find := Match{Start: at, End: end, Detector: CloudKeys}
	switch {
	case m.word && wordBefore(b, at):
		return find, no
	case n < limit && end == len(b) && !final:
		return find, more
	case n < m.min || m.max > 0 && n > m.max:
		return find, no
	case m.max > 0 && end < len(b) && word[b[end]]:
		return find, no
	case m.check != nil && !m.check(b[start:start+m.min]):
		return find, no
	}
	if m.max == 0 {
		find.more = m.body
		find.End += m.body.run(b, end, len(b))
	}
	return find, yes
}

func hasDigit(body []byte) bool {
	return slices.ContainsFunc(body, func(c byte) bool { return digit[c] })
}

func withEscapes(c *class) *class {
	wider := *c
	wider['%'] = true
	return &wider
}

// awsSecret decides the secret behind its name, as in
// aws_secret_access_key = …: the secret itself has no mark. It is open ended
// in neither direction.
func awsSecret(name int) func([]byte, int, int, bool) (Match, verdict) {
	const gap, size = 16, 40
	return func(b []byte, from, at int, final bool) (Match, verdict) {
		start := at + name
		for start < len(b) && start-at-name < gap && !base64p[b[start]] {
			start++
		}
		n := base64p.run(b, start, size+1)
		find := Match{Start: at, End: start + n, Detector: CloudKeys}
		if n <= size && start+n == len(b) && !final {
			return find, more
		}
		if n != size {
			return find, no
		}
		find.Start = start
		return find, yes
	}
}

// azureSecret decides the client secret at b[at:], of which the first six
// characters are right.
func azureSecret(b []byte, from, at int, final bool) (Match, verdict) {
	const mark, min, max = 6, 31, 34
	n := tilde.run(b, at+mark, max+1)
	find := Match{Start: at, End: at + mark + n, Detector: CloudKeys}
	switch {
	case n <= max && find.End == len(b) && !final:
		return find, more
	case n < min || n > max:
		return find, no
	}
	return find, yes
}

// sallyportKey decides the key of this gateway at b[at:]: sp_, an id, a secret of
// 32 characters and a checksum of 7.
func sallyportKey(b []byte, from, at int, final bool) (Match, verdict) {
	find := Match{Start: at, End: at + 3, Detector: CloudKeys}
	if wordBefore(b, at) {
		return find, no
	}
	for i, part := range [...]struct{ min, max int }{{1, 32}, {32, 32}, {7, 7}} {
		if i > 0 {
			if find.End == len(b) {
				return find, undecided(final)
			}
			if b[find.End] != '_' {
				return find, no
			}
			find.End++
		}
		n := lowerAlnum.run(b, find.End, part.max+1)
		find.End += n
		if n <= part.max && find.End == len(b) && !final {
			return find, more
		}
		if n < part.min || n > part.max {
			return find, no
		}
	}
	return find, yes
}
