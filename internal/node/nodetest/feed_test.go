package nodetest_test

import (
	"crypto/tls"
	"encoding/pem"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door/feed"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// caOf keeps the certificate that a node shows in a file.
func caOf(t *testing.T, addr string) string {
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

// fed makes a node that reads a shelf of another by TAXII.
func fed(t *testing.T, from *nodetest.Party, every string) *nodetest.Party {
	t.Helper()
	addr := strings.TrimPrefix(from.Node.Endpoints()[0], "https://")
	dir := filepath.Join(t.TempDir(), "jpn-01")
	if err := node.Init(t.Context(), dir, node.Config{CallSign: "JPN-01", Feeds: node.FeedsConfig{AllowHosts: []string{addr},
		AllowNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, OwnDomains: []string{"mod.example"}}}); err != nil {
		t.Fatal(err)
	}
	jpn := nodetest.In(t, dir, "JPN-01", noroshi.Real)
	from.Must("collection.add", web.CollectionAdd{Name: "out", Select: []string{"type=indicator"}}, nil)
	var token web.ClientToken
	from.Must("client.add", web.ClientAdd{Name: "jpn", Read: []string{"out"}}, &token)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token.Token), 0o600); err != nil {
		t.Fatal(err)
	}
	jpn.Must("feed.add", web.FeedAdd{Name: "usa", Kind: feed.TAXII, URL: "https://" + addr + "/taxii2/api1/", Collection: "out", Every: every,
		Access: feed.Access{TokenFile: file, CAFile: caOf(t, addr)}}, nil)
	return jpn
}

func listed(prefix string, n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(prefix + strings.Repeat("x", i%7) + "-" + string(rune('a'+i%26)) + time.Duration(i).String() + ".example.org\n")
	}
	return b.String()
}

// TestFeedFromAnotherNode: what lies on a node's shelf is armed at another that
// reads it on schedule; a poisoned day waits whole for a person; a server that is
// gone is shown in list, status and doctor.
func TestFeedFromAnotherNode(t *testing.T) {
	t.Parallel()
	usa := nodetest.New(t, "USA-01", noroshi.Real)
	jpn := fed(t, usa, "24h")
	usa.Import("first.txt", "tlp:green", strings.NewReader(listed("first", 120)))
	armed := func(want int) {
		t.Helper()
		jpn.Until("armed", func() (bool, error) {
			var a web.ArmedState
			err := jpn.Do(t.Context(), "indicator.armed", web.ArmedRef{}, &a)
			return a.Indicators == want, err
		})
	}
	laid := func(want int) {
		t.Helper()
		usa.Until("laid on the shelf", func() (bool, error) {
			var rows []web.CollectionRow
			err := usa.Do(t.Context(), "collection.list", nil, &rows)
			return len(rows) == 1 && rows[0].Objects == want, err
		})
	}
	var signed *noroshi.Signed
	run := func(accept bool) (s feed.State) {
		t.Helper()
		jpn.Until("the feed is read", func() (bool, error) {
			err := jpn.Do(t.Context(), "feed.run", web.FeedName{Name: "usa", Accept: accept, By: signed}, &s)
			if noroshi.KindOf(err) == noroshi.Busy && code(err) == "feed.running" {
				return false, nil
			}
			return true, err
		})
		return s
	}
	laid(120)
	run(false)
	armed(120)
	later := func(d time.Duration) {
		t.Helper()
		jpn.Stop()
		jpn.Ahead += d
		jpn.Start()
	}
	total := 120
	for _, day := range []string{"second", "third", "fourth"} {
		usa.Import(day+".txt", "tlp:green", strings.NewReader(listed(day, 120)))
		total += 120
		laid(total)
		later(25 * time.Hour)
		armed(total) // by schedule
	}
	usa.Import("poison.txt", "tlp:green", strings.NewReader("www.mod.example\n"+listed("poison", 500)))
	laid(total + 501)
	later(25 * time.Hour)
	var list []feed.Status
	jpn.Until("it waits", func() (bool, error) {
		err := jpn.Do(t.Context(), "feed.list", nil, &list)
		return len(list) == 1 && list[0].State.Waiting > 0, err
	})
	if s := list[0].State; s.Code != "feed.volume" || s.Waiting != 500 {
		t.Errorf("poisoned: %+v", s)
	}
	armed(total)
	if got := checkOf(t, jpn); got != "warn feed-waits" {
		t.Errorf("doctor says %s", got)
	}
	by, err := jpn.Signed(t.Context(), "duty", noroshi.ActImport, feed.AcceptSubject("usa"), feed.AcceptBound(list[0].State))
	if err != nil {
		t.Fatal(err)
	}
	other := by
	other.Person = "admin"
	if err := jpn.Do(t.Context(), "feed.run", web.FeedName{Name: "usa", Accept: true, By: &other}, nil); noroshi.KindOf(err) != noroshi.Forbidden {
		t.Errorf("accepted in another's name: %v", err)
	}
	signed = &by
	if s := run(true); s.Read.New != 500 || s.Read.Quarantined != 1 {
		t.Errorf("accepted: %+v", s)
	}
	armed(total + 500)
	// What is protected comes in on the signature of who may import, and no other.
	var waiting []web.QuarantineRow
	jpn.Must("quarantine.list", web.ListRef{Limit: 10}, &waiting)
	if len(waiting) != 1 || waiting[0].Code != "protected" {
		t.Fatalf("in quarantine: %+v", waiting)
	}
	for _, person := range []string{"release1", "duty"} {
		by, err := jpn.Signed(t.Context(), person, noroshi.ActImport, intake.QuarantineSubject(waiting[0].Seq), waiting[0].Bound)
		if err != nil {
			t.Fatal(err)
		}
		if err := jpn.Do(t.Context(), "quarantine.release", web.QuarantineRef{Seq: waiting[0].Seq, By: by}, nil); (err == nil) != (person == "duty") {
			t.Errorf("let in by %s: %v", person, err)
		}
	}
	armed(total + 501)
	jpn.Must("quarantine.list", web.ListRef{Limit: 10}, &waiting)
	if len(waiting) != 1 || waiting[0].By != "duty" || waiting[0].Released == "" {
		t.Errorf("in quarantine: %+v", waiting)
	}
	if !slices.ContainsFunc(record(t, jpn.Node.Store), func(e store.Entry) bool {
		return e.Act.Action == noroshi.ActImport && e.Act.Count > 0 && len(e.Act.Persons) == 1 && e.Act.Persons[0].Person == "duty"
	}) {
		t.Error("who accepted is not on record")
	}
	if got := checkOf(t, jpn); got != "ok feed-read" {
		t.Errorf("doctor says %s", got)
	}

	usa.Stop()
	var s feed.State
	if err := jpn.Do(t.Context(), "feed.run", web.FeedName{Name: "usa"}, &s); code(err) != "feed.unreachable" {
		t.Errorf("the server is down: %v", err)
	}
	if got := checkOf(t, jpn); got != "warn feed-failing" {
		t.Errorf("doctor says %s", got)
	}
	later(4 * 24 * time.Hour)
	if got := checkOf(t, jpn); got != "warn feed-silent" {
		t.Errorf("doctor says %s", got)
	}
	var status web.Status
	jpn.Must("status", nil, &status)
	if len(status.Feeds) != 1 || !status.Feeds[0].Silent || status.Feeds[0].State.Failures == 0 {
		t.Errorf("status says %+v", status.Feeds)
	}
	jpn.Intact()
}

// checkOf is what doctor says of the feeds.
func checkOf(t *testing.T, p *nodetest.Party) string {
	t.Helper()
	var checks []web.Check
	p.Must("doctor", nil, &checks)
	for _, c := range checks {
		if c.Name == "feed" {
			return c.State + " " + c.Code
		}
	}
	return ""
}

// TestVanishedAtThePartner: an entry that a list no longer has is disarmed at
// the partner that has it too, and armed there again when it is back.
func TestVanishedAtThePartner(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	dir := t.TempDir()
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "list.txt"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	there := func(want int) {
		t.Helper()
		usa.Settle()
		nodetest.Whole(t, usa, jpn)
		jpn.Until("armed there", func() (bool, error) {
			var a web.ArmedState
			err := jpn.Do(t.Context(), "indicator.armed", web.ArmedRef{}, &a)
			return a.Indicators == want, err
		})
	}
	write("a.example.org\nb.example.org\nc.example.org\n")
	usa.Must("feed.add", web.FeedAdd{Name: "drop", Kind: feed.Folder, Path: dir, Marking: "TLP:GREEN", Every: "1h", RevokeVanished: true, Paused: true}, nil)
	usa.Must("feed.run", web.FeedName{Name: "drop"}, nil)
	there(3)
	write("a.example.org\nc.example.org\n")
	usa.Must("feed.run", web.FeedName{Name: "drop"}, nil)
	there(2)
	write("a.example.org\nc.example.org\nb.example.org\n")
	usa.Must("feed.run", web.FeedName{Name: "drop"}, nil)
	there(3)
	usa.Intact()
	jpn.Intact()
}
