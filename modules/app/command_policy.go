package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/modules/app/policy"
	"github.com/sallyport-gateway/sallyport/modules/internal/command"
)

func init() {
	command.Register(newDigestCommand)
	command.Register(newDriftCommand)
}

// The exit codes of commands that look for something.
const (
	exitNothing = 0
	exitFailed  = 1 // it could not look
	exitFound   = 2
)

// source are the flags that name a configuration.
type source struct {
	file, adapter string
	adapted       string // the adapter that it took, "" for JSON
}

func (s *source) flags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&s.file, "config", "c", "", "the configuration `FILE` (default: ./Caddyfile)")
	cmd.Flags().StringVarP(&s.adapter, "adapter", "a", "", "the `NAME` of its adapter (default: caddyfile for a Caddyfile)")
}

// load adapts the configuration and reads it.
func (s *source) load() (config any, err error) {
	var text []byte
	text, s.file, s.adapted, err = caddycmd.LoadConfig(s.file, s.adapter)
	if err != nil {
		return nil, err
	}
	if len(text) == 0 {
		return nil, errors.New("there is no configuration: name one with --config")
	}
	return config, json.Unmarshal(text, &config)
}

// digest returns the digest of the configuration and warns of files that it may
// lack.
func (s *source) digest(warnings io.Writer) (policy.Digest, error) {
	config, err := s.load()
	if err != nil {
		return policy.Digest{}, err
	}
	for _, name := range policy.Overlooked(config) {
		fmt.Fprintf(warnings, "warning: the configuration names %s, which the digest does not count: it is not known to be part of the policy\n", name)
	}
	d := policy.Compute(config, fileName)
	return d, d.Err()
}

func newDigestCommand() *cobra.Command {
	var (
		from   source
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "digest [--config FILE]",
		Short: "Print the digest of a policy",
		Long: `Print the SHA-256 digest of a configuration and of the files it names.

It is the one that a gateway with this configuration has in its metric
sallyport_policy_info, in its log and, for whom ` + "`health { details }`" + ` names, at
/readyz. Run it with the same environment and, for relative names, in a folder
with the same files.

Lists of addresses, keys of issuers, certificates of trusted authorities and
OpenAPI documents count. API keys, secrets and certificates of sites do not:
they are replaced while a gateway runs.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := from.digest(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), d)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), d.Digest)
			return err
		},
	}
	from.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the parts as JSON")
	return cmd
}

func newDriftCommand() *cobra.Command {
	var (
		from    source
		want    string
		targets []string
		timeout time.Duration
		asJSON  bool
	)
	cmd := &cobra.Command{
		Use:   "drift (--config FILE | --digest DIGEST) --targets URL,…",
		Short: "Compare running gateways with a policy",
		Long: `Ask gateways which policy is in force and compare it with a configuration.

A target is the URL of a gateway's /readyz, which has to name this machine in
` + "`health { details }`" + `, or of its metrics. The exit code is 0 if all run the
policy, 2 if one runs another or does not say, and 1 if nothing was compared.`,
		Example: `  caddy sallyport drift --config Caddyfile --targets http://10.0.1.11:8081/readyz,http://10.0.1.12:8081/readyz`,
		Args:    cobra.NoArgs,
	}
	cmd.RunE = exitCode(func() (int, error) {
		var urls []*url.URL
		var errs []error
		for _, text := range targets {
			u, err := policy.ParseTarget(text)
			urls, errs = append(urls, u), append(errs, err)
		}
		switch {
		case len(targets) == 0:
			errs = append(errs, errors.New("--targets is needed"))
		case timeout <= 0:
			errs = append(errs, errors.New("--timeout has to be positive"))
		case want != "" && (from.file != "" || from.adapter != ""):
			errs = append(errs, errors.New("--digest and --config exclude each other"))
		case want != "" && !policy.IsDigest(want):
			errs = append(errs, errors.New("--digest is not what `caddy sallyport digest` prints"))
		}
		if err := errors.Join(errs...); err != nil {
			return exitFailed, err
		}
		if want == "" {
			d, err := from.digest(cmd.ErrOrStderr())
			if err != nil {
				return exitFailed, err
			}
			want = d.Digest
		}
		return reportDrift(cmd, urls, want, timeout, asJSON)
	})
	from.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&want, "digest", "", "the `DIGEST` to compare with, instead of a configuration")
	f.StringSliceVar(&targets, "targets", nil, "the `URL`s of the gateways, with commas between them or repeated")
	f.DurationVar(&timeout, "timeout", 5*time.Second, "how long one gateway may take")
	f.BoolVar(&asJSON, "json", false, "print the answers as JSON")
	return cmd
}

func reportDrift(cmd *cobra.Command, targets []*url.URL, want string, timeout time.Duration, asJSON bool) (int, error) {
	answers := policy.Ask(cmd.Context(), &http.Client{Timeout: timeout}, targets, want)
	code := exitNothing
	for _, answer := range answers {
		if answer.State != policy.StateSame {
			code = exitFound
		}
	}
	out := cmd.OutOrStdout()
	if asJSON {
		return code, writeJSON(out, map[string]any{"digest": want, "gateways": answers})
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "policy\t%s\t\n", want)
	for _, answer := range answers {
		fmt.Fprintf(table, "%s\t%s\t%s\n", answer.State, answer.Target, answer.Digest+answer.Error)
	}
	return code, table.Flush()
}

// exitCode makes what returns an exit code a cobra command: Caddy's own type for
// it is not exported.
func exitCode(run func() (int, error)) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		code, err := run()
		if err != nil || code == exitNothing {
			return err
		}
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return code, nil })(cmd, args)
	}
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
