package main

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi/internal/door/feed"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// TestKilledFeed: a node reads a shelf of another by TAXII while that one is
// written to and either is killed with SIGKILL at any moment. In the end nothing
// is lost, nothing is twice, and the record is intact.
func TestKilledFeed(t *testing.T) {
	t.Parallel()
	kills, size := tier.N(8, 60), 700
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	usa := newSite(t, "USA-01")
	config, err := node.ReadConfig(usa.dir)
	if err != nil {
		t.Fatal(err)
	}
	addr := config.Listen
	jpn := newSite(t, "JPN-01", func(c *node.Config) {
		c.Feeds = node.FeedsConfig{AllowHosts: []string{addr}, AllowNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	})
	usa.must("collection.add", web.CollectionAdd{Name: "out", Select: []string{"type=indicator"}}, nil)
	var token web.ClientToken
	usa.must("client.add", web.ClientAdd{Name: "jpn", Read: []string{"out"}}, &token)
	ca, secret := certificateOf(t, addr), filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(secret, []byte(token.Token), 0o600); err != nil {
		t.Fatal(err)
	}
	jpn.must("feed.add", web.FeedAdd{Name: "usa", Kind: feed.TAXII, URL: "https://" + addr + "/taxii2/api1/", Collection: "out", Every: "1m",
		Access: feed.Access{TokenFile: secret, CAFile: ca}}, nil)
	read := func() (s feed.State, err error) {
		err = jpn.call(t.Context(), "feed.run", web.FeedName{Name: "usa"}, &s)
		return s, err
	}
	for i := range kills {
		var busy sync.WaitGroup
		busy.Go(func() {
			if err := usa.take(fmt.Sprintf("list-%d", i), listOf("usa-01", i*size, (i+1)*size), nil); err != nil {
				t.Error(err)
			}
		})
		busy.Go(func() { _, _ = read() }) // it may die, or meet the schedule: what counts is the end
		pause(t.Context().Done(), time.Duration(random.IntN(250))*time.Millisecond)
		jpn.signal(syscall.SIGKILL)
		if i%4 == 3 {
			usa.signal(syscall.SIGKILL)
		}
		busy.Wait()
	}
	total := kills * size
	var s feed.State
	err = crew.Until(t.Context(), crew.Patience, "all is read", func() (bool, error) {
		var rows []web.CollectionRow
		if err := usa.call(t.Context(), "collection.list", nil, &rows); err != nil || rows[0].Objects != total {
			return false, err
		}
		var err error
		s, err = read()
		return err == nil && s.Read.New == 0, err
	})
	if err != nil {
		t.Fatal(err)
	}
	var a web.ArmedState
	jpn.must("indicator.armed", web.ArmedRef{}, &a)
	if a.Indicators != total || a.Values != total {
		t.Errorf("%d indicators with %d values are armed, want %d", a.Indicators, a.Values, total)
	}
	if jpn.killed() == 0 {
		t.Error("nobody was killed")
	}
	var v web.Audited
	jpn.must("audit.verify", nil, &v)
	for _, f := range v.Faults {
		t.Errorf("audit: %s at %d in %s: %s", f.Code, f.Index, f.Table, f.Msg)
	}
	jpn.end()
	if all := versions(t, jpn.store(t)); len(all) != total {
		t.Errorf("%d versions of indicators are kept, want %d", len(all), total)
	}
	if left, _ := filepath.Glob(filepath.Join(jpn.dir, "real.db.feeds", "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// certificateOf keeps the certificate that a server shows in a file.
func certificateOf(t *testing.T, addr string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) // whose it is, is what is asked
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	cert := conn.ConnectionState().PeerCertificates[0]
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
