package app

import (
	"fmt"
	"io"
	"os"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/caddyfile/order"
	"github.com/sallyport-gateway/sallyport/modules/app/policy"
	"github.com/sallyport-gateway/sallyport/modules/internal/command"
)

func init() {
	command.Register(newLintCommand)
}

func newLintCommand() *cobra.Command {
	var (
		from   source
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "lint [--config FILE]",
		Short: "Find what a configuration most likely should not have",
		Long: `Find what a configuration most likely should not have, though it is valid.

The exit code is 0 if there is nothing, 2 if there is something, and 1 if the
configuration could not be looked at. What is right in your network is waived on
its line of the Caddyfile, or above it, with the reason:

  reverse_proxy 10.0.2.10:8080 # lint:ignore upstream-plain the mesh encrypts

Rules:
  guard-bypassed       a guard stands behind what answers already
  no-auth              a backend behind a balancer, and nothing asks who calls
  auth-optional        a backend behind an auth that is optional, without rules
  upstream-plain       a backend on another machine, without TLS or an assertion
  upstream-unverified  TLS that takes any certificate
  cors-reflected       CORS headers that let every page call with credentials
  inline-secret        a credential in the configuration itself
  admin-open           an admin endpoint that other machines reach
  config-persisted     a sealed configuration that is saved on disk
  drain-timing         an exit too short for probes or too long to be waited for
  log-unredacted       a log without redaction, or with credentials
  proxies-wide         too many are believed about the client's address
  servers-lost         a servers block whose address no server has`,
		Args: cobra.NoArgs,
	}
	cmd.RunE = exitCode(func() (int, error) {
		config, err := from.load()
		if err != nil {
			return exitFailed, err
		}
		written, err := from.read()
		if err != nil {
			return exitFailed, err
		}
		findings := policy.Lint(policy.Input{Config: config, Guards: guards(), Source: written})
		return reportFindings(cmd.OutOrStdout(), findings, asJSON)
	})
	from.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON, waived ones too")
	return cmd
}

// guards are the directives that a request has to come through.
func guards() []string {
	var names []string
	for _, entry := range order.Table {
		if entry.Directive != "health" && entry.Directive != "problem" {
			names = append(names, entry.Directive)
		}
	}
	return names
}

func reportFindings(out io.Writer, findings []policy.Finding, asJSON bool) (int, error) {
	code, waived := exitNothing, 0
	for _, f := range findings {
		if f.Waived != "" {
			waived++
			continue
		}
		code = exitFound
	}
	if asJSON {
		if findings == nil {
			findings = []policy.Finding{}
		}
		return code, writeJSON(out, findings)
	}
	for _, f := range findings {
		if f.Waived != "" {
			continue
		}
		at := f.Position
		if at == "" {
			at = f.Path
		}
		if _, err := fmt.Fprintf(out, "%s: %s: %s: %s; %s\n", at, f.Severity, f.Rule, f.Reason, f.Remedy); err != nil {
			return exitFailed, err
		}
	}
	_, err := fmt.Fprintf(out, "%d found, %d waived\n", len(findings)-waived, waived)
	return code, err
}

// read returns the Caddyfile of a configuration, nil if it is in another format or
// came from stdin. load has to be called before.
func (s *source) read() (*policy.Source, error) {
	if s.adapted != "caddyfile" || s.file == "-" {
		return nil, nil
	}
	content, err := os.ReadFile(s.file)
	if err != nil {
		return nil, err
	}
	blocks, err := caddyfile.Parse(s.file, content)
	if err != nil {
		return nil, err
	}
	read := &policy.Source{Files: map[string]string{s.file: string(content)}}
	for _, block := range blocks {
		var words []policy.Word
		for _, segment := range block.Segments {
			for _, token := range segment {
				words = append(words, policy.Word{File: token.File, Line: token.Line, Text: token.Text})
				if _, known := read.Files[token.File]; !known {
					imported, err := os.ReadFile(token.File)
					if err != nil {
						return nil, err
					}
					read.Files[token.File] = string(imported)
				}
			}
		}
		if len(block.Keys) == 0 {
			read.Global = append(read.Global, words...)
			continue
		}
		site := policy.Site{Words: words}
		for _, key := range block.Keys {
			address, err := httpcaddyfile.ParseAddress(key.Text)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", key.File, key.Line, err)
			}
			site.Addresses = append(site.Addresses, policy.Address{
				Word: policy.Word{File: key.File, Line: key.Line, Text: key.Text}, Host: address.Host, Port: address.Port,
			})
		}
		read.Sites = append(read.Sites, site)
	}
	return read, nil
}
