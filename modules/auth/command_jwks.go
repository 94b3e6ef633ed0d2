package auth

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/modules/internal/command"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwks"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
)

func init() {
	command.Register(newJWKSCommand)
}

// maxAnswer bounds what is read of a gateway's answer.
const maxAnswer = 16 << 20

// newJWKSCommand is `caddy sallyport jwks`.
func newJWKSCommand() *cobra.Command {
	var (
		address, file, adapter string
		asJSON                 bool
	)
	cmd := &cobra.Command{
		Use:   "jwks [--address ADDRESS | --config FILE]",
		Short: "Show the key sets of the running gateway",
		Long: `Show where the running gateway has the keys of issuers from: which keys are in
force, how old they are, when they are fetched next, why the last fetch failed and
when they become too old to be used.

It asks the gateway's admin endpoint, GET ` + jwksPath + `.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			admin, err := caddycmd.DetermineAdminAPIAddress(address, nil, file, adapter)
			if err != nil {
				return err
			}
			answer, err := askJWKS(admin)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), answer)
			}
			return printJWKS(cmd.OutOrStdout(), answer.Sources, time.Now())
		},
	}
	f := cmd.Flags()
	f.StringVar(&address, "address", "", "the `ADDRESS` of the admin endpoint (default: the configuration's, or localhost:2019)")
	f.StringVarP(&file, "config", "c", "", "the configuration `FILE` that names the admin endpoint")
	f.StringVarP(&adapter, "adapter", "a", "", "the `NAME` of its adapter")
	f.BoolVar(&asJSON, "json", false, "print the answer as JSON")
	return cmd
}

func askJWKS(admin string) (jwksAnswer, error) {
	var answer jwksAnswer
	resp, err := caddycmd.AdminAPIRequest(admin, "GET", jwksPath, nil, nil)
	if err != nil {
		return answer, fmt.Errorf("asking the gateway: %w", err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&answer); err != nil {
		return answer, fmt.Errorf("the answer of the gateway: %w", err)
	}
	return answer, nil
}

func printJWKS(w io.Writer, sources []jwks.State, now time.Time) error {
	if len(sources) == 0 {
		_, err := fmt.Fprintln(w, "no source of keys")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i, s := range sources {
		if i > 0 {
			fmt.Fprintln(table)
		}
		printSource(table, s, now)
	}
	return table.Flush()
}

func printSource(w io.Writer, s jwks.State, now time.Time) {
	fmt.Fprintf(w, "%s\n", plain(s.Source))
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %s\t%s\n", name, value)
		}
	}
	row("kind", s.Kind)
	row("state", s.State)
	row("issuer", plain(s.Issuer))
	row("key set", plain(s.KeySet))
	if s.FetchedAt != nil {
		fetched := since(now, s.FetchedAt)
		if s.Stored {
			fetched += ", from the storage"
		}
		row("fetched", fetched)
	}
	row("stale", since(now, s.StaleAt))
	row("last attempt", since(now, s.LastAttempt))
	row("next fetch", since(now, s.NextFetch))
	row("last error", plain(s.LastError))
	if s.Kind != "file" {
		row("failures", strconv.Itoa(s.Failures))
		row("caused by tokens", strconv.Itoa(s.TokenFetches))
	}
	for _, k := range s.Keys {
		row("key", describeKey(k))
	}
	for _, reason := range s.NotUsed {
		row("not used", plain(reason))
	}
}

func describeKey(k jwt.KeyInfo) string {
	parts := []string{"kid " + plain(k.ID), k.Type, k.Size}
	if k.ID == "" {
		parts[0] = "no kid"
	}
	if k.Algorithm != "" {
		parts = append(parts, "alg "+plain(k.Algorithm))
	}
	if k.Use != "" {
		parts = append(parts, "use "+plain(k.Use))
	}
	return strings.Join(parts, ", ")
}

// since says when t is, seen from now.
func since(now time.Time, t *time.Time) string {
	if t == nil {
		return ""
	}
	when := t.Format(time.RFC3339)
	if d := now.Sub(*t).Round(time.Second); d >= 0 {
		return fmt.Sprintf("%s (%s ago)", when, d)
	}
	return fmt.Sprintf("%s (in %s)", when, t.Sub(now).Round(time.Second))
}

// plain quotes what could be more than text in a terminal: an issuer chooses it.
func plain(s string) string {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return strconv.QuoteToASCII(s)
		}
	}
	return s
}
