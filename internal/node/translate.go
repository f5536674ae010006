package node

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door/fetch"
	"github.com/noroshi-cti/noroshi/internal/door/translate"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// TranslateConfig names a machine-translation service that suggests words to
// persons who translate. It is asked when a person asks, never by itself, and
// what it says never leaves the node before a person has checked it.
type TranslateConfig struct {
	// URL is where requests are posted, https, such as
	// https://translate.example/translate of a LibreTranslate; http only at a
	// loopback address in Nets. Empty (the default): there is none.
	URL string `toml:"url,omitempty"`
	// TokenFile is the file with the key it asks for (api_key); keep it 0600.
	// Empty (the default): it asks for none.
	TokenFile string `toml:"token_file,omitempty"`
	// Languages are those it puts texts into and out of. Default ["en", "ja"].
	Languages []string `toml:"languages,omitempty"`
	// UpTo is the highest label of what is sent to it, by kind of marking, such as
	// ["TLP:AMBER"] or ["TLP:RED", "JPN:部内限り"]. Default ["TLP:CLEAR"]; more only
	// with Inside. What is above it, of a kind that is not named, unmarked, or
	// was not understood, is never sent.
	UpTo []string `toml:"up_to,omitempty"`
	// Inside says that this organisation itself runs the service and answers for
	// what it keeps. Set for a service of somebody else, texts leave the
	// organisation past the exit gate.
	Inside bool `toml:"inside,omitempty"`
	// Nets are the networks it is in, such as "10.1.0.0/16", where it is not on
	// the public internet.
	Nets []string `toml:"nets,omitempty"`
	// CAFile is the certificate of the authority that signed its certificate, PEM.
	// Empty (the default): those of the system.
	CAFile string `toml:"ca_file,omitempty"`
	// Timeout is how long one answer may take: "1s" to "2m", default "20s".
	Timeout string `toml:"timeout,omitempty"`
}

// Bounds of what the service answers.
const (
	maxTranslated    = 2 << 20
	translateTime    = 20 * time.Second
	translateTimeMin = time.Second
	translateTimeMax = 2 * time.Minute
)

// check returns the first field that is wrong, and why.
func (c TranslateConfig) check() (field string, err error) {
	if c.URL == "" {
		return "", nil
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || strings.ContainsAny(c.URL, " ?#") {
		return "url", fmt.Errorf("%q must be an https URL without a user name and a query", c.URL)
	}
	if d, err := c.limit(); err != nil || d < translateTimeMin || d > translateTimeMax {
		return "timeout", fmt.Errorf("%q must be from 1s to 2m", c.Timeout)
	}
	for i, l := range c.Languages {
		if tag, err := language.Parse(l); err != nil || tag.String() != l || slices.Contains(c.Languages[:i], l) {
			return "languages", fmt.Errorf("%q must be a language such as ja, once", l)
		}
	}
	if len(c.Languages) == 1 {
		return "languages", errors.New("there must be two at least")
	}
	up, err := c.ceiling()
	if err != nil {
		return "up_to", err
	}
	if up.Unmarked {
		return "up_to", errors.New("what is unmarked is never sent")
	}
	if !c.Inside && (up.TLP > noroshi.Clear || up.ACS != noroshi.NoLevel || len(up.Japanese) > 0) {
		return "up_to", fmt.Errorf("%s may go only to a service of this organisation's own: set inside = true if it is", up)
	}
	nets, err := prefixes(c.Nets)
	if err != nil {
		return "nets", err
	}
	if u.Scheme == "http" && !slices.ContainsFunc(nets, func(n netip.Prefix) bool { return n.Addr().IsLoopback() }) {
		return "url", fmt.Errorf("%q: http goes only to a loopback address in nets", c.URL)
	}
	return "", nil
}

func (c TranslateConfig) limit() (time.Duration, error) {
	if c.Timeout == "" {
		return translateTime, nil
	}
	return time.ParseDuration(c.Timeout)
}

func (c TranslateConfig) ceiling() (noroshi.Ceiling, error) {
	if len(c.UpTo) == 0 {
		return noroshi.Ceiling{TLP: noroshi.Clear}, nil
	}
	return noroshi.ParseCeiling(c.UpTo)
}

func prefixes(texts []string) (list []netip.Prefix, err error) {
	for _, s := range texts {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// service is the service of the configuration; nil when there is none.
func (c TranslateConfig) service() (*translate.Service, error) {
	if c.URL == "" {
		return nil, nil
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, err
	}
	limit, err := c.limit()
	if err != nil {
		return nil, err
	}
	t, err := ownDoor(u.Host, nil, c.Nets, c.CAFile, fetch.Options{MaxBody: maxTranslated, Timeout: limit, Silence: limit, Dial: min(limit, 10*time.Second)})
	if err != nil {
		return nil, err
	}
	o := translate.Options{URL: c.URL, Languages: c.Languages, HTTP: t.Client()}
	if len(o.Languages) == 0 {
		o.Languages = []string{"en", "ja"}
	}
	if o.UpTo, err = c.ceiling(); err != nil {
		return nil, err
	}
	if c.TokenFile != "" {
		key, err := os.ReadFile(c.TokenFile)
		if err != nil {
			return nil, err
		}
		o.Key = strings.TrimSpace(string(key))
	}
	return translate.New(o)
}

// checkWords says whether the translation service can be asked; nothing is asked.
func (n *Node) checkWords() []web.Check {
	switch {
	case n.wordless != nil:
		return []web.Check{{Name: "translate", State: "fail", Code: "translate-off", Args: []string{n.wordless.Error()}, Why: noroshi.Tell(n.wordless)}}
	case n.words != nil:
		return []web.Check{{Name: "translate", State: "ok", Code: "translate-on", Args: []string{n.words.Host(), n.words.UpTo().String()}}}
	}
	return nil
}

// ownDoor is a door to one server that the configuration names, in networks and
// under an authority it names.
func ownDoor(host string, more, nets []string, caFile string, o fetch.Options) (*fetch.Transport, error) {
	o.Hosts = append([]string{host}, more...)
	var err error
	if o.Nets, err = prefixes(nets); err != nil {
		return nil, err
	}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, err
		}
		if o.Roots = x509.NewCertPool(); !o.Roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate in PEM", caFile)
		}
	}
	return fetch.New(o)
}
