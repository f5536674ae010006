package nodetest_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier/mail/mailtest"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/cable"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// rewriter is a foreign gateway: it greylists each sender once, puts a disclaimer
// and another subject on each letter and hands it on twice.
type rewriter struct {
	to    string
	asked atomic.Int64
}

func (g *rewriter) NewSession(*smtp.Conn) (smtp.Session, error) { return &rewriting{g: g}, nil }

type rewriting struct {
	g        *rewriter
	from, to string
}

func (x *rewriting) Reset()        {}
func (x *rewriting) Logout() error { return nil }
func (x *rewriting) Mail(from string, _ *smtp.MailOptions) error {
	x.from = from
	return nil
}
func (x *rewriting) Rcpt(to string, _ *smtp.RcptOptions) error {
	x.to = to
	if x.g.asked.Add(1) == 1 {
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "Greylisted"}
	}
	return nil
}

func (x *rewriting) Data(r io.Reader) error {
	letter, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	at := bytes.Index(letter, []byte("Content-Type: "))
	if at < 0 {
		return errors.New("a letter without a type")
	}
	rewritten := append([]byte("Subject: [EXTERNAL]\r\nContent-Type: multipart/mixed; boundary=xyz\r\n\r\n--xyz\r\nContent-Type: text/plain\r\n\r\nThis is from outside.\r\n--xyz\r\n"),
		append(letter[at:], "\r\n--xyz--\r\n"...)...)
	for range 2 {
		if err := mailtest.Deliver(x.g.to, x.from, x.to, rewritten); err != nil {
			return err
		}
	}
	return nil
}

func rewrites(t *testing.T, to string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := smtp.NewServer(&rewriter{to: to})
	s.Domain = "rewriter.example"
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
	return ln.Addr().String()
}

// withMail makes a node that partners reach over a cable, and by mail.
func withMail(t *testing.T, sign noroshi.CallSign, m node.MailConfig) (*nodetest.Party, *cable.Cable) {
	t.Helper()
	config := node.Config{CallSign: sign, Listen: nodetest.Free(t), Heartbeat: time.Second, Mail: m}
	if storetest.Engine() == storetest.Postgres {
		config.Store.DSN = storetest.DSN(t)
	}
	c, err := cable.Lay(t.Context(), config.Listen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Cut)
	config.Endpoints = []string{"https://" + c.From(), "mailto:" + m.From}
	dir := filepath.Join(t.TempDir(), strings.ToLower(string(sign)))
	if err := node.Init(t.Context(), dir, config); err != nil {
		t.Fatal(err)
	}
	return nodetest.In(t, dir, sign, noroshi.Real), c
}

// TestMailCarriesWhenTheNetworkIsCut: one way a real Exim hands letters on, the
// other way a gateway that greylists, rewrites and doubles them. With the network
// cut everything goes by mail, and comes once; when it is back, it is taken again.
func TestMailCarriesWhenTheNetworkIsCut(t *testing.T) {
	t.Parallel()
	atUSA, atJPN := nodetest.Free(t), nodetest.Free(t)
	exim := mailtest.Start(t, map[string]string{"jpn.example": atJPN})
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(mailtest.Password), 0o600); err != nil {
		t.Fatal(err)
	}
	usa, mine := withMail(t, "USA-01", node.MailConfig{From: "noroshi@usa.example", Listen: atUSA, Turn: time.Second,
		Relay: exim.Address, Pin: hex.EncodeToString(exim.Pin[:]), User: mailtest.User, PasswordFile: password})
	jpn, theirs := withMail(t, "JPN-01", node.MailConfig{From: "noroshi@jpn.example", Listen: atJPN, Turn: time.Second,
		Relay: rewrites(t, atUSA), Security: "none"})
	if _, err := crew.Introduce(t.Context(), &usa.Crew, &jpn.Crew); err != nil {
		t.Fatal(err)
	}
	var draft string
	usa.Must("agreement.draft", web.DraftRef{With: "JPN-01", Days: 365}, &draft)
	file := strings.Replace(draft, `channels = ["https"]`, `channels = ["https", "mail"]`, 1)
	if _, err := crew.Sign(t.Context(), &usa.Crew, &jpn.Crew, []byte(file)); err != nil {
		t.Fatal(err)
	}
	messages := tier.N(30, 300)
	bring := func(from, to int) {
		for i := from; i < to; i++ {
			usa.Import(fmt.Sprintf("%d.txt", i), "tlp:green", strings.NewReader(fmt.Sprintf("host-%d.example.net\n", i)))
		}
		usa.Settle()
	}
	bring(0, messages/3)
	nodetest.Whole(t, usa, jpn)
	mine.Cut()
	theirs.Cut()
	id := flash(t, usa, 0)
	bring(messages/3, messages)
	nodetest.Whole(t, usa, jpn)
	if _, err := jpn.Node.Store.Current(t.Context(), id); err != nil {
		t.Errorf("the FLASH: %v", err)
	}
	for _, c := range []*cable.Cable{mine, theirs} {
		if err := c.Mend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	usa.Until("the network is taken again", func() (bool, error) {
		changes, err := pathChanges(t, usa)
		// Why it left is chance: on a busy machine mail may have answered sooner, and been taken before the cut.
		cut := slices.ContainsFunc(changes, func(s string) bool { return strings.HasPrefix(s, "https > mail, ") })
		return cut && slices.Contains(changes, "mail > https, better"), err
	})
	got := map[stix.ID]int{}
	if err := jpn.Node.Store.Each(t.Context(), "indicator", 0, func(r store.Record) error {
		got[r.Object.ID]++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(got) != messages+1 {
		t.Errorf("%d indicators came, want %d", len(got), messages+1)
	}
	usa.Intact()
	jpn.Intact()
}

// pathChanges are those on record.
func pathChanges(t *testing.T, p *nodetest.Party) (changes []string, err error) {
	t.Helper()
	for _, e := range record(t, p.Node.Store) {
		if e.Act.Action == noroshi.ActChangePath {
			changes = append(changes, e.Act.Subject)
		}
	}
	return changes, nil
}
