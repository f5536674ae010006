package message_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/demodata"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// unpacked reads a gz file.
func unpacked(t testing.TB, files fs.FS, name string) []byte {
	t.Helper()
	f, err := files.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// published returns the objects of a type in a bundle, as their bytes stand.
func published(t testing.TB, name, typ string) (list [][]byte) {
	t.Helper()
	var bundle struct{ Objects []json.RawMessage }
	if err := json.Unmarshal(unpacked(t, demodata.STIX(), name), &bundle); err != nil {
		t.Fatal(err)
	}
	for _, o := range bundle.Objects {
		var head struct{ Type string }
		if err := json.Unmarshal(o, &head); err != nil {
			t.Fatal(err)
		}
		if head.Type == typ {
			list = append(list, o)
		}
	}
	return list
}

// spread takes n of a list, evenly.
func spread[T any](list []T, n int) (some []T) {
	for i := range min(n, len(list)) {
		some = append(some, list[i*len(list)/n])
	}
	return some
}

// listed is what a list's entry becomes, as the entry gate makes it.
func listed(self, name, at string, kind noroshi.ValueKind, value string, nth int) []byte {
	return message.ListIndicator(self, name, at, kind, value, nth)
}

// ownForms are what nodes make themselves, with nothing real in them.
func ownForms() []string {
	const self = "identity--00000000-0000-4000-8000-000000000001"
	head := func(typ, id string) string {
		return fmt.Sprintf(`{"type":%q,"spec_version":"2.1","id":"%s--00000000-0000-4000-8000-0000000000%s","created_by_ref":%q,"created":"2026-01-02T03:04:05.678Z","modified":"2026-01-02T03:04:05.678Z",`, typ, typ, id, self)
	}
	marks := fmt.Sprintf(`"object_marking_refs":[%q]}`, noroshi.Amber.MarkingID())
	return []string{
		head("location", "02") + `"name":"eastern-asia","region":"eastern-asia",` + marks,
		head("identity", "03") + `"name":"organisations: government, defence","identity_class":"class","sectors":["government","defense","energy","telecommunications"],` + marks,
		head("note", "04") + `"lang":"ja","content":"確認しました。","object_refs":["indicator--00000000-0000-4000-8000-000000000005"],` + marks,
		head("report", "06") + `"lang":"en","name":"Warning","description":"Detected at a protected network. Block and look back.","report_types":["indicator"],"published":"2026-01-02T03:04:05.678Z","object_refs":["indicator--00000000-0000-4000-8000-000000000005"],` +
			fmt.Sprintf(`"object_marking_refs":[%q],"extensions":{%q:{"extension_type":"property-extension","severity":"critical","precedence":"flash","action":"block","due":"2026-01-02T04:00:00Z","audience":"all","replaces":""}}}`, noroshi.Green.MarkingID(), noroshi.WarningExtension),
		head("language-content", "07") + `"object_ref":"report--00000000-0000-4000-8000-000000000006","object_modified":"2026-01-02T03:04:05.678Z","contents":{"ja":{"name":"警報","description":"防護対象のネットワークで検知しました。遮断し、過去の記録を確認してください。"}},` + marks,
		head("sighting", "08") + `"first_seen":"2026-01-02T03:00:00Z","last_seen":"2026-01-02T03:00:00Z","count":1,"sighting_of_ref":"indicator--00000000-0000-4000-8000-000000000005","where_sighted_refs":["identity--00000000-0000-4000-8000-000000000003","location--00000000-0000-4000-8000-000000000002"],` + marks,
		head("indicator", "05") + `"name":"Malicious domain","description":"Command and control server of a campaign","indicator_types":["malicious-activity"],"pattern":"[domain-name:value = 'example.com' OR ipv4-addr:value = '192.0.2.1' OR url:value = 'http://example.com/']","pattern_type":"stix","pattern_version":"2.1","valid_from":"2026-01-02T03:04:05.678Z","valid_until":"2026-07-02T03:04:05.678Z","kill_chain_phases":[{"kill_chain_name":"mitre-attack","phase_name":"command-and-control"}],"labels":["apt"],"confidence":75,"external_references":[{"source_name":"mitre-attack","external_id":"T1071","url":"https://attack.mitre.org/techniques/T1071/"}],` +
			fmt.Sprintf(`"object_marking_refs":[%q,%q,%q,%q,%q]}`, noroshi.Clear.MarkingID(), noroshi.Green.MarkingID(), noroshi.Amber.MarkingID(), noroshi.AmberStrict.MarkingID(), noroshi.Red.MarkingID()),
		head("relationship", "09") + `"relationship_type":"indicates","source_ref":"indicator--00000000-0000-4000-8000-000000000005","target_ref":"malware--00000000-0000-4000-8000-000000000010",` + marks,
	}
}

// makeDictionary makes the dictionary of published data, what is likely to be
// asked for at its end. The bundles that the size budgets are measured with are
// not in it.
func makeDictionary(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, typ := range []string{"attack-pattern", "campaign", "intrusion-set", "malware", "course-of-action", "x-mitre-asset"} {
		for _, o := range spread(published(t, "ics-attack-18.1.json.gz", typ), 1) {
			b.Write(o[:min(len(o), 900)])
		}
	}
	for _, o := range ownForms() {
		b.WriteString(o)
	}
	lines := strings.Split(strings.TrimSpace(string(unpacked(t, demodata.Lists(), "trails.tsv.gz"))), "\n")
	for i, line := range spread(lines, 40) {
		kind, value, _ := strings.Cut(line, "\t")
		if k := noroshi.ValueKind(kind); k == noroshi.DomainName || k == noroshi.IPv4 {
			b.Write(listed("identity--00000000-0000-4000-8000-000000000001", "apt", fmt.Sprintf("2026-01-02T03:04:%02d.678Z", i), k, value, 1))
		}
	}
	for _, x := range []struct {
		name, typ string
		n         int
	}{{"pegasus.json.gz", "relationship", 4}, {"wyrmspy_dragonegg.json.gz", "relationship", 4}, {"pegasus.json.gz", "indicator", 16}, {"wyrmspy_dragonegg.json.gz", "indicator", 12}} {
		for _, o := range spread(published(t, x.name, x.typ), x.n) {
			b.Write(o)
			var flat bytes.Buffer
			if err := json.Compact(&flat, o); err != nil {
				t.Fatal(err)
			}
			b.Write(flat.Bytes())
		}
	}
	return b.Bytes()
}

// The dictionary in the repository is the one that the published data make; its
// hash stands in agreements and never changes.
func TestDictionary(t *testing.T) {
	const path = "dictionary/2.txt"
	made := makeDictionary(t)
	if *update {
		if err := os.WriteFile(filepath.FromSlash(path), made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(filepath.FromSlash(path))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept, made) {
		t.Errorf("%s is not what the published data make (%d and %d bytes)", path, len(kept), len(made))
	}
	if message.DictionaryHash() != noroshi.Sum(kept) {
		t.Error("the program was built with another dictionary")
	}
}

func gzipped(t testing.TB, b []byte) int {
	t.Helper()
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Len()
}
