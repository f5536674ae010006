package demo

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// The persons of the demo, all invented.
var (
	americans = map[string]string{"admin": "A. Brooks", "liaison": "L. Chen", "duty": "D. Rivera", "release1": "R. Hayes", "release2": "K. Morgan"}
	japanese  = map[string]string{"admin": "高橋 亮 TAKAHASHI", "liaison": "伊藤 玲 ITO", "duty": "佐藤 健 SATO", "release1": "森 舞 MORI", "release2": "渡辺 誠 WATANABE"}
)

// stay leaves something to do on each desk, says where to sign in, and waits
// until somebody ends the demo.
func (s *show) stay(ctx context.Context) error {
	if err := s.leave(ctx); err != nil {
		s.print(locale.T(s.Lang, "demo.failed", locale.T(s.Lang, "step.desks")))
		return fmt.Errorf("demo: desks: %w", err)
	}
	s.print("")
	s.print(locale.T(s.Lang, "demo.sign-in", s.passphrase))
	for _, desk := range []struct {
		at     *party
		person string
	}{{s.jpn, "duty"}, {s.usa, "release2"}} {
		for _, l := range locale.Langs {
			s.print(fmt.Sprintf("  %s  %s  %s", desk.at.Sign, desk.at.signInLink(desk.person, l), locale.T(l, "console.lang."+string(l))))
		}
	}
	s.print(locale.T(s.Lang, "demo.desks"))
	s.print(locale.T(s.Lang, "demo.look", s.usa.dir, s.jpn.dir))
	s.print(locale.T(s.Lang, "demo.stop"))
	<-ctx.Done()
	return nil
}

// signInLink is where a person signs in to the party's screens, in a language.
func (p *party) signInLink(person string, l locale.Lang) string {
	_, port, _ := strings.Cut(p.screens, ":")
	return "https://localhost:" + port + "/signin?" + url.Values{"lang": {string(l)}, "person": {person}}.Encode()
}

// leave leaves a FLASH that JPN-01 has not acknowledged, and at each node a
// release that its first officer has signed and the second has not.
func (s *show) leave(ctx context.Context) error {
	if err := s.jpn.halfway(ctx, web.ImportRef{Name: "port-terminal.json"}, func() string { return portTerminal(time.Now()) }); err != nil {
		return err
	}
	if _, err := s.jpn.acknowledgeFlash(ctx); err != nil {
		return err
	}
	id, err := s.flash(ctx, edge, "demo-01.example")
	if err != nil {
		return err
	}
	if err := s.approveFlash(ctx); err != nil {
		return err
	}
	if err := s.until(ctx, time.Minute, "FLASH at JPN-01", func() (bool, error) { return s.jpn.hasWarning(ctx, id) }); err != nil {
		return err
	}
	if _, err := s.usa.acknowledgeFlash(ctx); err != nil { // its own
		return err
	}
	if err := s.meet(ctx, "demo-01.example", 3); err != nil {
		return err
	}
	list := func() string { return "edge-staging.example\n198.51.100.77:8443\n203.0.113.20\n" }
	return s.usa.halfway(ctx, web.ImportRef{Name: "edge-vpn-addresses.txt", Format: "list", Marking: "tlp:amber"}, list)
}

// meet has a sensor of JPN-01 see a name that many times, now.
func (s *show) meet(ctx context.Context, name string, times int) error {
	var b strings.Builder
	for i := range times {
		at := time.Now().UTC().Add(time.Duration(i-times) * time.Second).Format("2006-01-02T15:04:05.000000Z")
		fmt.Fprintf(&b, `{"_path":"dns","ts":%q,"uid":"Cdemo%d","id.orig_h":"10.0.0.%d","id.orig_p":53111,"id.resp_h":"10.0.0.1","id.resp_p":53,"proto":"udp","query":%q,"rcode_name":"NOERROR"}`+"\n", at, i, i+11, name)
	}
	log := filepath.Join(s.dir, "now.json")
	if err := os.WriteFile(log, []byte(b.String()), 0o600); err != nil {
		return err
	}
	return s.jpn.command(ctx, "match", log, "--record", "--sensor", sensor, "-q")
}

// edge is what the FLASH says that waits for an acknowledgement.
var edge = watch.Draft{TitleEN: "Edge VPN appliances exploited before a patch: isolate or update", TitleJA: "修正前の境界VPN装置の脆弱性を悪用：隔離又は更新を要請",
	TextEN:   "Within the last hour two operators saw administrators' logins from this name. Isolate every appliance that contacted it, or update it and restart it. Report what you find as sightings.",
	TextJA:   "この名前を経由した管理者権限でのログインが、過去1時間に二つの事業者で確認されました。通信した装置を隔離し、又は更新して再起動してください。確認結果は観測として報告してください。",
	Severity: noroshi.High, Precedence: noroshi.Flash, Action: "isolate", Marking: "tlp:amber"}

// halfway imports a file at a party and has the first release officer sign what
// waits because of it.
func (p *party) halfway(ctx context.Context, in web.ImportRef, text func() string) error {
	var r intake.Report
	if err := p.callBody(ctx, "import", in, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text())), nil }, &r); err != nil {
		return err
	}
	if r.Quarantined > 0 {
		return fmt.Errorf("%s: %d quarantined: %v", in.Name, r.Quarantined, r.Faults)
	}
	if _, err := p.Settled(ctx); err != nil {
		return err
	}
	var rows []web.HoldRow
	if err := p.call(ctx, "release.list", web.HoldRef{}, &rows); err != nil {
		return err
	}
	if len(rows) == 0 {
		return errors.New("nothing of " + in.Name + " waits for an officer at " + string(p.Sign))
	}
	for _, h := range rows {
		if err := p.Approve(ctx, h.ID, "release1"); err != nil {
			return err
		}
	}
	return nil
}

//go:embed port-terminal.json
var portTerminalJSON string

// portTerminal is a warning of JPN-01's own, published shortly before now: what is
// marked TLP:RED of it stays, and so does a note about it.
func portTerminal(now time.Time) string {
	at := now.UTC().Add(-20 * time.Minute).Truncate(time.Second)
	return strings.ReplaceAll(portTerminalJSON, "2026-11-24T05:20:00.000Z", at.Format("2006-01-02T15:04:05.000Z"))
}
