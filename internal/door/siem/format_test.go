package siem_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door/siem"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files anew")

var formats = []siem.Format{siem.CEF, siem.ECS, siem.Syslog}

func realm(t testing.TB, s string) noroshi.Realm {
	t.Helper()
	r, err := noroshi.ParseRealm(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func label(t testing.TB, s string) noroshi.Label {
	t.Helper()
	l, err := noroshi.KeptLabel(s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// events are those of the golden files.
func events(t testing.TB) map[string]*siem.Event {
	at := time.Date(2026, 11, 24, 5, 37, 12, 345678900, time.UTC)
	node := noroshi.NodeID{1, 2, 3}
	base := siem.Event{ID: "5f1c2a0e-8a77-5c8e-9f6a-0123456789ab", Time: at, Realm: noroshi.Real, Node: node, CallSign: "JPN-01", Source: "JPN-01"}
	warning := base
	warning.Kind, warning.Severity, warning.Label = siem.Warning, 8, label(t, "TLP:AMBER")
	warning.Title, warning.Text = "Seen here: domain name wiper-control.example", "Seen on 24 Nov 2026.\nFind the systems that made this contact."
	warning.Object, warning.Indicator = "report--0f1c2a0e-8a77-5c8e-9f6a-0123456789ab", "indicator--1f1c2a0e-8a77-4c8e-9f6a-0123456789ab"
	warning.Precedence, warning.Asked, warning.Due = noroshi.Priority, "investigate", at.Add(4*time.Hour)
	warning.Value = noroshi.Value{Kind: noroshi.DomainName, Text: "wiper-control.example"}
	drill := warning
	drill.Realm, drill.Source, drill.Revoked = realm(t, "exercise:kibou-26"), "USA-01", true
	drill.Label = label(t, "TLP:GREEN;JPN:部内限り,JPN.MOD;EXERCISE:kibou-26")
	drill.Title, drill.Text = "観測：ファイル", "このファイルを持つ端末を隔離してください。"
	drill.Value = noroshi.Value{Kind: noroshi.SHA256, Text: strings.Repeat("ab", 32)}
	sighting := warning
	sighting.Kind, sighting.Severity, sighting.Object = siem.Sighting, 4, "sighting--2f1c2a0e-8a77-5c8e-9f6a-0123456789ab"
	sighting.Title, sighting.Text, sighting.Asked, sighting.Due, sighting.Precedence = "Seen 17 times", "", "", time.Time{}, 0
	sighting.Count, sighting.First, sighting.Last = 17, at.Truncate(time.Hour), at.Truncate(time.Hour)
	sighting.Value = noroshi.Value{Kind: noroshi.AddrPort, Text: "2001:db8::1", Port: 443}
	act := base
	act.Kind, act.Severity, act.Action, act.Index = siem.Audit, 1, noroshi.ActApprove, 0
	act.Title, act.Persons, act.Subject, act.Partner, act.Count = "approval", []string{"rel1", "rel2"}, "hold-12", "USA-01", 8
	act.Label, act.Agreed = label(t, "TLP:AMBER"), noroshi.Sum([]byte("agreement"))
	hostile := warning
	hostile.Title = `end|of|header\` + "\n" + `CEF:0|x|x|x|x|x|10|act=none ] [x@1 y="z"]`
	hostile.Text = "a=b cs1=TLP:CLEAR \\= \\n\r\nmsg=\x00\x1b[31m\u202eevil\u2066\ufeff\u200b\"}]},\"labels\":{\"marking\":\"TLP:CLEAR\"}"
	hostile.Source = `file" realm="exercise:x"] <13>1 -` + "\xff\xfe"
	hostile.Value = noroshi.Value{Kind: noroshi.URL, Text: `http://x.example/?a=b|c]"\` + "\n2 x"}
	return map[string]*siem.Event{"warning": &warning, "drill": &drill, "sighting": &sighting, "act": &act, "hostile": &hostile}
}

// TestGolden holds the exact bytes of each format.
func TestGolden(t *testing.T) {
	t.Parallel()
	for name, e := range events(t) {
		for _, f := range formats {
			got, ok := siem.Message(f, "1.2.3", e)
			if !ok {
				t.Fatalf("%s %s is too long", name, f)
			}
			path := filepath.Join("testdata", name+"."+string(f))
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
		}
	}
}

// TestExerciseShows: an event of an exercise says so in its words, in a field
// of the payload and in the header, whatever the format.
func TestExerciseShows(t *testing.T) {
	t.Parallel()
	e := events(t)["drill"]
	for _, f := range formats {
		msg, _ := siem.Message(f, "1", e)
		r := read(t, f, msg)
		if r.sd["realm"] != "exercise:kibou-26" || !strings.HasPrefix(r.title, "EXERCISE EXERCISE EXERCISE ") || r.fields["exercise"] != "kibou-26" || r.fields["realm"] != "exercise:kibou-26" {
			t.Errorf("%s: %q, %v, %v", f, r.title, r.sd, r.fields)
		}
		real, _ := siem.Message(f, "1", events(t)["warning"])
		if strings.Contains(strings.ToUpper(string(real)), "EXERCISE") {
			t.Errorf("%s: a real event speaks of an exercise: %s", f, real)
		}
	}
}

// TestBounds: a message is never longer than receivers take; markings are
// never shortened, the text and the value are.
func TestBounds(t *testing.T) {
	t.Parallel()
	e := *events(t)["warning"]
	e.Text, e.Title = strings.Repeat("警", 5000), strings.Repeat("報", 5000)
	e.Value = noroshi.Value{Kind: noroshi.URL, Text: "http://a.example/" + strings.Repeat("é", 9000)}
	for n := range 80 {
		e.Label = e.Label.Join(noroshi.Label{JPN: []noroshi.Japanese{{Kubun: "極秘", Originator: fmt.Sprintf("JPN.ORG%d", n), To: []string{"USA"}}}})
		for _, f := range formats {
			msg, ok := siem.Message(f, "1", &e)
			if !ok {
				continue
			}
			if len(msg) > 8192 {
				t.Fatalf("%s with %d markings has %d bytes", f, n+1, len(msg))
			}
			if got := read(t, f, msg).fields["label"]; got != e.Label.String() {
				t.Fatalf("%s with %d markings says %q", f, n+1, got)
			}
		}
	}
	e.Label = noroshi.Label{Unknown: []string{strings.Repeat("x", 9000)}}
	for _, f := range formats {
		if _, ok := siem.Message(f, "1", &e); ok {
			t.Errorf("%s: a marking of 9000 bytes went", f)
		}
	}
}

// TestHostileValues: whatever stands in a value stays in its field. The reader
// of this test knows the formats by their documents, not by the writer's code.
func TestHostileValues(t *testing.T) {
	t.Parallel()
	nasty := rapid.StringOf(rapid.RuneFrom([]rune("ab=|\\]\"[ \n\r\t\x00{}:,<>é警\u202e\u2028\ufeff\u200b\U000e0041\U0001f525=\\|")))
	raw := rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 40), func(b []byte) string { return string(b) })
	text := rapid.OneOf(nasty, raw, rapid.String())
	rapid.Check(t, func(rt *rapid.T) {
		e := *events(t)[rapid.SampledFrom([]string{"warning", "drill", "sighting", "act"}).Draw(rt, "kind")]
		e.Title, e.Text, e.Source = text.Draw(rt, "title"), text.Draw(rt, "text"), text.Draw(rt, "source")
		e.Subject, e.Partner, e.Persons = text.Draw(rt, "subject"), text.Draw(rt, "partner"), []string{text.Draw(rt, "person")}
		e.Value = noroshi.Value{Kind: noroshi.URL, Text: text.Draw(rt, "value")}
		for _, f := range formats {
			checkContained(rt, f, &e)
		}
	})
}

// FuzzMessage: no bytes in an event's texts break out of their field.
func FuzzMessage(f *testing.F) {
	f.Add("a|b\\", "c=d\n", "] \"x", "\x00\u202e")
	f.Add("\xff", "\ufeff", "x@1 y=\"z\"]", "\\\\=")
	f.Fuzz(func(t *testing.T, title, text, source, value string) {
		e := *events(t)["warning"]
		e.Title, e.Text, e.Source, e.Value.Text = title, text, source, value
		for _, format := range formats {
			checkContained(t, format, &e)
		}
	})
}

// checkContained reads a message back: the same fields as that of a harmless
// event or fewer, the fixed ones as they were, nothing that does not show.
func checkContained(t rapid.TB, f siem.Format, e *siem.Event) {
	t.Helper()
	msg, ok := siem.Message(f, "1", e)
	if !ok {
		t.Fatalf("%s: too long", f)
	}
	if len(msg) > 8192 {
		t.Fatalf("%s: %d bytes", f, len(msg))
	}
	r := read(t, f, msg)
	for name, want := range map[string]string{"id": e.ID, "realm": e.Realm.String(), "label": e.Label.String()} {
		if r.fields[name] != want {
			t.Fatalf("%s: field %s is %q, want %q in %q", f, name, r.fields[name], want, msg)
		}
	}
	if r.sd["id"] != e.ID || r.sd["realm"] != e.Realm.String() {
		t.Fatalf("%s: structured data %v", f, r.sd)
	}
	for name, v := range r.fields {
		if !known[f][name] {
			t.Fatalf("%s: a field %q came into being: %q", f, name, msg)
		}
		for _, c := range v {
			if c == '\n' && (name == "text" || name == "event.reason") {
				continue
			}
			if c < ' ' || c == 0x7f || c == 0x202e || c == 0x2028 || c == 0xfeff || c == 0x200b || c == 0xe0041 {
				t.Fatalf("%s: field %s has %U in it", f, name, c)
			}
		}
	}
}

// known are the names a format may use, from what it writes of every golden
// event and the harmless fields the property fills.
var known = map[siem.Format]map[string]bool{
	siem.CEF:    set("id realm label exercise text rt cat act dvchost deviceExternalId subject partner agreement index suid indicator indicatorType object source precedence due start end cnt"),
	siem.Syslog: set("id realm label exercise text kind action severity node source index persons subject partner agreement count object precedence asked due indicator valueType value first last"),
	siem.ECS: set(`id realm label exercise text @timestamp ecs.version event.kind event.category event.type event.action event.severity event.module event.dataset event.provider
		event.reason event.outcome event.sequence message labels.precedence tags observer.name observer.vendor observer.product observer.type observer.version
		rule.id rule.name rule.ruleset user.id threat.indicator.provider threat.indicator.name threat.indicator.type threat.indicator.ip threat.indicator.port
		threat.indicator.url.full threat.indicator.url.domain threat.indicator.file.hash.sha256 threat.indicator.sightings threat.indicator.first_seen
		threat.indicator.last_seen threat.indicator.marking.tlp threat.indicator.marking.tlp_version noroshi.node noroshi.index noroshi.subject
		noroshi.partner noroshi.agreement noroshi.count noroshi.object noroshi.indicator noroshi.asked noroshi.due`),
}

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// TestTextStays: what shows and is short is read back as it was written.
func TestTextStays(t *testing.T) {
	t.Parallel()
	shows := rapid.StringOfN(rapid.RuneFrom([]rune(`ab=|\]"[{}:,<>é警🔥`)), 1, 60, -1)
	rapid.Check(t, func(rt *rapid.T) {
		e := *events(t)["warning"]
		e.Title, e.Text, e.Value.Text = shows.Draw(rt, "title"), shows.Draw(rt, "text"), shows.Draw(rt, "value")
		for _, f := range formats {
			msg, _ := siem.Message(f, "1", &e)
			r := read(rt, f, msg)
			want := map[siem.Format][3]string{
				siem.CEF:    {r.title, r.fields["text"], r.fields["indicator"]},
				siem.ECS:    {r.title, r.fields["event.reason"], r.fields["threat.indicator.url.domain"]},
				siem.Syslog: {strings.TrimSuffix(r.title, ": "+e.Text), strings.TrimPrefix(r.title, e.Title+": "), r.fields["value"]},
			}[f]
			if want != [3]string{e.Title, e.Text, e.Value.Text} {
				rt.Fatalf("%s reads back %q, wrote %q", f, want, []string{e.Title, e.Text, e.Value.Text})
			}
		}
	})
}

// readback is what the test's own readers find in a message.
type readback struct {
	title  string
	sd     map[string]string
	fields map[string]string
}

// read reads a message by the documents of its format.
func read(t rapid.TB, f siem.Format, msg []byte) readback {
	t.Helper()
	r := readback{fields: map[string]string{}}
	var text string
	r.sd, text = readSyslog(t, string(msg))
	switch f {
	case siem.Syslog:
		r.title = text
		for k, v := range r.sd {
			r.fields[k] = v
		}
	case siem.CEF:
		r.title, r.fields = readCEF(t, text)
	case siem.ECS:
		for i := range len(text) {
			if text[i] < ' ' || text[i] > '~' {
				t.Fatalf("JSON has byte %#x", text[i])
			}
		}
		var v map[string]any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		flatten(r.fields, "", v)
		r.title = r.fields["message"]
		for from, to := range map[string]string{"event.id": "id", "labels.realm": "realm", "labels.marking": "label", "labels.exercise": "exercise"} {
			if s, ok := r.fields[from]; ok {
				delete(r.fields, from)
				r.fields[to] = s
			}
		}
	}
	return r
}

func flatten(into map[string]string, at string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			flatten(into, strings.TrimPrefix(at+"."+k, "."), x)
		}
	case []any:
		for _, x := range v {
			flatten(into, at, x)
		}
	default:
		into[at] = fmt.Sprint(v)
	}
}
