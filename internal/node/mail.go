package node

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier/mail"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// MailConfig is the channel by e-mail: docs/channels/mail.md. It is of the real
// realm alone; exercises do without.
type MailConfig struct {
	// From is the address of this node, LOCAL@DOMAIN. It also stands in endpoints,
	// as mailto:LOCAL@DOMAIN, or partners do not send there. Empty (the default):
	// no mail. Letters to other mailto: endpoints, such as a former address, are
	// taken too, and to no others.
	From string `toml:"from,omitempty"`

	// Relay is the mail gateway letters go out through, host:port. Empty: they are
	// laid into Spool.
	Relay string `toml:"relay,omitempty"`
	// Security is how the way to the gateway is secured: "starttls" (the default),
	// "tls" from the first byte, or "none", where whoever listens sees addresses
	// and sizes. What is named must succeed, or nothing is sent.
	Security string `toml:"security,omitempty"`
	// ServerName is the name in the gateway's certificate. Default: the host of
	// Relay.
	ServerName string `toml:"server_name,omitempty"`
	// Pin is SHA-256 of the public key (SubjectPublicKeyInfo) in the gateway's
	// certificate, 64 hexadecimal digits; CAFile is a PEM file of those who may
	// sign it. Default: whom the system trusts. After the gateway's key changes,
	// nothing goes until the pin does too.
	Pin    string `toml:"pin,omitempty"`
	CAFile string `toml:"ca_file,omitempty"`
	// User and PasswordFile are for AUTH, where the gateway asks for it. The first
	// line of the file is the password; it is read at each connection. Keep it
	// from others: chmod 600.
	User         string `toml:"user,omitempty"`
	PasswordFile string `toml:"password_file,omitempty"`
	// Hello is the name this node says to the gateway. Default: the domain of From.
	Hello string `toml:"hello,omitempty"`

	// Listen is the address letters come in on by SMTP, host:port; only the site's
	// gateway needs to reach it. Empty: they are taken from Spool.
	Listen string `toml:"listen,omitempty"`
	// CertFile and KeyFile are PEM files of the certificate shown after STARTTLS.
	// Default: the node's own.
	CertFile string `toml:"cert_file,omitempty"`
	KeyFile  string `toml:"key_file,omitempty"`

	// Spool is a folder for a site's own mail system: it fetches out/*.eml and
	// lays letters into in/, or delivers to it as a Maildir. An absolute path.
	Spool string `toml:"spool,omitempty"`

	// MaxSize is the size of the largest letter that comes through, in bytes,
	// 65536 and more. Default 10 MiB; less where a gateway says so. Too high, and
	// large messages are lost where one on the way says nothing.
	MaxSize int `toml:"max_size,omitempty"`
	// Turn is the usual time until an answer can be back, up to "24h". Default
	// "2m". Too short, and everything is sent more than once; too long, and what
	// was lost comes late.
	Turn time.Duration `toml:"turn,omitzero"`
}

// options are those of the channel but for what needs a node.
func (c MailConfig) options(endpoints []string) (o mail.Options, err error) {
	o = mail.Options{From: c.From, Spool: c.Spool, MaxLetter: c.MaxSize, Turn: c.Turn}
	for _, e := range endpoints {
		if noroshi.EndpointKind(e) == noroshi.ChannelMail {
			o.Recipients = append(o.Recipients, strings.TrimPrefix(e, "mailto:"))
		}
	}
	if c.Relay != "" {
		_, domain, _ := strings.Cut(c.From, "@")
		o.Relay = &mail.Relay{Address: c.Relay, Hello: cmp.Or(c.Hello, domain), Security: mail.Security(cmp.Or(c.Security, string(mail.StartTLS))),
			ServerName: c.ServerName, CAFile: c.CAFile, User: c.User, Password: c.PasswordFile}
		o.Relay.Pin, err = mail.ParsePin(c.Pin)
	}
	return o, err
}

// check returns the field that is wrong, and why.
func (c MailConfig) check(endpoints []string) (field string, err error) {
	if c.From == "" {
		for _, x := range []string{c.Relay, c.Listen, c.Spool} {
			if x != "" {
				return "mail.from", errors.New("an address must be here where there is a relay, a listen address or a spool")
			}
		}
		return "", nil
	}
	o, err := c.options(endpoints)
	if err != nil {
		return "mail.pin", err
	}
	if c.Listen != "" {
		if _, _, err := net.SplitHostPort(c.Listen); err != nil {
			return "mail.listen", err
		}
		o.Listener = net.Listener((*net.TCPListener)(nil)) // it will be
	}
	switch {
	case c.Spool != "" && !filepath.IsAbs(c.Spool):
		return "mail.spool", fmt.Errorf("%q must be an absolute path", c.Spool)
	case (c.CertFile == "") != (c.KeyFile == ""):
		return "mail.cert_file", errors.New("cert_file and key_file go together")
	case !slices.Contains(endpoints, "mailto:"+c.From):
		return "mail.from", fmt.Errorf("mailto:%s must stand in endpoints, or partners do not send there", c.From)
	}
	return "mail", o.Validate()
}

// openMail makes the channel by e-mail, if there is one. Letters that come in
// wait until this process leads.
func (n *Node) openMail(ctx context.Context, own tls.Certificate) error {
	c := n.Config.Mail
	if c.From == "" || n.Realm != noroshi.Real {
		return nil
	}
	o, err := c.options(n.Config.Endpoints)
	if err != nil {
		return err
	}
	keys := &fragmentKeys{node: n}
	o.MAC, o.Check, o.Now = keys.mac, keys.check, n.opts.Now
	o.Accept = func(ctx context.Context, from noroshi.NodeID, envelope []byte) error {
		return n.Courier.Receive(ctx, noroshi.ChannelMail, from, envelope)
	}
	if c.Listen != "" {
		if c.CertFile != "" {
			if own, err = tls.LoadX509KeyPair(c.CertFile, c.KeyFile); err != nil {
				return noroshi.Errorf(noroshi.Invalid, "config.field", "%s: %s: %w", filepath.Join(n.Dir, configName), "mail.cert_file", err)
			}
		}
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{own}}
		if o.Listener, err = n.listenOn(ctx, c.Listen); err != nil {
			return err
		}
	}
	if n.mail, err = mail.New(o); err != nil && o.Listener != nil {
		err = errors.Join(err, o.Listener.Close())
	}
	return err
}

// checkMail tries the gateway and the folder, and looks whether partners that have
// no other endpoint than mail can be reached.
func (n *Node) checkMail(ctx context.Context) (out []web.Check) {
	c := n.Config.Mail
	if c.From == "" {
		if slices.ContainsFunc(n.Config.Endpoints, func(e string) bool { return noroshi.EndpointKind(e) == noroshi.ChannelMail }) {
			return []web.Check{{Name: "mail", State: "warn", Code: "mail-nobody"}}
		}
		return nil
	}
	o, err := c.options(n.Config.Endpoints)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		err = o.Probe(ctx)
	}
	check := web.Check{Name: "mail", State: "ok", Code: "mail-works", Args: []string{cmp.Or(c.Relay, c.Spool)}}
	if err != nil {
		check.State, check.Code, check.Args, check.Why = "fail", "mail-fails", []string{err.Error()}, noroshi.Tell(err)
	}
	out = append(out, check)
	if fi, err := os.Stat(c.PasswordFile); c.PasswordFile != "" && err == nil && fi.Mode().Perm()&0o077 != 0 {
		out = append(out, web.Check{Name: "mail", State: "warn", Code: "mail-password-open", Args: []string{c.PasswordFile}})
	}
	return out
}
