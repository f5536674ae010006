package watch_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/stix"
)

var at = time.Date(2026, 11, 24, 5, 12, 33, 0, time.UTC)

const canary = "canary-sensor-7"

func TestAHitBecomesASightingAndAWarning(t *testing.T) {
	d := newDesk(t)
	d.admit(fromPartner, indicator(1, domain("evil.example"), noroshi.Green, ""))
	got := d.observe(canary, hit(1, "evil.example", at), hit(1, "evil.example", at.Add(time.Minute)))
	if len(got.Sightings) != 1 || len(got.Warnings) != 1 || got.Hits != 2 || got.Seq == 0 {
		t.Fatalf("observed %+v, want one sighting and one warning", got)
	}
	sightings := d.objects("sighting")
	if len(sightings) != 1 {
		t.Fatalf("%d sightings", len(sightings))
	}
	s, err := sightings[0].Sighting()
	if err != nil {
		t.Fatal(err)
	}
	hour := at.Truncate(time.Hour)
	if s.SightingOf != indicatorID(1) || s.Count != 2 || !s.FirstSeen.Time().Equal(hour) || !s.LastSeen.Time().Equal(hour) {
		t.Errorf("sighting %+v, want count 2 in the hour of %s", s, hour)
	}
	amber := []stix.ID{noroshi.Amber.MarkingID()}
	for _, o := range slices.Concat(sightings, d.objects("report"), d.objects("language-content")) {
		if o.CreatedBy != d.self.Identity || !slices.Equal(o.Markings, amber) {
			t.Errorf("%s: by %s, marked %v; want ours, AMBER", o.ID, o.CreatedBy, o.Markings)
		}
		if p := stix.Validate(o); len(p) > 0 {
			t.Errorf("%s: %v\n%s", o.ID, p, o.Bytes())
		}
		if bytes.Contains(bytes.ToLower(o.Bytes()), []byte("canary")) || o.Property("where_sighted_refs") != nil {
			t.Errorf("%s tells of the victim side: %s", o.ID, o.Bytes())
		}
	}

	row := d.one(got.Warnings[0])
	want := noroshi.Warning{ID: got.Warnings[0], Severity: noroshi.High, Precedence: noroshi.Priority, Action: "investigate"}
	if row.ID != want.ID || row.Severity != want.Severity || row.Precedence != want.Precedence || row.Action != want.Action ||
		!row.Due.Equal(d.clock().Add(4*time.Hour)) || row.Label != "TLP:AMBER" || row.CallSign != "JPN-01" || row.Events != 2 || !row.Open() {
		t.Errorf("row %+v", row.Row)
	}
	if !slices.Equal(row.Refs, []stix.ID{indicatorID(1), sightings[0].ID}) {
		t.Errorf("refs %v", row.Refs)
	}
	for l, words := range map[locale.Lang][]string{
		locale.EN: {"domain name seen: evil.example", "24 Nov 2026 05:00Z"},
		locale.JA: {"ドメイン名の観測：evil.example", "2026年11月24日05時台"},
	} {
		title, text := row.In(l)
		if title != words[0] || !strings.Contains(text, words[1]) || !strings.Contains(text, "evil.example") || strings.Contains(text, "⟦") {
			t.Errorf("%s: %s / %s", l, title, text)
		}
	}
	d.intact()
}

// one shows a warning.
func (d *desk) one(id stix.ID) watch.Detail {
	d.t.Helper()
	row, err := d.watch.Show(d.t.Context(), id)
	if err != nil {
		d.t.Fatal(err)
	}
	return row
}

func TestOneSightingPerIndicatorSensorAndHour(t *testing.T) {
	d := newDesk(t)
	d.admit(fromFile, indicator(1, domain("one.example"), noroshi.Amber, ""), indicator(2, domain("two.example"), noroshi.Amber, ""))
	var hits []detect.Hit
	for _, h := range []time.Duration{0, time.Minute, time.Hour, 25 * time.Hour} {
		hits = append(hits, hit(1, "one.example", at.Add(h)), hit(2, "two.example", at.Add(h)))
	}
	a := d.observe("a", hits...)
	b := d.observe("b", hits...)
	if len(a.Sightings) != 6 || len(b.Sightings) != 6 {
		t.Errorf("sightings: %d and %d, want 2 indicators in 3 hours at each of 2 sensors", len(a.Sightings), len(b.Sightings))
	}
	if len(a.Warnings) != 4 || len(b.Warnings) != 0 {
		t.Errorf("warnings: %d and %d, want 2 indicators on 2 days, once", len(a.Warnings), len(b.Warnings))
	}
	rows, err := d.watch.List(t.Context(), true)
	if err != nil || len(rows) != 4 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	total := 0
	for _, r := range rows {
		total += r.Events
	}
	if total != 16 {
		t.Errorf("%d events on the rows, want all 16", total)
	}
	d.intact()
}

func TestFinalCounts(t *testing.T) {
	d := newDesk(t)
	d.admit(fromFile, indicator(1, domain("one.example"), noroshi.Amber, ""))
	first := d.observe("a", hit(1, "one.example", at))
	before := d.objects("sighting")[0]
	for i := range 40 {
		if o := d.observe("a", hit(1, "one.example", at.Add(time.Duration(i+1)*time.Second))); o.Seq != 0 {
			t.Fatalf("hit %d of an open hour was written at once: %+v", i, o)
		}
	}
	if err := d.watch.Finish(t.Context(), "b"); err != nil || d.watch.OpenHours() != 1 {
		t.Fatalf("another sensor's end: %v, %d hours open", err, d.watch.OpenHours())
	}
	if err := d.watch.Finish(t.Context(), "a"); err != nil || d.watch.OpenHours() != 0 {
		t.Fatalf("the sensor's end: %v, %d hours open", err, d.watch.OpenHours())
	}
	list := d.objects("sighting")
	s, err := list[0].Sighting()
	if err != nil || len(list) != 1 || s.Count != 41 || list[0].Modified.Compare(before.Modified) <= 0 || list[0].Created.Compare(before.Created) != 0 {
		t.Errorf("final: %+v, %v, %d sightings", s, err, len(list))
	}
	if row := d.one(first.Warnings[0]); row.Events != 41 {
		t.Errorf("the warning counts %d events, want 41", row.Events)
	}
	versions, err := d.store.Versions(t.Context(), list[0].ID)
	if err != nil || len(versions) != 2 {
		t.Errorf("%d versions, want the first and the final one; %v", len(versions), err)
	}
}

func TestTheSameLogAgainCountsNothing(t *testing.T) {
	d := newDesk(t)
	d.admit(fromFile, indicator(1, domain("one.example"), noroshi.Amber, ""), indicator(2, domain("good.example"), noroshi.Amber, ""))
	log := []detect.Hit{hit(1, "one.example", at), hit(2, "good.example", at), hit(1, "one.example", at.Add(2*time.Second)), hit(1, "one.example", at.Add(time.Second))}
	d.observe("a", log...)
	if err := d.watch.Finish(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	head, err := d.store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.restart()
	d.later(time.Hour)
	again := d.observe("a", log...)
	if err := d.watch.Finish(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if again.Repeated != len(log) || again.Seq != 0 || len(again.Warnings)+len(again.Sightings)+len(again.Explained) > 0 {
		t.Errorf("again: %+v", again)
	}
	if now, _ := d.store.Head(t.Context()); now != head {
		t.Errorf("the feed moved from %d to %d", head, now)
	}

	// Another log of the sensor, and what came later in this one, do count.
	tls := hit(1, "one.example", at)
	tls.Log = "ssl"
	more := d.observe("a", tls, hit(1, "one.example", at.Add(time.Minute)))
	if err := d.watch.Finish(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	s, err := d.objects("sighting")[0].Sighting()
	if err != nil || s.Count != 5 || more.Repeated != 0 || len(more.Sightings) != 0 || len(more.Warnings) != 0 {
		t.Errorf("more: %+v, count %d, %v; want 5 in the same sighting and no new warning", more, s.Count, err)
	}
	d.intact()
}

func TestKnownGoodPagesNobody(t *testing.T) {
	d := newDesk(t)
	d.admit(fromFile, indicator(1, domain("good.example"), noroshi.Green, ""))
	h := hit(1, "good.example", at)
	h.Flagged = true
	o := d.observe("a", h, h)
	if len(o.Sightings)+len(o.Warnings) > 0 || len(o.Explained) != 1 || o.Explained[0].Count != 2 || !slices.Equal(o.Explained[0].Lists, []string{"good"}) {
		t.Fatalf("observed %+v, want two hits explained by the list", o)
	}
	if len(d.objects("sighting"))+len(d.objects("report")) > 0 {
		t.Error("a sighting or warning was made")
	}
	o.Add(d.observe("a", h))
	if o.Hits != 3 || len(o.Explained) != 1 || o.Explained[0].Count != 3 {
		t.Errorf("all together %+v, want three hits explained", o)
	}
	if err := d.watch.Finish(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	list, err := d.watch.ExplainedHits(t.Context())
	if err != nil || len(list) != 1 || list[0].Count != 3 || list[0].Sensor != "a" || list[0].Value.Text != "good.example" {
		t.Errorf("on record: %+v, %v", list, err)
	}
	d.intact()
}

func TestWeakThenStrong(t *testing.T) {
	d := newDesk(t)
	d.admit(fromFile, indicator(1, "[network-traffic:dst_ref.value = '198.51.100.7' AND network-traffic:dst_port = 443]", noroshi.Amber, ""))
	h := detect.Hit{Indicator: indicatorID(1), Value: noroshi.Value{Kind: noroshi.AddrPort, Text: "198.51.100.7", Port: 443},
		Observed: "198.51.100.7", Field: "id.resp_h", Strength: detect.Weak, Time: at, Log: "conn"}
	weak := d.observe("a", h)
	h.Strength = detect.Strong
	strong := d.observe("a", h)
	both := weak
	both.Add(strong)
	if both.Hits != 2 || len(both.Warnings) != 2 || len(both.Sightings) != 1 || both.Seq != strong.Seq {
		t.Errorf("both %+v", both)
	}
	if len(weak.Warnings) != 1 || len(strong.Warnings) != 1 || len(strong.Sightings) != 0 {
		t.Fatalf("weak %+v, strong %+v", weak, strong)
	}
	w, s := d.one(weak.Warnings[0]), d.one(strong.Warnings[0])
	if w.Severity != noroshi.Low || w.Precedence != noroshi.Routine || s.Severity != noroshi.High || s.Precedence != noroshi.Immediate {
		t.Errorf("weak %s %s, strong %s %s", w.Severity, w.Precedence, s.Severity, s.Precedence)
	}
	if title, _ := w.In(locale.EN); title != "address and port seen on another port: 198.51.100.7:443" {
		t.Errorf("weak title %q", title)
	}
	rows, err := d.watch.List(t.Context(), true)
	if err != nil || len(rows) != 2 || rows[0].ID != s.ID {
		t.Errorf("the strong one must come first: %v, %v", rows, err)
	}
}

func TestMarkings(t *testing.T) {
	for _, c := range []struct {
		name, agreed string
		mark         noroshi.TLP
		want         []stix.ID
	}{
		{"green under an agreement that says green", "tlp:green", noroshi.Green, []stix.ID{noroshi.Green.MarkingID()}},
		{"green under one that says strict", "tlp:amber+strict", noroshi.Green, []stix.ID{noroshi.AmberStrict.MarkingID()}},
		{"red stays red", "tlp:green", noroshi.Red, []stix.ID{noroshi.Red.MarkingID()}},
		{"unmarked stays unmarked", "tlp:green", noroshi.NoTLP, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t)
			d.inForce(c.agreed, "")
			d.admit(fromFile, indicator(1, domain("one.example"), c.mark, ""))
			d.observe("a", hit(1, "one.example", at))
			for _, o := range slices.Concat(d.objects("sighting"), d.objects("report"), d.objects("language-content")) {
				if !slices.Equal(o.Markings, c.want) {
					t.Errorf("%s: marked %v, want %v", o.Type, o.Markings, c.want)
				}
			}
		})
	}
}

func TestHitsOfWhatIsGoneAreStale(t *testing.T) {
	d := newDesk(t)
	d.admit(fromFile, indicator(1, domain("one.example"), noroshi.Amber, `,"revoked":true`))
	if o := d.observe("a", hit(1, "one.example", at), hit(9, "never.example", at)); o.Stale != 2 || o.Seq != 0 {
		t.Errorf("observed %+v, want two stale", o)
	}
	if _, err := d.watch.Observe(t.Context(), "", nil); noroshi.KindOf(err) != noroshi.Invalid {
		t.Errorf("no sensor: %v, want Invalid", err)
	}
}

func TestRunWritesOpenHoursWhenItEnds(t *testing.T) {
	d := newDesk(t)
	d.admit(fromFile, indicator(1, domain("one.example"), noroshi.Amber, ""))
	stop := d.running()
	d.observe("a", hit(1, "one.example", at))
	d.observe("a", hit(1, "one.example", at.Add(time.Second)))
	stop()
	s, err := d.objects("sighting")[0].Sighting()
	if err != nil || s.Count != 2 {
		t.Errorf("count %d, %v; want 2", s.Count, err)
	}
}

func TestManyHitsInOneCall(t *testing.T) {
	d := newDesk(t)
	var objects []string
	var hits []detect.Hit
	for i := range 250 {
		name := fmt.Sprintf("n%d.example", i)
		objects = append(objects, indicator(i, domain(name), noroshi.Amber, ""))
		hits = append(hits, hit(i, name, at), hit(i, name, at))
	}
	d.admit(fromFile, objects...)
	entries, err := d.store.Acts(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	o := d.observe("a", hits...)
	if len(o.Sightings) != 250 || len(o.Warnings) != 250 {
		t.Fatalf("%d sightings, %d warnings", len(o.Sightings), len(o.Warnings))
	}
	after, err := d.store.Acts(t.Context(), 0, 1000)
	if n := len(after) - len(entries); err != nil || n != 4 { // the salt, and three acts of at most 100
		t.Errorf("%d acts for 250 hours, %v; want 4", n, err)
	}
	for _, e := range after[len(entries)+1:] {
		if e.Act.Action != noroshi.ActObserve || e.Act.Precedence != noroshi.Immediate {
			t.Errorf("act %+v", e.Act)
		}
	}
}

// TestWarningsRideOnStandardTypes reads the extension back from the bytes.
func TestWarningsRideOnStandardTypes(t *testing.T) {
	d := newDesk(t)
	d.admit(fromFile, indicator(1, "[file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e']", noroshi.Amber, ""))
	h := detect.Hit{Indicator: indicatorID(1), Value: noroshi.Value{Kind: noroshi.MD5, Text: "d41d8cd98f00b204e9800998ecf8427e"}, Strength: detect.Strong, Time: at, Log: "files"}
	o := d.observe("a", h)
	r, err := d.store.Current(t.Context(), o.Warnings[0])
	if err != nil {
		t.Fatal(err)
	}
	want := `"extensions":{"extension-definition--7f27c84d-02d1-44aa-88a3-1808c901d359":{"extension_type":"property-extension",` +
		`"severity":"high","precedence":"immediate","action":"isolate","due":"2026-11-24T06:30:00.000Z","number":"JPN-01/2026/`
	if got := string(r.Object.Bytes()); !strings.Contains(strings.ReplaceAll(got, " ", ""), want) {
		t.Errorf("got %s\nwant %s in it", got, want)
	}
	if r.Source.Kind != noroshi.FromSelf {
		t.Errorf("source %+v, want self", r.Source)
	}
	if _, err := d.store.Current(t.Context(), stix.ID(strings.Replace(string(r.Object.ID), "report", "sighting", 1))); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("ids of sightings and warnings must not follow from each other: %v", err)
	}
}

// TestASightingOfWhatCannotBeRead: where the markings of an indicator's parts
// cannot be read, what is said about it goes nowhere.
func TestASightingOfWhatCannotBeRead(t *testing.T) {
	d := newDesk(t)
	d.admit(fromFile, indicator(1, domain("one.example"), noroshi.Green, `,"granular_markings":[{"marking_ref":"`+string(noroshi.Red.MarkingID())+`","selectors":["pattern"]},{"selectors":["name"]}]`))
	d.observe(canary, hit(1, "one.example", at))
	said := slices.Concat(d.objects("sighting"), d.objects("report"))
	if len(said) != 2 {
		t.Fatalf("%d objects", len(said))
	}
	for _, o := range said {
		if want := []stix.ID{noroshi.Red.MarkingID()}; !slices.Equal(o.Markings, want) {
			t.Errorf("marked %v, want %v", o.Markings, want)
		}
	}
}
