package node

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi/internal/door/fetch"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/internal/web/console"
)

// SignInConfig says how persons sign in to the console.
type SignInConfig struct {
	// Asks is what a person is asked for: "second-factor" (the default), a
	// passkey, or the passphrase and a code, of everybody who has added one, while
	// who has not is led to it; or "passphrase" of everybody, as where a second
	// factor was lost with the machine it was on. Passkeys sign in either way.
	Asks string `toml:"asks,omitempty"`

	// Idle is after how long a session ends in which nobody asks for a page or
	// opens anything, whether one is open or not: 10m to 12h. Without it, the
	// default, a page that is open and kept up to date lasts the 12 hours of every
	// session, so that a picture that is watched does not go dark; 30 minutes after
	// the last one was open the session ends. Whoever comes by an open page reads
	// what its person may; acts take their passphrase or passkey all the same.
	Idle time.Duration `toml:"idle,omitzero"`

	// OIDC is a sign-on server of the organisation (OpenID Connect). It signs
	// persons in whom an administrator linked to a subject there
	// (noroshi person link); acts are signed with their own keys all the same.
	OIDC OIDCConfig `toml:"oidc,omitempty"`
}

// OIDCConfig names a sign-on server.
type OIDCConfig struct {
	// Issuer is its URL, https, exactly as it writes it itself. Empty (the
	// default): there is none.
	Issuer string `toml:"issuer,omitempty"`
	// Client is the client id by which it knows this console. Register
	// https://CONSOLE/oidc/back as the address it sends browsers back to.
	Client string `toml:"client,omitempty"`
	// SecretFile is the file with the client's secret; keep it 0600.
	SecretFile string `toml:"secret_file,omitempty"`
	// Name is what the button of the sign-in page calls it. Default: its host.
	Name string `toml:"name,omitempty"`
	// Hosts are further hosts it has its keys or tokens on, where not all is on
	// the issuer's. No other host is ever asked.
	Hosts []string `toml:"hosts,omitempty"`
	// Nets are the networks it is in, such as "10.1.0.0/16", where it is not on
	// the public internet.
	Nets []string `toml:"nets,omitempty"`
	// CAFile is the certificate of the authority that signed its certificate, PEM.
	// Empty (the default): those of the system.
	CAFile string `toml:"ca_file,omitempty"`
}

// leastIdle leaves time for the warning that comes before the end.
const leastIdle = 10 * time.Minute

func (c SignInConfig) check() (field string, err error) {
	if !slices.Contains([]string{"", "second-factor", "passphrase"}, c.Asks) {
		return "sign_in.asks", fmt.Errorf("%q must be second-factor or passphrase", c.Asks)
	}
	if c.Idle != 0 && (c.Idle < leastIdle || c.Idle > web.SessionLasts) {
		return "sign_in.idle", fmt.Errorf("%s must be %s to %s", c.Idle, leastIdle, web.SessionLasts)
	}
	if c.OIDC.Issuer == "" {
		return "", nil
	}
	if u, err := url.Parse(c.OIDC.Issuer); err != nil || u.Scheme != "https" || u.Host == "" || strings.ContainsAny(c.OIDC.Issuer, " ?#") {
		return "sign_in.oidc.issuer", fmt.Errorf("%q must be an https URL", c.OIDC.Issuer)
	}
	if c.OIDC.Client == "" || c.OIDC.SecretFile == "" {
		return "sign_in.oidc", errors.New("client and secret_file must be there too")
	}
	if _, err := prefixes(c.OIDC.Nets); err != nil {
		return "sign_in.oidc.nets", err
	}
	return "", nil
}

func (c SignInConfig) rules() web.SignInRules {
	return web.SignInRules{PassphraseOnly: c.Asks == "passphrase", Idle: c.Idle}
}

// Bounds of what the sign-on server answers.
const (
	maxSignOn  = 1 << 20
	signOnTime = 10 * time.Second
)

// signOn is the sign-on server of the configuration; nil when there is none.
func (c OIDCConfig) signOn() (*console.SignOn, error) {
	if c.Issuer == "" {
		return nil, nil
	}
	u, err := url.Parse(c.Issuer)
	if err != nil {
		return nil, err
	}
	secret, err := os.ReadFile(c.SecretFile)
	if err != nil {
		return nil, err
	}
	t, err := ownDoor(u.Host, c.Hosts, c.Nets, c.CAFile, fetch.Options{MaxBody: maxSignOn, Timeout: signOnTime, Silence: signOnTime, Dial: signOnTime})
	if err != nil {
		return nil, err
	}
	on := console.SignOn{Issuer: c.Issuer, Client: c.Client, Secret: strings.TrimSpace(string(secret)), Name: c.Name, HTTP: t.Client()}
	if on.Name == "" {
		on.Name = u.Hostname()
	}
	return &on, nil
}
