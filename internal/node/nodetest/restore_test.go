package nodetest_test

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door"
	"github.com/noroshi-cti/noroshi/internal/door/siem/siemtest"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/taxii"
)

// held returns the ids of the indicators at a node by value.
func held(t *testing.T, p *nodetest.Party) map[string]stix.ID {
	t.Helper()
	ids := map[string]stix.ID{}
	if err := p.Node.Store.Each(t.Context(), "indicator", 0, func(r store.Record) error {
		for _, v := range r.Values {
			ids[v.Text] = r.Object.ID
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return ids
}

// waysOut are the ways by which what a node has leaves it beside the streams to
// partners; each says whether it is open. One that is shut says so, and for how
// long.
func waysOut(t *testing.T, p *nodetest.Party) map[string]func() bool {
	t.Helper()
	p.Must("collection.add", web.CollectionAdd{Name: "tools"}, nil)
	tools, err := p.Node.Door.Collection(t.Context(), "tools")
	if err != nil {
		t.Fatal(err)
	}
	own, partner := letIn(t, p, web.ClientAdd{Name: "soc", Read: []string{"tools"}}), letIn(t, p, web.ClientAdd{Name: "jpn-soc", Partner: "JPN-01"})
	var seen struct {
		Collections []taxii.Collection `json:"collections"`
	}
	p.Until("the partner's collection", func() (bool, error) {
		partner.get("api1/collections/", &seen)
		return len(seen.Collections) == 1, nil
	})
	theirs := seen.Collections[0]
	asked := func(v visitor, path string) func() bool {
		return func() bool {
			status, body, _ := v.ask("GET", path, "")
			if status != http.StatusOK && status != http.StatusServiceUnavailable {
				t.Errorf("%s: %d %s", path, status, body)
			}
			return status == http.StatusOK
		}
	}
	return map[string]func() bool{
		"TAXII for our own tools": asked(own, "api1/collections/"+tools.ID+"/objects/"),
		"TAXII for a partner":     asked(partner, "api1/collections/"+theirs.ID+"/manifest/"),
		"export for sensors":      asked(own, "../export/tools/domains"),
		"export for a partner":    asked(partner, "../export/"+theirs.ID+"/domains"),
		"export to a file": func() bool {
			return went(t, p.Do(t.Context(), "export", web.ExportRef{Export: door.Export{Format: "domains", Max: []string{"TLP:GREEN"}}}, nil))
		},
		"export to a partner": func() bool {
			return went(t, p.Do(t.Context(), "export", web.ExportRef{Export: door.Export{Format: "stix"}, To: "JPN-01"}, nil))
		},
	}
}

// went reports whether an export was written, and not refused for the restore.
func went(t *testing.T, err error) bool {
	t.Helper()
	var e *noroshi.Error
	if err != nil && (!errors.As(err, &e) || e.Code != "node.not-armed") {
		t.Errorf("export: %v", err)
	}
	return err == nil
}

// TestRestoreFromBackup: the disk of one node is lost, the recall list with it.
// Put back from a backup it arms nothing until its partner has told what was
// recalled, then has again what the partner sent and what it had sent itself,
// and what was recalled is never armed again on either side.
func TestRestoreFromBackup(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	share := func(from *nodetest.Party, value string) {
		t.Helper()
		from.Import(value, "tlp:green", strings.NewReader(value+"\n"))
		from.Settle()
		nodetest.Whole(t, usa, jpn)
	}
	share(usa, "usa-before.example")
	share(jpn, "jpn-before.example")
	share(jpn, "jpn-recalled.example")
	share(usa, "usa-recalled.example")
	ways := waysOut(t, usa)
	for name, open := range ways {
		if !open() {
			t.Fatalf("%s gives nothing out", name)
		}
	}
	file := filepath.Join(t.TempDir(), "usa.backup")
	if done := usa.BackupTo(file); done.Acts == 0 || done.CallSign != usa.Sign {
		t.Fatalf("backed up: %+v", done)
	}
	share(usa, "usa-after.example")
	share(jpn, "jpn-after.example")
	ids := held(t, usa)
	for p, value := range map[*nodetest.Party]string{usa: "usa-recalled.example", jpn: "jpn-recalled.example"} {
		if _, err := recall(t, p, "duty", ids[value]); err != nil {
			t.Fatal(err)
		}
	}
	gone := func(p *nodetest.Party) bool {
		return !p.Node.Index.Armed(ids["usa-recalled.example"]) && !p.Node.Index.Armed(ids["jpn-recalled.example"])
	}
	for _, p := range []*nodetest.Party{usa, jpn} {
		p.Until("both recalled", func() (bool, error) { return gone(p) && p.Node.Index.Stats().Indicators == 4, nil })
	}
	nodetest.Whole(t, usa, jpn)

	jpn.Stop()
	usa.Stop()
	usa.Restore(file)
	r := siemtest.New(t)
	usa.SIEM = []node.SIEMConfig{{Name: "soc", Address: r.Addr, Format: "syslog", CAFile: r.CAFile, Max: []string{"TLP:AMBER"}}}
	usa.Start()
	if err := usa.Node.MayArm(t.Context()); noroshi.KindOf(err) != noroshi.Refused {
		t.Fatalf("before the recall list: %v", err)
	}
	usa.Until("waiting for recalls", func() (bool, error) {
		var s web.Status
		err := usa.Do(t.Context(), "status", nil, &s)
		return len(s.Links) == 1 && s.Links[0].Recovering == "recalls" && s.Armed == 0, err
	})
	if n := usa.Node.Index.Stats().Indicators; n != 0 {
		t.Errorf("%d indicators are armed before the recall list", n)
	}
	for name, open := range ways {
		if open() {
			t.Errorf("%s is open before the recall list", name)
		}
	}
	if told := r.Messages(); len(told) > 0 {
		t.Errorf("the SIEM was told %d things before the recall list", len(told))
	}
	jpn.Start()
	usa.Until("all but what was recalled", func() (bool, error) {
		if usa.Node.Index.Armed(ids["usa-recalled.example"]) || usa.Node.Index.Armed(ids["jpn-recalled.example"]) {
			t.Fatal("what was recalled is armed again")
		}
		return usa.Node.Index.Stats().Indicators == 4 && usa.Node.Index.Armed(ids["usa-after.example"]) && usa.Node.Index.Armed(ids["jpn-after.example"]) && gone(usa), nil
	})
	share(usa, "usa-again.example")
	share(jpn, "jpn-again.example")
	for _, p := range []*nodetest.Party{usa, jpn} {
		p.Until("armed", func() (bool, error) { return p.Node.Index.Stats().Indicators == 6 && gone(p), nil })
		if k := p.Node.Courier.Counters(); k.Seconds > 0 {
			t.Errorf("%s: %d second ids", p.Sign, k.Seconds)
		}
		p.Intact()
	}
	for name, open := range ways {
		if !open() {
			t.Errorf("%s is still shut", name)
		}
	}
	r.Until("what it waited for", func(got []string) bool { return len(got) > 0 })
	var s web.Status
	jpn.Must("status", nil, &s)
	if len(s.Alarms) != 1 || s.Alarms[0].Code != "peer-restored" {
		t.Errorf("the partner was told: %+v", s.Alarms)
	}
}

// TestPutBackToBeforeTheConsent: a node is put back to between its own consent and its
// partner's, or to before it knew of the agreement at all. It can read nothing that its
// partner says under the agreement, until it has that consent again; where it forgot
// its own, its officers consent anew; what it suspended since is suspended again.
func TestPutBackToBeforeTheConsent(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ consented, suspended bool }{{true, true}, {true, false}, {false, false}}[:tier.N(2, 3)] { // the last may take a minute more: LINKs are parted by that
		consented := x.consented
		t.Run(fmt.Sprintf("%+v", x), func(t *testing.T) {
			t.Parallel()
			usa, jpn := nodetest.New(t, "USA-01", noroshi.Real), nodetest.New(t, "JPN-01", noroshi.Real)
			if _, err := crew.Introduce(t.Context(), &usa.Crew, &jpn.Crew); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "jpn.backup")
			if !consented {
				jpn.BackupTo(file)
			}
			var text string
			jpn.Must("agreement.draft", web.DraftRef{With: usa.Sign, Days: 365}, &text)
			h := noroshi.Sum([]byte(text))
			signed := func(p *nodetest.Party, person string, a noroshi.Action) noroshi.Signed {
				t.Helper()
				by, err := p.Signed(t.Context(), person, a, h.String(), h)
				if err != nil {
					t.Fatal(err)
				}
				return by
			}
			consent := func(p *nodetest.Party) {
				t.Helper()
				for _, person := range []string{"release1", "release2"} {
					p.Must("agreement.sign", web.SignRef{Hash: h, By: signed(p, person, noroshi.ActSignAgreement)}, nil)
				}
			}
			is := func(p *nodetest.Party, state string) {
				t.Helper()
				p.Until("the agreement is "+state, func() (bool, error) {
					var rows []partner.AgreementRow
					err := p.Do(t.Context(), "agreement.list", nil, &rows)
					return len(rows) == 1 && rows[0].State == state, err
				})
			}
			jpn.Must("agreement.propose", web.ProposeRef{File: []byte(text), By: signed(jpn, "liaison", noroshi.ActProposeAgreement)}, nil)
			consent(jpn)
			if consented {
				jpn.BackupTo(file)
			}
			is(usa, "proposed")
			consent(usa)
			is(usa, "in-force")
			is(jpn, "in-force")
			nodetest.Whole(t, usa, jpn)
			if x.suspended {
				order(t, jpn, "agreement.suspend", noroshi.Order{Action: noroshi.ActSuspendAgreement, Agreement: h})
				is(usa, "suspended")
			}

			jpn.Stop()
			jpn.Restore(file)
			jpn.Start()
			if !consented {
				is(jpn, "proposed")
				consent(jpn)
			}
			if x.suspended {
				is(jpn, "suspended")
				order(t, jpn, "agreement.resume", noroshi.Order{Action: noroshi.ActResumeAgreement, Agreement: h})
			}
			is(jpn, "in-force")
			jpn.Import("list.txt", "tlp:green", strings.NewReader("after.example\n"))
			jpn.Settle()
			nodetest.Whole(t, usa, jpn)
			if held(t, usa)["after.example"] == "" {
				t.Error("what was imported after the restore did not arrive")
			}
		})
	}
}
