package release_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/tier"
)

func parsed(t testing.TB, file string) *noroshi.Agreement {
	t.Helper()
	a, err := noroshi.ParseAgreement([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func template(p noroshi.Party, version int) string {
	return string(release.Template(release.Draft{Version: version, Realm: real, Self: usa, Partner: p, From: now.AddDate(0, -1, 0), Until: now.AddDate(0, 1, 0), Statements: []string{allowed}}))
}

// changes writes what a rehearsal found, one line a change.
func changes(r release.Rehearsal) string {
	var lines []string
	for _, p := range r.Partners {
		for _, c := range p.Changes {
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s %d, %d gone", p.CallSign, c.Outcome, c.Key, c.Count, c.Gone)))
		}
	}
	return strings.Join(lines, "\n")
}

// TestRehearse: what another agreement would change is told per partner and
// nothing of it is done.
func TestRehearse(t *testing.T) {
	o := newOffice(t, jpn, kor)
	o.put(version(t, made, "", object("intrusion-set", 1, usa.Identity, noroshi.Green, `,"name":"goes and would not"`)),
		version(t, made, "", object("malware", 2, usa.Identity, noroshi.Amber, `,"name":"is held and would go","is_family":false`)),
		version(t, made, "", object("tool", 3, usa.Identity, noroshi.Clear, `,"name":"goes and would be held"`)),
		version(t, made, "", object("campaign", 4, usa.Identity, noroshi.Clear, `,"name":"stays as it is"`)),
		version(t, fromJPN, "", object("campaign", 5, jpn.Identity, noroshi.Clear, `,"name":"theirs"`)))
	o.settle()
	before, head := o.acts(), o.head()
	file := template(jpn, 2)
	file = strings.Replace(file, `sighting_mark`, "onward = \"none\"\nsighting_mark", 1)
	file = strings.Replace(file, `resource.level <= 2 && resource.precedence <= 3`, `resource.level == 1 && resource.type != "tool" || resource.type == "malware" && resource.level == 3`, 1)
	file = strings.Replace(file, `resource.level >= 3 && resource.level <= 4 && resource.precedence <= 3 && ["self"].contains(resource.source)`, `resource.type == "tool"`, 1)
	r, err := o.desk.Rehearse(o.ctx, parsed(t, file), time.Time{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := "JPN-01 release 1, 0 gone\nJPN-01 hold two-persons 1, 1 gone\nJPN-01 deny 1, 1 gone\nKOR-01 deny 1, 1 gone"
	if got := strings.ReplaceAll(changes(r), "  ", " "); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if s := r.Partners[0].Changes[0].Samples; len(s) != 1 || s[0].Was != "hold" || s[0].WasKey != noroshi.TwoPersons || len(s[0].Reasons) == 0 {
		t.Errorf("sample: %+v", s)
	}
	if r.Objects != 5 || r.From < 1 || r.To < r.From+4 || r.FromTime.IsZero() || r.ToTime.Before(r.FromTime) || r.InForce.IsZero() || r.InForce == r.Agreement {
		t.Errorf("the window: %+v", r)
	}
	if o.acts() != before || o.head() != head {
		t.Error("a rehearsal wrote something")
	}
	// The agreement in force against itself changes nothing.
	if r, err = o.desk.Rehearse(o.ctx, parsed(t, template(jpn, 0)), time.Time{}, nil); err != nil || changes(r) != "" {
		t.Errorf("the same terms change\n%s, %v", changes(r), err)
	}
	// And it is exactly what then happens.
	o.agree(jpn, []byte(file))
	o.settle()
	if got := o.sends(jpn); len(got) != 2 {
		t.Errorf("in force %d go, want the one that would go and the one that stays: %v", len(got), got)
	}
}

// TestRehearseAsOf: the moment decides which agreement was in force, and what
// was admitted later is outside the window.
func TestRehearseAsOf(t *testing.T) {
	o := newOffice(t, jpn)
	listed(t, o, 3, noroshi.Green)
	then := o.now
	o.now = o.now.Add(time.Hour)
	o.put(version(t, made, "", object("malware", 9, usa.Identity, noroshi.Green, `,"name":"later","is_family":false`)))
	a := parsed(t, strings.ReplaceAll(template(jpn, 2), "resource.level <= 2", "resource.level <= 1"))
	for _, x := range []struct {
		at   time.Time
		want string
	}{{time.Time{}, "JPN-01 hold two-persons 4, 0 gone"}, {then, "JPN-01 hold two-persons 3, 0 gone"}, {then.Add(-time.Hour), ""}, {now.AddDate(0, 2, 0), ""}} {
		r, err := o.desk.Rehearse(o.ctx, a, x.at, nil)
		if got := strings.ReplaceAll(changes(r), "  ", " "); err != nil || got != x.want {
			t.Errorf("as of %s: got %q, %v; want %q", x.at, got, err, x.want)
		}
	}
	later := parsed(t, strings.Replace(string(a.File), "from = 2026", "from = 2026", 1))
	later.From = now.AddDate(0, 0, 5)
	if r, err := o.desk.Rehearse(o.ctx, later, time.Time{}, nil); err != nil || r.At.Before(now) || !strings.Contains(changes(r), "hold two-persons 4") {
		t.Errorf("one that begins later: %+v, %v", r, err)
	}
}

func (o *office) head() int64 {
	o.t.Helper()
	h, err := o.store.Head(o.ctx)
	if err != nil {
		o.t.Fatal(err)
	}
	return h
}

// BenchmarkRehearse rehearses over a list.
func BenchmarkRehearse(b *testing.B) {
	n := tier.N(20_000, 100_000)
	o := newOffice(b, jpn)
	listed(b, o, n, noroshi.Green)
	o.settle()
	a := parsed(b, strings.ReplaceAll(template(jpn, 2), "resource.level <= 2", "resource.level <= 1"))
	for b.Loop() {
		r, err := o.desk.Rehearse(o.ctx, a, time.Time{}, nil)
		if err != nil || r.Objects != n || r.Partners[0].Changes[0].Count != n {
			b.Fatalf("%d of %d, %v", r.Objects, n, err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "objects/s")
}
