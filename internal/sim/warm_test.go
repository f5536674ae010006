package sim_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1) // one order of goroutines, as far as there is one
	if err := warm(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// warm has the process make, outside of any bubble, what it makes once and every
// seed uses: the coders of message wait on channels, and a channel of one bubble
// serves in no other.
func warm() error {
	now := time.Now()
	a, err := message.NewKeyring(noroshi.Real, now)
	if err != nil {
		return err
	}
	b, err := message.NewKeyring(noroshi.Real, now)
	if err != nil {
		return err
	}
	secret, agreement := make([]byte, 32), noroshi.Hash{1}
	c := message.Context{Realm: noroshi.Real, From: a.NodeID(), To: b.NodeID(), Epoch: message.Epoch{1}, Agreement: agreement}
	listed := message.ListIndicator("identity--5a1f6c2e-2d3b-4c57-9a43-0d8a1f1a0001", "list", "2026-11-20T03:04:05.678Z", noroshi.DomainName, "example.net", 1)
	content := message.EncodeObjects([]message.Object{{Bytes: listed}, {Bytes: listed}})
	for _, packings := range [][]uint8{nil, {2}, {128}, {129}} {
		m, err := message.Sign(a, c, message.Header{Seq: 1, Kind: message.Data, Prec: noroshi.Routine, Created: now, Label: "TLP:GREEN", Form: message.ObjectsForm}, content)
		if err != nil {
			return err
		}
		out := message.Outbound{Realm: noroshi.Real, From: a.NodeID(), To: b.Keyset(), Secret: secret, Now: now, Packings: packings}
		narrow := out
		narrow.Suite, narrow.Full, narrow.Links = message.S2, true, []message.LinkBody{{Gate: [32]byte{1}, Line: [32]byte{2}, Day: message.DayOf(now)}}
		if _, err := message.Seal(message.Plain{Message: m}, narrow, rand.Reader); err != nil {
			return err
		}
		e, err := message.Seal(message.Plain{Message: m}, out, rand.Reader)
		if err != nil {
			return err
		}
		in := message.Inbound{Realm: noroshi.Real, From: a.NodeID(), To: b.NodeID(), Secret: secret, Keys: a.Keyset(), Agreements: []noroshi.Hash{agreement}, Now: now, Packings: packings}
		if _, err := message.Unseal(b, in, e); err != nil {
			return err
		}
	}
	return nil
}
