package nodetest_test

import (
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
)

// What comes into one process of a node is decided and sent by the one that
// leads; when that ends, one that waited leads, on the same address, and goes
// on. One without the role never leads.
func TestProcessesOfOneNode(t *testing.T) {
	t.Parallel()
	if storetest.Engine() != storetest.Postgres {
		t.Skip("one process has a file")
	}
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	door, standby := usa.Beside(node.RoleWeb), usa.Beside()
	arrives := func(value string) {
		t.Helper()
		door.Import(value, "tlp:green", strings.NewReader(value+"\n"))
		jpn.Until(value+" is there", func() (bool, error) {
			found := false
			err := jpn.Node.Store.Each(t.Context(), "indicator", 0, func(r store.Record) error {
				found = found || strings.Contains(r.Object.Text("pattern"), value)
				return nil
			})
			return found, err
		})
	}
	arrives("one.example")
	usa.Stop()
	arrives("two.example")
	nodetest.Whole(t, standby, jpn)
	usa.Start()
	arrives("three.example")
	usa.Until("all armed", func() (bool, error) { return usa.Node.Index.Stats().Indicators == 3, nil })
	// Keys that one process makes are those of all.
	order(t, door, "key.rotate", noroshi.Order{Action: noroshi.ActRotateKey, Key: &noroshi.KeyOrder{Use: noroshi.KeyControl}})
	for _, p := range []*nodetest.Party{usa, door, standby} {
		p.Until("the new keys", func() (bool, error) { return p.Node.Keys.Keyset().Version == 2, nil })
	}
	arrives("four.example")
	for _, p := range []*nodetest.Party{usa, door, jpn} {
		p.Intact()
	}
}
