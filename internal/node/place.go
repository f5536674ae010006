package node

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// StoreConfig says where a node keeps what it has.
type StoreConfig struct {
	// DSN is the address of a PostgreSQL database of this node alone, such as
	// postgres://noroshi@db.example/noroshi?sslmode=verify-full. Each realm has a
	// schema of its own in it. Several processes of the node may share it; they
	// share the data folder too, for the keys and the recall list. Empty (the
	// default): a SQLite file for each realm in the data folder.
	DSN string `toml:"dsn,omitempty"`
	// DSNFile is a file with the DSN, for one with a password in it.
	DSNFile string `toml:"dsn_file,omitempty"`
}

func (c StoreConfig) check() (field string, err error) {
	switch {
	case c.DSN != "" && c.DSNFile != "":
		return "store.dsn", errors.New("give it, or dsn_file, not both")
	case c.DSN != "" && !store.IsDSN(c.DSN):
		return "store.dsn", errors.New("it must begin with postgres://")
	}
	return "", nil
}

// place returns where a realm of the node in dir is kept, as store.Open takes
// it.
func (c Config) place(dir string, r noroshi.Realm) (string, error) {
	dsn := c.Store.DSN
	if file := c.Store.DSNFile; file != "" {
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		b, err := os.ReadFile(file)
		if err == nil && !store.IsDSN(string(b)) {
			err = fmt.Errorf("%s must have an address that begins with postgres://", file)
		}
		if err != nil {
			return "", noroshi.Errorf(noroshi.Invalid, "config.field", "%s: %s: %w", filepath.Join(dir, configName), "store.dsn_file", err)
		}
		dsn = string(bytes.TrimSpace(b))
	}
	if dsn == "" {
		return filepath.Join(dir, r.File()), nil
	}
	return dsn, nil
}
