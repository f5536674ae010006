package node

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door"
	"github.com/noroshi-cti/noroshi/internal/durable"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/stix"
)

// Config is the file noroshi.toml in a data folder, and its manual. Unknown
// keys are errors. Every field may be overridden by a flag of the same name
// where a command has one.
type Config struct {
	// CallSign is the name this node goes by, such as USA-01. Set by init; it
	// is on every card this node ever handed out, so do not change it.
	CallSign noroshi.CallSign `toml:"call_sign"`

	// Tokens are further names of the organisation in markings, such as
	// USA.DOD. A missing token makes markings that name it withhold things.
	Tokens []string `toml:"org_tokens"`

	// Lang is the language of logs' texts and of commands run without --lang:
	// "en" or "ja", nothing else. Default: that of the environment.
	Lang string `toml:"lang,omitempty"`

	// Listen is the address partners reach this node on, host:port. Default
	// "127.0.0.1:0", which only this machine reaches.
	Listen string `toml:"listen"`

	// Endpoints stand on the cards this node hands out: https URLs, and
	// mailto:LOCAL@DOMAIN, line:NAME, media:NAME for other channels it has.
	// Default: the address Listen was bound to; with anything here name the URL
	// too, or partners cannot come by https. Behind a relay or NAT set it, or they
	// will knock at the wrong door. Two URLs over two networks are two paths: a
	// partner takes the other when one fails.
	Endpoints []string `toml:"endpoints,omitempty"`

	// Tools is the address this organisation's own tools reach TAXII on,
	// host:port; it must be inside the border. Empty (the default): they use
	// Listen where that is a loopback address and no endpoint names another
	// machine, from where a relay would bring others, and are let in nowhere else.
	Tools string `toml:"tools,omitempty"`

	// Console is the address of the screens, host:port; it must be inside the
	// border. Empty (the default): "127.0.0.1:0", which only this machine reaches,
	// at a port that changes with each start. "off": there are none. Browsers keep
	// passkeys for one host name and port, and only where they trust the
	// certificate (noroshi taxii certificate): give a fixed port, put the name into
	// names, and open the screens by that name.
	Console string `toml:"console,omitempty"`

	// Names are further host names and addresses in the node's certificate, such
	// as the one tools know it by. Those in Listen, Tools and Endpoints stand in
	// it anyway, but for 0.0.0.0 and ::. A tool that checks the certificate
	// refuses a name that is missing; each change makes another certificate.
	Names []string `toml:"names,omitempty"`

	// Metrics is the address of the Prometheus metrics and the health page,
	// host:port. It has no access control: keep it on a management network.
	// Empty (the default): none.
	Metrics string `toml:"metrics,omitempty"`

	// WarningLists is a folder or .tar.gz of MISP warning-lists, known-good
	// values. Empty (the default): the lists in the program, which are without
	// top-site rankings.
	WarningLists string `toml:"warninglists,omitempty"`

	// SealKeyFile is a file with the key (32 bytes) or the passphrase (any
	// other length) that seals the node's private keys. Empty (the default): a
	// systemd credential named noroshi-seal if there is one, else
	// DIR/secret/seal.key, which whoever copies the folder has too.
	SealKeyFile string `toml:"seal_key_file,omitempty"`

	// Heartbeat is how often a quiet link says it is alive: "100ms" to "1h",
	// default "10s". Longer, and a link that is cut is found out later.
	Heartbeat time.Duration `toml:"heartbeat,omitzero"`

	// Checkpoint is how often a partner is asked to countersign what stands in
	// the record of its link, when anything was done on it: "100ms" to "24h",
	// default "1m"; with a FLASH it is asked at once. Longer, and more of the
	// record could be rewritten here without being found.
	Checkpoint time.Duration `toml:"checkpoint,omitzero"`

	// Quota is how many MiB of one partner are kept in a day (UTC): 64 to
	// 1048576, default 1024. What comes beyond it is not taken and comes again
	// the next day; FLASH and control messages have a sixty-fourth beside it.
	// Lower, and a long outage takes days to catch up; higher, and a partner
	// that floods fills the disk sooner.
	Quota int64 `toml:"quota,omitzero"`

	Store StoreConfig `toml:"store,omitempty"`

	// Exports are files kept for sensors and tools on this machine.
	Exports []ExportConfig `toml:"export,omitempty"`

	Detect DetectConfig `toml:"detect"`

	Sighting SightingConfig `toml:"sighting"`

	Feeds FeedsConfig `toml:"feeds,omitempty"`

	// SignIn says how persons sign in to the console.
	SignIn SignInConfig `toml:"sign_in,omitempty"`

	// Translate is a machine-translation service. None unless it is named.
	Translate TranslateConfig `toml:"translate,omitempty"`

	// Lines are serial lines, modems and pipes to partners, each a [[line]].
	Lines []LineConfig `toml:"line,omitempty"`

	// SIEM are the SIEMs of this organisation that are told what happens here,
	// each a [[siem]] of its own.
	SIEM []SIEMConfig `toml:"siem,omitempty"`

	// Mail is the channel by e-mail.
	Mail MailConfig `toml:"mail,omitempty"`
}

// ExportConfig is one file kept for sensors and tools: written anew when what is
// in it changes, whole at every moment.
type ExportConfig struct {
	// File is where it is kept. Files beside it (Suricata datasets) lie in the
	// same folder.
	File string `toml:"file"`
	// Format is one of noroshi export --help.
	Format string `toml:"format"`
	// Collection is the shelf it is made of. Empty (the default): all that is
	// held.
	Collection string `toml:"collection,omitempty"`
	// Max is the highest label in it, such as ["TLP:AMBER"]: what the machines
	// that read it are fit to keep. Empty (the default): no bound.
	Max []string `toml:"max,omitempty"`
	// Every is how often it is looked at: "1s" to "24h", default "1m".
	Every time.Duration `toml:"every,omitzero"`
	// Mode says who on this machine may read the files, in octal: "0600", "0640"
	// (the default: their owner and group) or "0644", and "0660" or "0664" where
	// the group writes too. What is in them is marked: 0644 shows it to everybody
	// who can log in.
	Mode string `toml:"mode,omitempty"`
	// Zone is the name of the zone of the format rpz; Wildcard makes it meet names
	// below a name too.
	Zone     string `toml:"zone,omitempty"`
	Wildcard bool   `toml:"wildcard,omitempty"`
	// Individual makes Suricata rules one for each value instead of datasets.
	Individual bool `toml:"individual,omitempty"`
	// Sinkhole is the address a hosts file points names at. Default 0.0.0.0.
	Sinkhole string `toml:"sinkhole,omitempty"`
}

func (x ExportConfig) scheduled() door.Scheduled {
	mode, _ := x.mode()
	return door.Scheduled{File: x.File, Mode: mode, Every: cmp.Or(x.Every, time.Minute), Export: door.Export{Format: x.Format, Collection: x.Collection, Max: x.Max,
		Zone: x.Zone, Wildcard: x.Wildcard, Individual: x.Individual, Sinkhole: x.Sinkhole}}
}

// mode reads Mode; 0 = the default.
func (x ExportConfig) mode() (fs.FileMode, error) {
	if x.Mode == "" {
		return 0, nil
	}
	m, err := strconv.ParseUint(x.Mode, 8, 32)
	if err != nil || m&^0o664 != 0 || m&0o600 != 0o600 {
		return 0, fmt.Errorf("mode %q must be 0600, 0640, 0644, 0660 or 0664", x.Mode)
	}
	return fs.FileMode(m), nil
}

func (x ExportConfig) check() error {
	if _, err := x.mode(); err != nil {
		return err
	}
	switch {
	case !filepath.IsAbs(x.File):
		return fmt.Errorf("file %q must be an absolute path", x.File)
	case x.Every != 0 && (x.Every < time.Second || x.Every > 24*time.Hour):
		return fmt.Errorf("every %s must be from 1s to 24h", x.Every)
	}
	return x.scheduled().Check()
}

// SightingConfig says how much partners learn of where something was seen. A
// sighting never names a sensor, an address or an organisation.
type SightingConfig struct {
	// Sectors are the sectors of those whose networks the sensors watch, such
	// as "energy": words of STIX 2.1 industry-sector-ov. They stand on an
	// identity of their own, marked TLP:GREEN, which goes to partners by their
	// agreements. A sector with one organisation in it names that organisation.
	// Empty (the default): sightings name none.
	Sectors []string `toml:"sectors,omitempty"`
	// Region is where the sensors are, such as "eastern-asia": a word of STIX
	// 2.1 region-ov. It stands on a location of its own, marked TLP:GREEN.
	// Empty (the default): sightings name none.
	Region string `toml:"region,omitempty"`
}

// DetectConfig says how events meet indicators.
type DetectConfig struct {
	// ExactDomains makes a domain meet only itself, as STIX "=" says to the
	// letter. Default false: subdomains meet too.
	ExactDomains bool `toml:"exact_domains,omitempty"`
	// NoWeak makes an address with a port meet only that port. Default false:
	// the bare address elsewhere is a weak hit, and says so.
	NoWeak bool `toml:"no_weak,omitempty"`
	// NotEarly makes an event older than an indicator's valid_from meet
	// nothing. Default false: what was found today is looked for in yesterday's
	// logs too. An indicator past its valid_until never meets a later event.
	NotEarly bool `toml:"not_early,omitempty"`
}

const configName = "noroshi.toml"

// ReadConfig reads DIR/noroshi.toml; a NotFound error when there is no node in
// the folder.
func ReadConfig(dir string) (Config, error) {
	var c Config
	path := filepath.Join(dir, configName)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, noroshi.Errorf(noroshi.NotFound, "node.none", "no node in %s: run noroshi init --dir %s", dir, dir)
	}
	if err != nil {
		return c, err
	}
	md, err := toml.Decode(string(b), &c)
	if err != nil {
		return c, noroshi.Errorf(noroshi.Invalid, "config.syntax", "%s: %w", path, err)
	}
	if u := md.Undecoded(); len(u) > 0 {
		if key := u[0]; len(key) > 1 && topLevel(key[len(key)-1]) {
			return c, noroshi.Errorf(noroshi.Invalid, "config.misplaced-key", "%s: key %q stands below [%s]: it must stand above the first section", path, key[len(key)-1], key[0])
		}
		return c, noroshi.Errorf(noroshi.Invalid, "config.unknown-key", "%s: unknown key %q", path, u[0].String())
	}
	return c, c.check(path)
}

// topLevel reports whether a key stands outside every section: what is added at
// the end of the file does not.
func topLevel(name string) bool {
	for f := range reflect.TypeFor[Config]().Fields() {
		if tag, _, _ := strings.Cut(f.Tag.Get("toml"), ","); tag == name {
			return true
		}
	}
	return false
}

func (c Config) check(path string) error {
	bad := func(field string, err error) error {
		return noroshi.Errorf(noroshi.Invalid, "config.field", "%s: %s: %w", path, field, err)
	}
	if _, err := noroshi.ParseCallSign(string(c.CallSign)); err != nil {
		return bad("call_sign", err)
	}
	for field, addr := range map[string]string{"listen": c.Listen, "tools": c.Tools, "metrics": c.Metrics, "console": c.Console} {
		if addr == "" || field == "console" && addr == noConsole {
			continue
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return bad(field, err)
		}
	}
	for _, name := range c.Names {
		if !named(name) {
			return bad("names", fmt.Errorf("%q must be a host name in ASCII or an address other than 0.0.0.0, without a port", name))
		}
	}
	if _, ok := locale.Parse(c.Lang); c.Lang != "" && !ok {
		return bad("lang", fmt.Errorf("%q must be en or ja", c.Lang))
	}
	if c.Heartbeat != 0 && (c.Heartbeat < 100*time.Millisecond || c.Heartbeat > time.Hour) {
		return bad("heartbeat", fmt.Errorf("%s must be from 100ms to 1h", c.Heartbeat))
	}
	if c.Checkpoint != 0 && (c.Checkpoint < 100*time.Millisecond || c.Checkpoint > 24*time.Hour) {
		return bad("checkpoint", fmt.Errorf("%s must be from 100ms to 24h", c.Checkpoint))
	}
	if c.Quota != 0 && (c.Quota < 64 || c.Quota > 1<<20) {
		return bad("quota", fmt.Errorf("%d must be from 64 to 1048576", c.Quota))
	}
	if field, err := c.Store.check(); err != nil {
		return bad(field, err)
	}
	for i, s := range c.Sighting.Sectors {
		if !stix.Sector(s) || slices.Contains(c.Sighting.Sectors[:i], s) {
			return bad("sighting.sectors", fmt.Errorf("%q must be a word of STIX 2.1 industry-sector-ov, once", s))
		}
	}
	if r := c.Sighting.Region; r != "" && !stix.Region(r) {
		return bad("sighting.region", fmt.Errorf("%q must be a word of STIX 2.1 region-ov", r))
	}
	if field, err := c.SignIn.check(); err != nil {
		return bad(field, err)
	}
	if field, err := checkExports(c.Exports); err != nil {
		return bad(field, err)
	}
	if field, err := c.Feeds.check(); err != nil {
		return bad("feeds."+field, err)
	}
	if field, err := c.Translate.check(); err != nil {
		return bad("translate."+field, err)
	}
	if field, err := checkSIEM(c.SIEM); err != nil {
		return bad(field, err)
	}
	if field, err := checkLines(c.Lines); err != nil {
		return bad(field, err)
	}
	if field, err := c.Mail.check(c.Endpoints); err != nil {
		return bad(field, err)
	}
	for _, e := range c.Endpoints {
		if noroshi.EndpointKind(e) == "" {
			return bad("endpoints", fmt.Errorf("%q must be an https URL without user, query and fragment, mailto:LOCAL@DOMAIN, line:NAME or media:NAME", e))
		}
	}
	return nil
}

// checkExports returns the first file that is wrong, and why.
func checkExports(list []ExportConfig) (field string, err error) {
	for i, x := range list {
		field = fmt.Sprintf("export %d", i+1)
		if err := x.check(); err != nil {
			return field, err
		}
		if slices.ContainsFunc(list[:i], func(y ExportConfig) bool { return y.File == x.File }) {
			return field, fmt.Errorf("file %s is kept by another", x.File)
		}
	}
	return "", nil
}

func writeConfig(dir string, c Config) error {
	var b bytes.Buffer
	if err := toml.NewEncoder(&b).Encode(c); err != nil {
		return err
	}
	return durable.Write("configuration", filepath.Join(dir, configName), []byte(full(b.String())))
}

// full is a TOML text without tables that say nothing: whoever adds one of that
// name at the end has it twice.
func full(text string) string {
	return strings.TrimSpace(strings.Join(slices.DeleteFunc(strings.SplitAfter(text, "\n\n"), func(table string) bool {
		return strings.HasPrefix(table, "[") && !strings.HasPrefix(table, "[[") && !strings.Contains(strings.TrimSpace(table), "\n")
	}), "")) + "\n"
}
