package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/stix"
)

// made prepares n list-like indicators of about 700 bytes.
func made(t testing.TB, from, n int) []*store.Version {
	t.Helper()
	list := make([]*store.Version, n)
	for i := range list {
		k := from + i
		name := fmt.Sprintf("host%d.example.net", k*2654435761%1000003)
		id := stix.DeriveID("indicator", [16]byte{1}, fmt.Sprint(k))
		o, err := stix.Parse(fmt.Appendf(nil, `{"type":"indicator","spec_version":"2.1","id":%q,"created_by_ref":"identity--c78cb6e5-0c4b-4611-8297-d1b8b55e40b5","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":%q,"description":"%0300d","indicator_types":["malicious-activity"],"pattern":"[domain-name:value = '%s']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z","object_marking_refs":["marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"]}`, id, name, k, name))
		if err != nil {
			t.Fatal(err)
		}
		list[i] = version(o, file, noroshi.Value{Kind: noroshi.DomainName, Text: name})
	}
	return list
}

func admit(b testing.TB, s *store.Store, list []*store.Version, slice int) {
	for from := 0; from < len(list); from += slice {
		_, err := s.Do(context.Background(), noroshi.Act{Action: noroshi.ActImport, Subject: "run"}, func(tx *store.Tx) error {
			if err := tx.Expect(list[from:min(from+slice, len(list))]); err != nil {
				return err
			}
			for _, v := range list[from:min(from+slice, len(list))] {
				if _, _, err := tx.Put(v); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBudgetAdmit puts objects into an empty store in acts of 100 and of
// 1,000 and compares the rate with a bare append of the same rows in the same
// run: rounds are interleaved and the median counts.
func BenchmarkBudgetAdmit(b *testing.B) {
	n := tier.N(20_000, 100_000)
	list := made(b, 0, n)
	for _, slice := range []int{100, 1000} {
		b.Run(fmt.Sprint(slice), func(b *testing.B) {
			for b.Loop() {
				var appended, admitted []time.Duration
				for range 5 {
					began := time.Now()
					bare(b, list, slice)
					appended = append(appended, time.Since(began))
					s := open(b)
					began = time.Now()
					admit(b, s, list, slice)
					admitted = append(admitted, time.Since(began))
				}
				slices.Sort(appended)
				slices.Sort(admitted)
				b.ReportMetric(float64(n)/admitted[2].Seconds(), "objects/s")
				b.ReportMetric(float64(n)/appended[2].Seconds(), "bare/s")
				b.ReportMetric(appended[2].Seconds()/admitted[2].Seconds(), "of-bare")
			}
		})
	}
}

// bare appends the rows that admission appends, to one table without an index,
// a ledger or a question about what is there.
func bare(b testing.TB, list []*store.Version, slice int) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "bare.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TABLE object (seq INTEGER PRIMARY KEY, act INTEGER, sid TEXT, type INTEGER, source INTEGER, run INTEGER, view INTEGER,
		bits INTEGER, modified TEXT, hash BLOB, meta BLOB, words TEXT, body BLOB) STRICT`); err != nil {
		b.Fatal(err)
	}
	meta := make([]byte, 40)
	for from := 0; from < len(list); from += slice {
		tx, err := db.Begin()
		if err != nil {
			b.Fatal(err)
		}
		st, err := tx.Prepare("INSERT INTO object (act, sid, type, source, run, view, bits, modified, hash, meta, words, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)")
		if err != nil {
			b.Fatal(err)
		}
		for _, v := range list[from:min(from+slice, len(list))] {
			o := v.Object
			if _, err := st.Exec(from, string(o.ID), 1, 2, 3, 0, 0, o.Modified.String(), v.Hash[:], meta, v.Text, o.Bytes()); err != nil {
				b.Fatal(err)
			}
		}
		st.Close()
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEach reads indicators as start-up does: with their bytes, and armed.
func BenchmarkEach(b *testing.B) {
	n := tier.N(20_000, 1_000_000)
	s := open(b)
	for from := 0; from < n; from += 10_000 {
		admit(b, s, made(b, from, min(10_000, n-from)), 1000)
	}
	if err := store.Derive(b.Context(), s); err != nil {
		b.Fatal(err)
	}
	b.Run("bytes", func(b *testing.B) {
		for b.Loop() {
			k := 0
			if err := s.Each(b.Context(), "indicator", 0, func(store.Record) error { k++; return nil }); err != nil || k != n {
				b.Fatal(k, err)
			}
		}
		b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "objects/s")
	})
	b.Run("armed", func(b *testing.B) {
		for b.Loop() {
			k := 0
			if _, err := s.EachArmed(b.Context(), 0, func(*store.Armed) error { k++; return nil }); err != nil || k != n {
				b.Fatal(k, err)
			}
		}
		b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "objects/s")
	})
}

// BenchmarkBudgetVerify verifies acts of one object each; every act costs the
// same, so what a million cost follows from fewer.
func BenchmarkBudgetVerify(b *testing.B) {
	n := tier.N(5_000, 200_000)
	s := open(b)
	for from := 0; from < n; from += 1000 {
		admit(b, s, made(b, from, min(1000, n-from)), 1)
	}
	for b.Loop() {
		if v := verify(b, s); len(v.Faults) > 0 {
			b.Fatal(v.Faults[0])
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/float64(n)*1e6, "s/million-acts")
}
