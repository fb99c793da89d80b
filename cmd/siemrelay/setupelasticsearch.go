package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch"
)

// Where the command finds a login when no file is named.
const (
	elasticKeyVariable      = "SIEMRELAY_ELASTICSEARCH_API_KEY"
	elasticPasswordVariable = "SIEMRELAY_ELASTICSEARCH_PASSWORD" //nolint:gosec // a name, not a password
)

func newSetupElasticsearch(std streams) *cobra.Command {
	s := &elasticSetup{std: std}
	cmd := &cobra.Command{
		Use:   "elasticsearch",
		Short: "Install templates, pipeline, retention and indices in Elasticsearch or OpenSearch",
		Long: `Installs what the output writes into: the component and index templates of the
data streams logs-defensecom.*-* and of the indices defensecom-latest-*, the ingest
pipeline that sets event.ingested, the retention, and the two latest indices. Data
streams that are there already get the fields, the pipeline and the retention too.

It may be repeated: what is as it should be stays untouched. It writes nothing at all
if one of the templates was installed by a newer siemrelay, or is not siemrelay's.
The component template defensecom@custom is yours: put settings and fields of your
own there (Elasticsearch only).

The cluster is that of --url, or of the configuration's output (--output, if there
are several), whose TLS settings and login it takes. A login with more rights than
the output's comes from --api-key-file or $` + elasticKeyVariable + `, or is a
user name with a password, from --password-file or $` + elasticPasswordVariable + `.

  siemrelay setup elasticsearch -c siemrelay.yaml --username elastic --password-file pw
  siemrelay setup elasticsearch --dry-run      # as requests for Kibana's console
  siemrelay setup elasticsearch --privileges   # who needs which

Exit codes: 0 done, 1 refused, 64 wrong usage, 69 the cluster is unavailable,
78 wrong configuration.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return s.run(cmd) },
	}
	configFlag(cmd, &s.config)
	f := cmd.Flags()
	f.StringVar(&s.output, "output", "", "`NAME` of the output in the configuration")
	f.StringArrayVar(&s.urls, "url", nil, "`URL` of a node, instead of a configuration")
	f.StringVar(&s.flavor, "flavor", "", "`PRODUCT`: auto, elasticsearch or opensearch")
	f.StringVar(&s.keyFile, "api-key-file", "", "`FILE` with the API key, as Kibana shows it or id:key")
	f.StringVar(&s.username, "username", "", "`NAME` of a user, instead of an API key")
	f.StringVar(&s.passwordFile, "password-file", "", "`FILE` with the user's password")
	f.StringVar(&s.caFile, "ca-file", "", "`FILE` (PEM) with the authority of the server's certificate")
	f.StringVar(&s.fingerprint, "fingerprint", "", "`SHA-256` of the server's certificate or of its authority's")
	f.StringVar(&s.retention, "retention", "365d", "`TIME` after which events are deleted, such as 90d; 0 keeps them")
	f.DurationVar(&s.timeout, "timeout", time.Minute, "`TIME` that one request may take")
	f.BoolVar(&s.dryRun, "dry-run", false, "print what it would install, and ask nobody")
	f.BoolVar(&s.privileges, "privileges", false, "print the roles that this command and the output need")
	return cmd
}

type elasticSetup struct {
	std                             streams
	config, output                  string
	urls                            []string
	flavor                          string
	keyFile, username, passwordFile string
	caFile, fingerprint             string
	retention                       string
	timeout                         time.Duration
	dryRun, privileges              bool
	meter                           *meter
}

// retentionForm is a time of Elasticsearch and of OpenSearch alike.
var retentionForm = regexp.MustCompile(`^[1-9][0-9]{0,5}[dh]$`)

func (s *elasticSetup) run(cmd *cobra.Command) error {
	o := elasticsearch.SetupOptions{Retention: s.retention, Done: s.tell}
	if s.retention == "0" || s.retention == "" {
		o.Retention = ""
	} else if !retentionForm.MatchString(s.retention) {
		return usageError(cmd, fmt.Errorf("--retention %q: it must be a number of days or hours, such as 90d or 48h, or 0", s.retention))
	}
	if s.privileges {
		s.printPrivileges()
		return nil
	}
	if s.dryRun && len(s.urls) == 0 && s.config == "" && os.Getenv("SIEMRELAY_CONFIG") == "" {
		s.urls = []string{"http://127.0.0.1:9200"} // nobody is asked
	}
	c, err := s.settings()
	if err != nil {
		return err
	}
	if s.dryRun {
		return s.print(c, o)
	}
	s.meter = terminalMeter(s.std.err)
	s.meter.wait("Asking the cluster")
	err = elasticsearch.Setup(cmd.Context(), c, o)
	s.meter.clear()
	return s.explain(cmd.Context(), err)
}

// settings are those of the output, with what the flags say.
func (s *elasticSetup) settings() (elasticsearch.Config, error) {
	c := elasticsearch.Default()
	if len(s.urls) > 0 {
		c.URLs = s.urls
	} else {
		from, err := s.configured()
		if err != nil {
			return c, &exitError{exitConfig, err}
		}
		c = *from
	}
	c.Timeout = s.timeout
	if s.flavor != "" {
		c.Flavor = s.flavor
	}
	if s.caFile != "" || s.fingerprint != "" {
		c.TLS.CAFile, c.TLS.Fingerprint = s.caFile, s.fingerprint
	}
	if err := s.login(&c); err != nil {
		return c, &exitError{exitUsage, err}
	}
	out, err := elasticsearch.New(c, elasticsearch.Options{})
	if err != nil { // what a configuration can't have any more, so it comes from the flags
		return c, &exitError{exitUsage, err}
	}
	return c, out.Close()
}

// configured finds the output in the configuration.
func (s *elasticSetup) configured() (*elasticsearch.Config, error) {
	cfg, path, err := loadConfig(s.config, configOptions())
	if err != nil {
		return nil, err
	}
	if cfg == nil {
		return nil, errors.New("there is no configuration file: name one with -c, or a node with --url")
	}
	var found []*elasticsearch.Config
	var names []string
	for _, out := range cfg.Outputs {
		if settings, ok := out.Settings.(*elasticsearch.Config); ok && (s.output == "" || s.output == out.Name) {
			found, names = append(found, settings), append(names, out.Name)
		}
	}
	switch {
	case len(found) == 0 && s.output != "":
		return nil, fmt.Errorf("%s has no output %q of the type elasticsearch", path, s.output)
	case len(found) == 0:
		return nil, fmt.Errorf("%s has no output of the type elasticsearch; name a node with --url", path)
	case len(found) > 1:
		return nil, fmt.Errorf("%s has several outputs of the type elasticsearch; choose with --output: %s", path, strings.Join(names, ", "))
	}
	return found[0], nil
}

// login takes the login of the flags or of the environment, if there is one.
func (s *elasticSetup) login(c *elasticsearch.Config) error {
	key, err := elasticSecret(s.keyFile, elasticKeyVariable)
	if err != nil {
		return err
	}
	password, err := elasticSecret(s.passwordFile, elasticPasswordVariable)
	if err != nil {
		return err
	}
	switch {
	case s.keyFile != "" && s.username != "":
		return errors.New("--api-key-file and --username don't go together")
	case s.username != "":
		c.APIKey, c.Username, c.Password = config.Secret{}, s.username, password
		if !password.IsSet() {
			return errors.New("--username needs --password-file, or $" + elasticPasswordVariable)
		}
	case key.IsSet():
		c.APIKey, c.Username, c.Password = key, "", config.Secret{}
	}
	return nil
}

// elasticSecret reads a secret from a file, else from the environment.
func elasticSecret(file, variable string) (config.Secret, error) {
	if file != "" {
		secret, err := config.NewSecretFile(file, config.Options{})
		if err != nil {
			return secret, fmt.Errorf("read the login: %w", err)
		}
		return secret, nil
	}
	if value := os.Getenv(variable); value != "" {
		return config.NewSecret(value), nil
	}
	return config.Secret{}, nil
}

func (s *elasticSetup) tell(step elasticsearch.Step) {
	s.meter.clear()
	fmt.Fprintf(s.std.out, "%-10s %s %s\n", step.Action, step.Kind, printable(step.Name))
	if step.Note != "" {
		fmt.Fprintf(s.std.out, "           %s\n", printable(step.Note))
	}
	s.meter.wait("Installing what is left")
}

// print writes the requests as Kibana's console and OpenSearch's take them.
func (s *elasticSetup) print(c elasticsearch.Config, o elasticsearch.SetupOptions) error {
	for _, object := range elasticsearch.Objects(c, o) {
		if _, err := fmt.Fprintf(s.std.out, "PUT %s\n%s\n", object.Path, object.Body); err != nil {
			return fmt.Errorf("write the requests: %w", err)
		}
	}
	return nil
}

func (s *elasticSetup) printPrivileges() {
	fmt.Fprintf(s.std.out, `# For "siemrelay setup elasticsearch":
PUT /_security/role/siemrelay-setup
%s

# For the output:
PUT /_security/role/siemrelay-writer
%s

# What "siemrelay replay --overwrite" needs besides:
PUT /_security/role/siemrelay-overwrite
%s

# An API key for the output, with no more than that:
POST /_security/api_key
{"name": "siemrelay", "role_descriptors": {"siemrelay-writer": %s}}
`, elasticsearch.SetupPrivileges, elasticsearch.WriterPrivileges, elasticsearch.OverwritePrivileges, elasticsearch.WriterPrivileges)
}

// explain gives an error the exit code that belongs to it.
func (s *elasticSetup) explain(ctx context.Context, err error) error {
	var notReady *outputs.NotReady
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case errors.As(err, &notReady):
		return fmt.Errorf("%w (siemrelay setup elasticsearch --privileges prints the roles)", notReady.Err)
	case outputs.IsTransient(err):
		return &exitError{exitUnavailable, err}
	}
	return err
}
