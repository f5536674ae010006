package release_test

import (
	"bytes"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestFetchCitesWhatHoldsNow: what was let go under a former agreement cites the
// agreement and the clause by which it goes now; a marking's definition those of
// what it marks, a former version those of its own decision.
func TestFetchCitesWhatHoldsNow(t *testing.T) {
	t.Parallel()
	o := newOffice(t, jpn)
	const marking = "marking-definition--00000000-0000-4000-8000-000000000077"
	statement := `{"type":"marking-definition","spec_version":"2.1","id":"` + marking + `","created":"2026-11-01T00:00:00.000Z","definition_type":"statement","definition":{"statement":"` + allowed + `"}}`
	pattern := `,"pattern":"[domain-name:value = 'a.example']","pattern_type":"stix","valid_from":"2026-11-01T00:00:00.000Z"`
	marked := object("indicator", 1, usa.Identity, noroshi.Green, pattern)
	marked = string(bytes.Replace([]byte(marked), []byte(`"object_marking_refs":[`), []byte(`"object_marking_refs":["`+marking+`",`), 1))
	seqs := o.put(version(t, made, "", statement), version(t, made, "", marked), version(t, made, "", object("indicator", 2, usa.Identity, noroshi.Green, pattern)))
	o.settle()
	ids, err := o.store.UnsentBatches(o.ctx, jpn.Node)
	if err != nil || len(ids) != 1 {
		t.Fatalf("batches: %v %v", ids, err)
	}
	was, err := o.store.Batch(o.ctx, ids[0])
	if err != nil {
		t.Fatal(err)
	}
	o.sends(jpn)
	var places []release.Place
	for row := range was.Count {
		places = append(places, release.Place{Batch: was.ID, Row: row})
	}
	fetch := func(agreement noroshi.Hash, clause string) {
		t.Helper()
		got, err := o.desk.Fetch(o.ctx, jpn.Node, places)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range got {
			if !c.Valid() {
				t.Errorf("row %d does not go", i)
				continue
			}
			ob, err := stix.Parse(c.Objects()[0].Bytes)
			if err != nil {
				t.Fatal(err)
			}
			if b := c.Batch(); b.Clause != clause || b.Agreement != agreement {
				t.Errorf("%s cites clause %q of %s, want %q of %s", ob.ID, b.Clause, b.Agreement.String(), clause, agreement.String())
			}
		}
	}
	if len(places) != len(seqs) {
		t.Fatalf("%d rows of %d objects", len(places), len(seqs))
	}
	fetch(was.Agreement, "1")
	file := release.Template(release.Draft{Realm: real, Self: usa, Partner: jpn, From: now.AddDate(0, -1, 0), Until: now.AddDate(0, 2, 0), Statements: []string{allowed}})
	file = bytes.Replace(file, []byte("id = \"1\"\n"), []byte("id = \"7\"\n"), 1)
	renewed, err := noroshi.ParseAgreement(file)
	if err != nil {
		t.Fatal(err)
	}
	o.agree(jpn, file)
	o.settle()
	fetch(renewed.Hash, "7")
	later := bytes.Replace([]byte(object("indicator", 2, usa.Identity, noroshi.Green, pattern)), []byte(`"modified":"2026-11-01`), []byte(`"modified":"2026-11-02`), 1)
	o.put(version(t, made, "", string(later)))
	o.settle()
	fetch(renewed.Hash, "7")
}
