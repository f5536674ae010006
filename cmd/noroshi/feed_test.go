package main

import (
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/taxii"
)

// feedSite serves a folder and a TAXII collection by TLS on loopback, and keeps
// its certificate and a client's token in files.
func feedSite(t *testing.T) (addr, folder, ca, token string) {
	t.Helper()
	dir := t.TempDir()
	folder, ca, token = filepath.Join(dir, "site"), filepath.Join(dir, "ca.pem"), filepath.Join(dir, "token")
	m := taxii.NewMemory(nil)
	id := m.AddCollection(taxii.Collection{Title: "Indicators", Alias: "indicators"})
	m.AddClient("noroshi", "a long random secret")
	m.Grant("noroshi", id, true, true)
	raw := []byte(`{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","pattern":"[domain-name:value = 'taxii.example']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"}`)
	o, err := stix.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Add(t.Context(), "noroshi", id, []taxii.Posted{{Object: o, Raw: raw}}); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/taxii2/", taxii.NewHandler(m, taxii.Options{Title: "CERT", Key: make([]byte, 32)}))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		b, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(r.URL.Path)))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(b)))
		_, _ = w.Write(b)
	})
	s := httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	if err := os.MkdirAll(filepath.Join(folder, "osint"), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		ca:                                     string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})),
		token:                                  "a long random secret\n",
		filepath.Join(folder, "blocklist.txt"): "a.example.org\nb.example.org\nc.example.org\nwww.mod.example\n",
		filepath.Join(folder, "iocs.csv"):      "ioc,threat\nd.example.org,wiper\n",
		filepath.Join(folder, "osint/manifest.json"): `{"5f000001-0000-4000-8000-000000000001":{"info":"x","date":"2026-01-01","timestamp":"1700000000"}}`,
		filepath.Join(folder, "osint/5f000001-0000-4000-8000-000000000001.json"): `{"Event":{"uuid":"5f000001-0000-4000-8000-000000000001","info":"狼煙","date":"2026-01-01","timestamp":"1700000000","threat_level_id":"1","analysis":"2","distribution":"3","Orgc":{"name":"CERT","uuid":"55f6ea5e-2c60-40e5-964f-47a8950d210f"},"Tag":[{"name":"tlp:green"}],
			"Attribute":[{"uuid":"5f000001-0001-4000-8000-000000000001","type":"domain","category":"Network activity","to_ids":true,"timestamp":"1700000000","value":"misp.example"}]}}`,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s.Listener.Addr().String(), folder, ca, token
}

// TestFeedsPage runs the blocks of docs/feeds.md verbatim but for the names of
// the machine, and holds those of its Japanese twin against them.
func TestFeedsPage(t *testing.T) {
	t.Parallel()
	addr, folder, ca, token := feedSite(t)
	page, err := os.ReadFile("../../docs/feeds.md")
	if err != nil {
		t.Fatal(err)
	}
	twin, err := os.ReadFile("../../docs/feeds.ja.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks, there := block.FindAllStringSubmatch(string(page), -1), block.FindAllStringSubmatch(string(twin), -1)
	if len(blocks) != 6 || len(there) != 6 {
		t.Fatalf("%d blocks in English, %d in Japanese, want 6", len(blocks), len(there))
	}
	here := strings.NewReplacer(`allow_hosts = ["feeds.example.org"]`, `allow_hosts = ["`+addr+`"]`+"\n"+`allow_nets = ["127.0.0.0/8"]`,
		"https://feeds.example.org", "https://"+addr, "/etc/noroshi/feeds-ca.pem", ca, "/etc/noroshi/cert.token", token)
	script := "set -euo pipefail\nexport SSL_CERT_FILE=" + ca + "\nnoroshi init --yes --org JPN-01 --dir JPN\nmkdir drop\necho drop.example > drop/list.txt\n"
	for i, b := range blocks {
		if b[0] != there[i][0] {
			t.Errorf("block %d is another in Japanese:\n%s\n%s", i+1, b[0], there[i][0])
		}
		if b[1] == "accept" { // a download cut short waits
			script += "echo a.example.org > " + filepath.Join(folder, "blocklist.txt") + "\nnoroshi feed run blocklist --dir JPN && exit 1 || test $? = 8\n"
		}
		script += "echo '== " + b[1] + "'\n" + here.Replace(b[2])
	}
	script += "echo '== end'\nfor v in a.example.org b.example.org d.example.org taxii.example misp.example drop.example; do noroshi indicator find $v --no-header --dir JPN; done\nnoroshi quarantine list --dir JPN\nnoroshi audit verify --dir JPN\n"
	out := runStory(t, script)
	for _, want := range []string{
		`(?s)== https.*new +3\n.*quarantined +1\n.*new +1\n.*== taxii.*new +1\n.*== misp.*new +[3-9]\n.*== folder.*new +1\n`,
		`(?s)waiting +2\n.*2 of 3 indicators are listed no more`,
		`== accept\n(.*\n)*blocklist .* waits `,
		`(?m)^vanished +2`,
		`(?s)== end.*d\.example\.org.*taxii\.example.*misp\.example.*drop\.example`,
		`www\.mod\.example`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("the story's output lacks %s:\n%s", want, out)
		}
	}
}
