package release_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/stix"
)

// termsWith is an agreement with tokens, a level, and a clause for what has a
// classification or a TLP level.
func termsWith(p noroshi.Party) []byte {
	self := usa
	self.Tokens, p.Tokens = []string{"USA.DOD"}, []string{p.CallSign.Country() + ".MOD"}
	file := string(release.Template(release.Draft{Realm: real, Self: self, Partner: p, From: now.AddDate(0, -1, 0), Until: now.AddDate(0, 1, 0)}))
	file = strings.Replace(file, "\n# max_level = \"U\"", "\nmax_level = \"S\"\njapanese_levels = { \"秘\" = \"C\" }", 1)
	return []byte(file + `
[[clause]]
id = "9"
article_en = "Article 9"
article_ja = "第9条"
en = "What has a classification is released."
ja = "区分のあるものは提供する。"
cedar = 'permit (principal, action == Action::"release", resource) when { resource.classification >= 1 && resource.classification <= 4 };'
`)
}

// TestHandledMarkingsEndToEnd takes ACS, Japanese and IEP markings through the
// desk: who is named gets the object with its definition, a level waits for two
// persons, a policy that ends between decision and sending stops what waits.
func TestHandledMarkingsEndToEnd(t *testing.T) {
	o := newOffice(t)
	for _, p := range []noroshi.Party{jpn, kor} {
		o.agree(p, termsWith(p))
	}
	define := func(n int, extension stix.ID, content edit) string {
		raw, err := json.Marshal(map[stix.ID]any{extension: content})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf(`{"type":"marking-definition","spec_version":"2.1","id":%q,"created":"2026-11-01T00:00:00.000Z","extensions":%s}`, id("marking-definition", n), raw)
	}
	marked := func(n, by int) string {
		return strings.Replace(object("malware", n, usa.Identity, noroshi.Green, `,"name":"m","is_family":false`), string(noroshi.Green.MarkingID()), string(id("marking-definition", by)), 1)
	}
	o.put(version(t, made, "", define(1, noroshi.ACSExtension, acs(edit{".permitted_nationalities": relJPN}))),
		version(t, made, "", define(2, noroshi.ACSExtension, acs(edit{".classification": "S", "derivative_classification": classified, ".permitted_nationalities": []string{"ALL"}}))),
		version(t, made, "", define(3, noroshi.JapaneseExtension, edit{"extension_type": "property-extension", "kubun": "公開", "originator": "JPN.MOD"})),
		version(t, made, "", define(4, noroshi.JapaneseExtension, edit{"extension_type": "property-extension", "kubun": "極秘", "originator": "JPN.MOD", "releasable_to": []string{"JPN"}})),
		version(t, made, "", define(5, noroshi.IEPExtension, iep(edit{"tlp": "green", "end_date": "2026-11-22T00:00:00Z"}))),
		version(t, made, "", define(7, noroshi.IEPExtension, iep(edit{"tlp": "green", "start_date": "2026-11-22T12:00:00Z"}))),
		version(t, made, "", define(6, noroshi.ACSExtension, acs(edit{".permitted_nationalities": relJPN, "name": "(S//NF) a name that leaves with it"}))))
	for n := 1; n <= 7; n++ {
		o.put(version(t, made, "", marked(n, n)))
	}
	o.settle()
	o.now = now.Add(time.Hour)
	has(t, o.sends(jpn), id("malware", 1), id("marking-definition", 1), id("malware", 3), id("marking-definition", 3), id("malware", 5), id("marking-definition", 5))
	var keys []string
	for _, h := range o.holds() {
		keys = append(keys, string(h.Key)+" "+h.Label)
	}
	got := strings.Join(keys, "\n")
	for _, want := range []string{"two-persons ACS:S,USA.DOD,priv-,share-,nat=ALL", "not-understood JPN:極秘,JPN.MOD,JPN", "ACS:U,USA.DOD,priv-,share-,nat=JPN/USA"} {
		if !strings.Contains(got, want) {
			t.Errorf("holds:\n%s\nwant %q", got, want)
		}
	}
	// The policy ends before anything went to Korea.
	o.now = now.AddDate(0, 0, 2)
	goes := o.sends(kor)
	if goes[id("malware", 3)] == "" || goes[id("malware", 5)] != "" || goes[id("marking-definition", 5)] != "" {
		t.Errorf("to Korea go %v", goes)
	}
	// A policy that has begun lets go what waited for it, though nothing changed.
	has(t, o.sends(jpn))
	o.settle()
	has(t, o.sends(jpn), id("malware", 7), id("marking-definition", 7))
}
