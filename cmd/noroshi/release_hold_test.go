package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// TestReleaseHeldBack: an officer leaves a hold waiting on record, and approves it
// beside an old translation only by saying that it goes without.
func TestReleaseHeldBack(t *testing.T) {
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	jpn.Stop()
	pass := filepath.Join(t.TempDir(), "pass")
	if err := os.WriteFile(pass, []byte("correct-horse-battery"), 0o600); err != nil {
		t.Fatal(err)
	}
	const words = "language-content--00000000-0000-4000-8000-000000000002"
	usa.Import("old.json", "tlp:green", strings.NewReader(`[{"type":"tool","spec_version":"2.1","id":"tool--00000000-0000-4000-8000-000000000001","created":"2026-11-01T00:00:00.000Z","modified":"2026-11-02T00:00:00.000Z","name":"(S) probe"},`+
		`{"type":"language-content","spec_version":"2.1","id":"`+words+`","created":"2026-11-01T00:00:00.000Z","modified":"2026-11-01T00:00:00.000Z","object_ref":"tool--00000000-0000-4000-8000-000000000001","object_modified":"2026-11-01T00:00:00.000Z","contents":{"ja":{"name":"探針"}}}]`))
	usa.Settle()
	ask := func(want int, args ...string) (out, say string) {
		t.Helper()
		return asked(t, want, append(args, "--dir", usa.Dir)...)
	}
	hold := func() web.HoldRow {
		out, _ := ask(exitOK, "release", "list", "-o", "json")
		var rows struct{ Data []web.HoldRow }
		if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows.Data) != 1 {
			t.Fatalf("%v: %s", err, out)
		}
		return rows.Data[0]
	}
	id, until := hold().ID, time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	as := func(who string) []string { return []string{"--as", who, "--passphrase-file", pass} }
	ask(exitOK, append([]string{"release", "defer", id, "--why", "the source is asked", "--until", until}, as("release1")...)...)
	if d := hold().Deferred; d == nil || d.Person != "release1" || d.Why != "the source is asked" || d.Until.Format(time.RFC3339) != until {
		t.Errorf("left waiting: %+v", d)
	}
	out, _ := ask(exitOK, "release", "show", id, "--lang", "en")
	mentions(t, out, "release1, until "+until+": the source is asked", words)
	_, say := ask(exitRefused, append([]string{"release", "approve", id, "--lang", "ja"}, as("release1")...)...)
	mentions(t, say, words, "旧版の翻訳")
	ask(exitOK, append([]string{"release", "approve", id, "--without-translation", words}, as("release2")...)...)
}
