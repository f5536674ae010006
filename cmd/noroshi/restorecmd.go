package main

import (
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node"
)

type restoreCmd struct {
	File               string `arg:"" placeholder:"FILE" help:"help.backup-file"`
	As                 string `placeholder:"PERSON" help:"help.restore-as"`
	PassphraseFile     string `placeholder:"FILE" help:"help.passphrase-file"`
	With               string `placeholder:"PERSON" help:"help.restore-with"`
	WithPassphraseFile string `placeholder:"FILE" help:"help.restore-with-passphrase"`
	openBackup
}

// Run unpacks a backup, has its officers sign, and puts it in place.
func (x *restoreCmd) Run(c *cli) error {
	f, _, err := c.openInput(x.File)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := node.BeginRestore(c.ctx, c.Dir, f, x.secret(c))
	if err != nil {
		return err
	}
	aside, err := x.put(c, r)
	if aerr := r.Abandon(); err == nil {
		err = aerr
	}
	if err != nil {
		return err
	}
	r.Backup.File = x.File
	if err := showBackup(c, r.Backup); err != nil {
		return err
	}
	if r.Needs < 2 {
		c.say("cli.restored-one", n(r.Needs))
	}
	if aside != "" {
		c.say("cli.restored-aside", aside)
	}
	if r.NextRoot != "" {
		c.say("cli.restored-next-root", r.NextRoot)
	}
	c.say("cli.restored")
	return nil
}

// put has both persons sign, each with the passphrase of the register in the
// backup.
func (x *restoreCmd) put(c *cli, r *node.Restoring) (aside string, err error) {
	var by []noroshi.Signed
	for _, p := range [][2]string{{x.As, x.PassphraseFile}, {x.With, x.WithPassphraseFile}} {
		if p[0] == "" {
			continue
		}
		person, err := r.Person(p[0])
		if err != nil {
			return "", err
		}
		pass, err := c.passphrase(p[1], "cli.passphrase-of", p[0])
		if err != nil {
			return "", err
		}
		key, err := person.Unseal(pass)
		if err != nil {
			return "", err
		}
		by = append(by, noroshi.SignAct(p[0], key, r.Digest()))
	}
	return r.Commit(c.ctx, by)
}
