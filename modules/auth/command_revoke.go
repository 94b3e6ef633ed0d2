package auth

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/modules/internal/command"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/revocation"
	"github.com/sallyport-gateway/sallyport/modules/internal/store"
)

func init() { command.Register(newRevokeCommand) }

// newRevokeCommand is `caddy sallyport revoke`.
func newRevokeCommand() *cobra.Command {
	cmd := command.Group(&cobra.Command{
		Use:   "revoke",
		Short: "Revoke tokens before they expire",
		Long: `Put tokens on, and take them off, a list of those that were revoked: the file of a
` + "`revocation`" + ` block of auth, or the list in the store of a configuration.

Running gateways refuse what is on it within about a second; no reload is needed.
The store has digests of names, no names.`,
	})
	cmd.AddCommand(newRevokeAddCommand(), newRevokeRemoveCommand(), newRevokeListCommand())
	return cmd
}

// listFlags say where the list is.
type listFlags struct {
	file, config, adapter string
}

func (l *listFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&l.file, "file", "", "the `FILE` with the revocations; one of --file and --config is needed")
	f.StringVarP(&l.config, "config", "c", "", "the configuration `FILE` in whose store the revocations are")
	f.StringVarP(&l.adapter, "adapter", "a", "", "the `NAME` of its adapter (default: caddyfile for a Caddyfile)")
}

func (l *listFlags) check() error {
	switch {
	case (l.file == "") == (l.config == ""):
		return errors.New("one of --file and --config is needed")
	case l.adapter != "" && l.config == "":
		return errors.New("--adapter is that of --config")
	}
	return nil
}

// change reads what the flags name and has it changed where they say.
func (l *listFlags) change(cmd *cobra.Command, what *recordFlags, inFile func(string, revocation.Record) error,
	inStore func(context.Context, store.Revocations, store.Revocation) error,
) (revocation.Record, error) {
	record, err := what.read(cmd, time.Now())
	if err := errors.Join(l.check(), err); err != nil {
		return record, err
	}
	if l.file != "" {
		return record, inFile(l.file, record)
	}
	return record, l.inStore(cmd, func(ctx context.Context, list store.Revocations) error { return inStore(ctx, list, record.Entry()) })
}

// recordFlags say what is revoked.
type recordFlags struct {
	record             revocation.Record
	before, until      string
	token, by, comment string
}

func (r *recordFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&r.record.Issuer, "issuer", "", "the `ISSUER` of the tokens: iss; * with --issued-before alone is every issuer")
	f.StringVar(&r.record.JTI, "jti", "", "the token with this `ID`")
	f.StringVar(&r.record.Sub, "sub", "", "the tokens of this `SUBJECT`: sub, or the principal's id")
	f.StringVar(&r.record.SID, "sid", "", "the tokens of this `SESSION`")
	f.StringVar(&r.before, "issued-before", "", "the tokens issued before `WHEN`: now or a moment (RFC 3339); alone or with --sub")
	f.StringVar(&r.token, "token", "", "take the issuer and the name from a token on stdin: `-`")
	f.StringVar(&r.by, "by", "jti", "which `CLAIM` of --token: jti, sub or sid")
}

// read makes a record of the flags.
func (r *recordFlags) read(cmd *cobra.Command, now time.Time) (revocation.Record, error) {
	record := r.record
	var errs []error
	if r.before == "now" {
		record.IssuedBefore = now.UTC()
	} else if r.before != "" {
		t, err := time.Parse(time.RFC3339, r.before)
		if err != nil {
			errs = append(errs, fmt.Errorf("--issued-before: %q is neither now nor a moment such as 2027-01-01T00:00:00Z", r.before))
		}
		record.IssuedBefore = t.UTC()
	}
	until, err := parseMoment(r.until, now)
	if err != nil {
		errs = append(errs, fmt.Errorf("--until: %w", err))
	}
	record.Until, record.Reason = until, r.comment
	if r.token != "" {
		errs = append(errs, r.fromToken(cmd.InOrStdin(), &record))
	}
	if err := errors.Join(errs...); err != nil {
		return record, err
	}
	return record, record.Check()
}

// fromToken takes the issuer, a name and, with a jti, the end from a token. Nothing is
// verified: the list may have names that no good token has.
func (r *recordFlags) fromToken(stdin io.Reader, record *revocation.Record) error {
	if r.token != standardInput {
		return errors.New("--token takes - only: what is on a command line, others can read") // and it is not repeated here
	}
	if record.Issuer != "" || record.JTI != "" || record.Sub != "" || record.SID != "" {
		return errors.New("--token stands instead of --issuer, --jti, --sub and --sid")
	}
	text, err := io.ReadAll(io.LimitReader(stdin, 1<<20))
	if err != nil {
		return err
	}
	claims, err := unverifiedClaims(string(text))
	if err != nil {
		return err
	}
	record.Issuer, _ = claims["iss"].(string)
	name := ""
	switch v := claims[r.by].(type) {
	case string:
		name = v
	case json.Number:
		name = v.String()
	}
	if name == "" {
		return fmt.Errorf("the token has no %s: choose another of jti, sub and sid with --by", r.by)
	}
	switch r.by {
	case "jti":
		record.JTI = name
		if exp, ok := claims["exp"].(json.Number); ok && record.Until.IsZero() {
			if seconds, err := exp.Float64(); err == nil && seconds > 0 && seconds < 1e11 {
				record.Until = time.Unix(int64(seconds)+1, 0).UTC()
			}
		}
	case "sub":
		record.Sub = name
	case "sid":
		record.SID = name
	default:
		return errors.New("--by is not jti, sub or sid")
	}
	return nil
}

// unverifiedClaims reads the claims of a token, which may have the word Bearer in
// front. Errors show nothing of it.
func unverifiedClaims(text string) (map[string]any, error) {
	text = strings.TrimSpace(text)
	if word, rest, ok := strings.Cut(text, " "); ok && strings.EqualFold(word, "Bearer") {
		text = strings.TrimSpace(rest)
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, errors.New("stdin is not a token of three parts")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, errors.New("the token's claims are not base64url")
	}
	claims, err := jwt.Object(payload)
	if err != nil {
		return nil, errors.New("the token's claims are not a JSON object without repeated members")
	}
	return claims, nil
}

func newRevokeAddCommand() *cobra.Command {
	var (
		at   listFlags
		what recordFlags
	)
	cmd := &cobra.Command{
		Use:   "add (--file FILE | --config FILE) --issuer ISSUER (--jti ID | --sub SUBJECT | --sid SESSION | --issued-before WHEN)",
		Short: "Revoke tokens",
		Example: `  caddy sallyport revoke add --config Caddyfile --token - < token
  caddy sallyport revoke add --file revoked.json --issuer https://issuer.example --sub alice --issued-before now --until 12h`,
		Long: `Put a revocation on a list. --until is when the last of the tokens has expired: then it
is dropped by itself. Without it, it stays until it is taken off; that of a token
from stdin ends with the token.

--issued-before is compared with the issuer's clock: name a later moment if that may
be ahead. Tokens that do not say when they were issued are refused, too.`,
		Args: noToken,
		RunE: func(cmd *cobra.Command, _ []string) error {
			record, err := at.change(cmd, &what, revocation.Add, func(ctx context.Context, list store.Revocations, e store.Revocation) error {
				return list.Revoke(ctx, e)
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Revoked%s.\n", ending(record))
			return err
		},
	}
	at.flags(cmd)
	what.flags(cmd)
	cmd.Flags().StringVar(&what.until, "until", "", "`WHEN` the tokens have expired: a duration such as 12h or a moment (RFC 3339)")
	cmd.Flags().StringVar(&what.comment, "reason", "", "`TEXT` for people, at most 200 bytes; the store has it as it is")
	return cmd
}

// noToken refuses arguments without repeating them, as cobra.NoArgs would: into the
// logs of who runs it.
func noToken(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return errors.New("there are options only: a token comes from stdin, with --token -")
	}
	return nil
}

func ending(r revocation.Record) string {
	if r.Until.IsZero() {
		return ", until it is taken off the list"
	}
	return " until " + r.Until.Format(time.RFC3339)
}

func newRevokeRemoveCommand() *cobra.Command {
	var (
		at   listFlags
		what recordFlags
	)
	cmd := &cobra.Command{
		Use:   "remove (--file FILE | --config FILE) --issuer ISSUER (--jti ID | --sub SUBJECT | --sid SESSION | --issued-before WHEN)",
		Short: "Take a revocation back",
		Long: `Take a revocation off a list. It is named as when it was added; of --issued-before the
moment does not matter.`,
		Args: noToken,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := at.change(cmd, &what, revocation.Remove, func(ctx context.Context, list store.Revocations, e store.Revocation) error {
				return unrevoke(ctx, list, e.ID)
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "Taken off the list.")
			return err
		},
	}
	at.flags(cmd)
	what.flags(cmd)
	return cmd
}

// unrevoke takes an entry off the list, if it is there.
func unrevoke(ctx context.Context, list store.Revocations, id string) error {
	found := false
	err := everyEntry(ctx, list, func(e store.Revocation) { found = found || e.ID == id && !e.Removed })
	if err != nil {
		return err
	}
	if !found {
		return revocation.ErrNotRevoked
	}
	return list.Unrevoke(ctx, id)
}

func everyEntry(ctx context.Context, list store.Revocations, f func(store.Revocation)) error {
	var at store.Position
	for {
		p, err := list.Revoked(ctx, at, store.MostAtOnce)
		if err != nil {
			return err
		}
		for _, e := range p.Entries {
			f(e)
		}
		if at = p.Next; p.Complete {
			return nil
		}
	}
}

// listedRevocation is one for a program to read. That of a store has an ID and no names.
type listedRevocation struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`
	revocation.Record
}

func newRevokeListCommand() *cobra.Command {
	var (
		at     listFlags
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "list (--file FILE | --config FILE)",
		Short: "List what is revoked",
		Long:  "List what is revoked. The store does not know the names of tokens and subjects: it lists digests.",
		Args:  noToken,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := at.list(cmd)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), map[string]any{"revocations": list})
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "ID\tKIND\tISSUER\tNAME\tISSUED BEFORE\tUNTIL\tREASON")
			for _, r := range list {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Kind, shown(r.Issuer), shown(cmp.Or(r.JTI, r.Sub, r.SID)),
					moment(r.IssuedBefore), moment(r.Until), cmp.Or(r.Reason, "-"))
			}
			return t.Flush()
		},
	}
	at.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// shown is a name on a terminal, which tokens can choose.
func shown(name string) string {
	if name == "" {
		return "-"
	}
	if quoted := fmt.Sprintf("%q", name); quoted[1:len(quoted)-1] != name {
		return quoted
	}
	return name
}

func (l *listFlags) list(cmd *cobra.Command) (list []listedRevocation, err error) {
	list = []listedRevocation{}
	if err := l.check(); err != nil {
		return nil, err
	}
	if l.file != "" {
		records, err := revocation.List(l.file)
		for _, r := range records {
			id := r.Entry().ID
			list = append(list, listedRevocation{id, revocation.KindOf(id), r})
		}
		return list, err
	}
	err = l.inStore(cmd, func(ctx context.Context, from store.Revocations) error {
		return everyEntry(ctx, from, func(e store.Revocation) {
			if !e.Removed {
				list = append(list, listedRevocation{e.ID, revocation.KindOf(e.ID), revocation.Record{Until: at(e.Until), IssuedBefore: at(e.Before), Reason: e.Reason}})
			}
		})
	})
	return list, err
}

func at(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}
