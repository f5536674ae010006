package main

import (
	"path/filepath"

	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/backup"
	"github.com/noroshi-cti/noroshi/internal/web"
)

type backupCmd struct {
	Make  backupMakeCmd  `cmd:"" default:"withargs" help:"help.backup-make"`
	Check backupCheckCmd `cmd:"" help:"help.backup-check"`
}

type backupMakeCmd struct {
	File           string `arg:"" placeholder:"FILE" help:"help.backup-file"`
	PassphraseFile string `placeholder:"FILE" help:"help.backup-passphrase-file"`
	NodeKey        bool   `help:"help.backup-node-key"`
}

// Run has the node write a backup; the passphrase stays in this process.
func (x *backupMakeCmd) Run(c *cli) error {
	file, err := filepath.Abs(x.File)
	if err != nil {
		return err
	}
	in := web.BackupOrder{File: file}
	if !x.NodeKey {
		pass, err := c.passphrase(x.PassphraseFile, "cli.backup-passphrase")
		if err != nil {
			return err
		}
		s, err := backup.Seal(backup.Passphrase, pass)
		if err != nil {
			return err
		}
		in.How, in.Salt, in.Key = string(s.How), s.Salt, s.Key
	}
	var done web.BackedUp
	if err := c.call("backup", in, &done); err != nil {
		return err
	}
	return showBackup(c, done)
}

func showBackup(c *cli, b web.BackedUp) error {
	return one(c, b, [2]string{"file", b.File}, [2]string{"call-sign", string(b.CallSign)}, [2]string{"realm", b.Realm.String()},
		[2]string{"made", stamp(b.Made)}, [2]string{"acts", n(b.Acts)}, [2]string{"bytes", n(b.Bytes)}, [2]string{"sealed", c.word("sealed." + b.Sealed)},
		[2]string{"sha256", b.SHA256.String()})
}

// openBackup is the pair of flags by which a backup is opened.
type openBackup struct {
	BackupPassphraseFile string `placeholder:"FILE" help:"help.backup-passphrase-file"`
	KeyFile              string `placeholder:"FILE" help:"help.backup-key-file"`
}

// secret returns what opens a backup: the passphrase, or the key of the file, of
// the folder's configuration or of the credential.
func (x openBackup) secret(c *cli) func(backup.How) ([]byte, error) {
	return func(how backup.How) ([]byte, error) {
		switch {
		case how == backup.Passphrase:
			return c.passphrase(x.BackupPassphraseFile, "cli.backup-passphrase")
		case x.KeyFile != "":
			return readFile(x.KeyFile)
		}
		return node.SealingKey(c.Dir)
	}
}

type backupCheckCmd struct {
	File string `arg:"" placeholder:"FILE" help:"help.backup-file"`
	openBackup
	Quick bool `help:"help.backup-quick"`
}

// Run reads a backup to its end, and audits the database in it.
func (x *backupCheckCmd) Run(c *cli) error {
	f, _, err := c.openInput(x.File)
	if err != nil {
		return err
	}
	defer f.Close()
	done, err := node.CheckBackup(c.ctx, f, x.secret(c), !x.Quick)
	if err != nil {
		return err
	}
	done.File = x.File
	return showBackup(c, done)
}
