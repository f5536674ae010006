// Package mailtest runs a mail gateway that is not ours for tests: Exim of the
// Debian package exim4-daemon-light, as a private instance on loopback that needs no
// privileges. It asks for STARTTLS and a password, and hands letters on to whoever
// stands for their domain.
package mailtest

import (
	"bytes"
	"errors"

	"github.com/emersion/go-smtp"
)

// Deliver hands a letter to a server as a gateway does that knows no TLS.
func Deliver(address, from, to string, letter []byte) error {
	c, err := smtp.Dial(address)
	if err != nil {
		return err
	}
	if err := c.SendMail(from, []string{to}, bytes.NewReader(letter)); err != nil {
		return errors.Join(err, c.Close())
	}
	return c.Quit()
}
