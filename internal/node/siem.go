package node

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door/siem"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// SIEMConfig is one SIEM of this organisation, told of warnings, sightings and
// acts as syslog over TLS. Who that SIEM belongs to is for whoever writes this
// to know: nothing here passes the exit gate.
type SIEMConfig struct {
	// Name is what status, doctor and metrics call it: lower-case letters,
	// digits and hyphens, at most 32. How far it has got is kept by the name:
	// under another one it gets everything from the beginning of the record.
	Name string `toml:"name"`
	// Address is where it listens, host:port; 6514 is the port for it.
	Address string `toml:"address"`
	// ServerName is the name in its certificate. Default: the host of Address.
	ServerName string `toml:"server_name,omitempty"`
	// Format is how events are written: "cef", "ecs" (JSON) or "syslog".
	Format string `toml:"format"`
	// CAFile is a PEM file of those who may sign its certificate. Default: whom
	// the system trusts.
	CAFile string `toml:"ca_file,omitempty"`
	// CertFile and KeyFile are PEM files of the certificate this node shows,
	// where the SIEM asks for one. Default: none. All three files are read at
	// each connection: they may be renewed while the node runs.
	CertFile string `toml:"cert_file,omitempty"`
	KeyFile  string `toml:"key_file,omitempty"`
	// Max is the highest label it may get, by kind of marking, such as
	// ["TLP:AMBER"] or ["TLP:RED", "ACS:U", "JPN:部内限り", "UNMARKED"]; each
	// Japanese class is named by itself. What is above it, or of a kind that is
	// not named, or was not understood, is not sent, and counted. No default: too
	// low and the SIEM misses warnings, too high and it keeps what it may not.
	Max []string `toml:"max"`
	// What it is told of: "warning", "sighting", "audit". Default: all three.
	What []string `toml:"what,omitempty"`
	// Lang is the language of texts, "en" or "ja". Default: lang of the node,
	// or "en".
	Lang string `toml:"lang,omitempty"`
	// Statements are texts of statement markings that restrict nothing, such as
	// of copyright. What carries any other is not sent.
	Statements []string `toml:"statements,omitempty"`
}

var siemName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// checkSIEM returns the first field that is wrong, and why.
func checkSIEM(list []SIEMConfig) (field string, err error) {
	for i, c := range list {
		if slices.ContainsFunc(list[:i], func(o SIEMConfig) bool { return o.Name == c.Name }) {
			return fmt.Sprintf("siem[%d].name", i+1), fmt.Errorf("%q is the name of another one", c.Name)
		}
		if _, field, err := c.destination(locale.EN); err != nil {
			return fmt.Sprintf("siem[%d].%s", i+1, field), err
		}
	}
	return "", nil
}

// destination reads the fields; with an error, the field that is wrong.
func (c SIEMConfig) destination(lang locale.Lang) (d siem.Destination, field string, err error) {
	d = siem.Destination{Name: c.Name, Address: c.Address, Format: siem.Format(c.Format), Lang: string(lang), Statements: c.Statements,
		Trust: siem.Trust{ServerName: c.ServerName, CA: c.CAFile, Cert: c.CertFile, Key: c.KeyFile}}
	if !siemName.MatchString(c.Name) {
		return d, "name", fmt.Errorf("%q must be lower-case letters, digits and hyphens, at most 32", c.Name)
	}
	host, port, err := net.SplitHostPort(c.Address)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || n == 0 || host == "" {
		return d, "address", fmt.Errorf("%q must be host:port, such as siem.example:6514", c.Address)
	}
	if !d.Format.Valid() {
		return d, "format", fmt.Errorf("%q must be cef, ecs or syslog", c.Format)
	}
	if d.Max, err = noroshi.ParseCeiling(c.Max); err != nil {
		return d, "max", err
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		return d, "cert_file", fmt.Errorf("cert_file and key_file go together")
	}
	for i, w := range c.What {
		if k := siem.Kind(w); !k.Valid() || slices.Contains(d.What, k) {
			return d, fmt.Sprintf("what[%d]", i+1), fmt.Errorf("%q must be warning, sighting or audit, each once", w)
		}
		d.What = append(d.What, siem.Kind(w))
	}
	if len(c.What) == 0 {
		d.What = []siem.Kind{siem.Warning, siem.Sighting, siem.Audit}
	}
	if l, ok := locale.Parse(c.Lang); ok {
		d.Lang = string(l)
	} else if c.Lang != "" {
		return d, "lang", fmt.Errorf("%q must be en or ja", c.Lang)
	}
	return d, "", nil
}

// wireSIEM makes the senders; they send while the node serves.
func (n *Node) wireSIEM() error {
	lang, ok := locale.Parse(n.Config.Lang)
	if !ok {
		lang = locale.EN
	}
	for _, c := range n.Config.SIEM {
		d, _, err := c.destination(lang)
		if err != nil {
			return err
		}
		n.siem = append(n.siem, siem.New(n.Store, d, siem.Options{Realm: n.Realm, Node: n.Keys.NodeID(), CallSign: n.Self.CallSign,
			Version: n.opts.Version, Words: siemWords, Now: n.opts.Now}))
	}
	return nil
}

// siemWords makes the words of sightings and acts, of nothing but what stands
// in the event.
func siemWords(lang string, e *siem.Event) (title, text string) {
	l := locale.Lang(lang)
	if e.Kind == siem.Sighting {
		what := locale.T(l, "siem.not-named")
		if e.Value.Text != "" {
			what = e.Value.String()
		}
		return locale.T(l, "siem.sighting", what, strconv.Itoa(e.Count), locale.Hour(l, e.First)), ""
	}
	title = locale.Or(l, "act."+string(e.Action), string(e.Action))
	if e.Action == noroshi.ActAlarm {
		text = locale.Or(l, "alarm."+e.Subject, locale.Or(l, "alarm.link."+e.Subject, e.Subject))
	}
	return title, text
}

// siems tells how the SIEMs stand.
func (n *Node) siems(ctx context.Context) ([]siem.Status, error) {
	var list []siem.Status
	for _, s := range n.siem {
		st, err := s.Status(ctx)
		if err != nil {
			return nil, err
		}
		list = append(list, st)
	}
	return list, nil
}

// checkSIEMs says of each SIEM whether it gets what it should.
func (n *Node) checkSIEMs(ctx context.Context) (out []web.Check) {
	list, err := n.siems(ctx)
	if err != nil {
		return []web.Check{{Name: "siem", State: "fail", Code: "store-unreadable", Args: []string{err.Error()}, Why: noroshi.Tell(err)}}
	}
	for i, s := range list {
		behind := strconv.FormatInt(s.Behind, 10)
		c := n.Config.SIEM[i]
		_, err := siem.Trust{ServerName: c.ServerName, CA: c.CAFile, Cert: c.CertFile, Key: c.KeyFile}.Config(c.Address)
		switch {
		case err != nil:
			out = append(out, web.Check{Name: "siem", State: "fail", Code: "siem-files", Args: []string{s.Name, err.Error()}, Why: noroshi.Tell(err)})
		case s.Error.Message != "":
			out = append(out, web.Check{Name: "siem", State: "fail", Code: "siem-error", Args: []string{s.Name, s.Error.Message, behind}, Why: s.Error})
		case n.opts.Serving:
			out = append(out, web.Check{Name: "siem", State: "ok", Code: "siem-sends", Args: []string{s.Name, strconv.FormatUint(s.Sent, 10), behind}})
		default:
			out = append(out, web.Check{Name: "siem", State: "ok", Code: "siem-rests", Args: []string{s.Name, behind}})
		}
		if s.Withheld > 0 {
			out = append(out, web.Check{Name: "siem", State: "ok", Code: "siem-withheld", Args: []string{s.Name, strconv.FormatUint(s.Withheld, 10), s.Max}})
		}
	}
	return out
}
