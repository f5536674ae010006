package node

import (
	"path/filepath"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/durable"
)

// vault is the file beside the database that holds the secrets of LINKs, sealed
// as the node's keys are. It is written anew as a whole, so that what is not in
// it any more is gone.
type vault struct {
	dir   string
	conf  Config
	realm noroshi.Realm
}

func (n *Node) vault() courier.Vault { return vault{dir: n.Dir, conf: n.Config, realm: n.Realm} }

func (v vault) path() string    { return filepath.Join(v.dir, v.realm.File()+".links") }
func (v vault) purpose() string { return "noroshi links " + v.realm.String() }

// Load opens the file; none is the beginning.
func (v vault) Load() ([]byte, error) {
	return readSealed(v.dir, v.conf, v.path(), v.purpose())
}

// Save puts a new file in its place.
func (v vault) Save(secrets []byte) error {
	secret, _, err := sealKey(v.dir, v.conf, false)
	if err != nil {
		return err
	}
	sealed, err := sealBytes(secret, secrets, v.purpose())
	if err != nil {
		return err
	}
	return durable.Write("links", v.path(), sealed)
}
