package node

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/noroshi-cti/noroshi"
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

	// Endpoints are the https URLs that stand on the cards this node hands
	// out. Default: the address Listen was bound to. Behind a relay or NAT set
	// it, or partners will knock at the wrong door.
	Endpoints []string `toml:"endpoints,omitempty"`

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

	Detect DetectConfig `toml:"detect"`

	Sighting SightingConfig `toml:"sighting"`
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
		return c, noroshi.Errorf(noroshi.Invalid, "config.unknown-key", "%s: unknown key %q", path, u[0].String())
	}
	return c, c.check(path)
}

func (c Config) check(path string) error {
	bad := func(field string, err error) error {
		return noroshi.Errorf(noroshi.Invalid, "config.field", "%s: %s: %w", path, field, err)
	}
	if _, err := noroshi.ParseCallSign(string(c.CallSign)); err != nil {
		return bad("call_sign", err)
	}
	for field, addr := range map[string]string{"listen": c.Listen, "metrics": c.Metrics} {
		if addr == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return bad(field, err)
		}
	}
	if _, ok := locale.Parse(c.Lang); c.Lang != "" && !ok {
		return bad("lang", fmt.Errorf("%q must be en or ja", c.Lang))
	}
	if c.Heartbeat != 0 && (c.Heartbeat < 100*time.Millisecond || c.Heartbeat > time.Hour) {
		return bad("heartbeat", fmt.Errorf("%s must be from 100ms to 1h", c.Heartbeat))
	}
	for i, s := range c.Sighting.Sectors {
		if !stix.Sector(s) || slices.Contains(c.Sighting.Sectors[:i], s) {
			return bad("sighting.sectors", fmt.Errorf("%q must be a word of STIX 2.1 industry-sector-ov, once", s))
		}
	}
	if r := c.Sighting.Region; r != "" && !stix.Region(r) {
		return bad("sighting.region", fmt.Errorf("%q must be a word of STIX 2.1 region-ov", r))
	}
	for _, e := range c.Endpoints {
		if u, err := url.Parse(e); err != nil || u.Scheme != "https" || u.Host == "" {
			return bad("endpoints", fmt.Errorf("%q must be an https URL", e))
		}
	}
	return nil
}

func writeConfig(dir string, c Config) error {
	f, err := os.OpenFile(filepath.Join(dir, configName), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := toml.NewEncoder(f).Encode(c); err != nil {
		f.Close()
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
