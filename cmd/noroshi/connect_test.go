package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/internal/node/cable"
)

// page is one of docs/connect: what its story is given beforehand, what stands
// between its blocks, and what it must say in the end.
type page struct {
	before string            // run after a node JPN was made
	after  map[string]string // run after the block of that name
	wants  []string          // in what the blocks print, in any order
}

// serve runs the node as the pages tell; its files are then made at once.
const serve = "noroshi serve --dir JPN 2> JPN.log &\nnoroshi status --wait --dir JPN --quiet > up.txt\n"

// connectPages are the pages whose stories are told here.
var connectPages = map[string]page{
	"taxii.md": {
		before: "echo wiper-control.example | noroshi import - --name list --marking tlp:amber --dir JPN --quiet\n",
		after: map[string]string{
			// The shelf is filled by a follower.
			"open": `token=$(sed 's/.*"token":"\([^"]*\)".*/\1/' soc.json)` + "\n" +
				`until curl -sS --cacert noroshi.pem -u "soc:$token" https://127.0.0.1:7443/taxii2/api1/collections/indicators/objects/ | grep -q wiper; do sleep 0.1; done` + "\n",
		},
		wants: []string{`"api_roots":["/taxii2/api1/"]`, `"alias":"inbox"`, "wiper-control.example", `"success_count":1`, "c2.example"},
	},
	"misp.md": {
		before: "(printf '{\"response\":['; cat \"$EVENT\"; printf ']}') > events.json\n" + `cat > event.json <<'END'
{"Event":{"uuid":"3f0c5f5e-5d3b-4f0e-9a4e-5d3c8a1f2b11","info":"Phishing","date":"2026-11-22","timestamp":"1795305600","published":true,"Orgc":{"uuid":"55f6ea5e-2c60-40e5-964f-47a8950d210f","name":"SOC"},"Tag":[{"name":"limited"}],"Attribute":[{"uuid":"3f0c5f5e-5d3b-4f0e-9a4e-5d3c8a1f2b12","type":"domain","category":"Network activity","value":"phish.example","to_ids":true,"timestamp":"1795305600"}]}}
END
`,
		after: map[string]string{"export": "cat back.json indicators.csv\n"},
		wants: []string{`"alias":"misp"`, "objects: TLP:CLEAR, by tag “tlp:white”", `"95.141.37.3","ipv4-addr"`, `"name":"tlp:white"`, "2 objects: TLP:AMBER, by tag “limited”"},
	},
	"opencti.md": {
		before: "echo wiper-control.example | noroshi import - --name list --marking tlp:amber --dir JPN --quiet\n" + `cat > opencti.json <<'END'
{"more":false,"objects":[{"type":"indicator","spec_version":"2.1","id":"indicator--7f0c5f5e-5d3b-4f0e-9a4e-5d3c8a1f2b10","created":"2026-11-22T00:00:00.000Z","modified":"2026-11-22T00:00:00.000Z","name":"C2","pattern":"[domain-name:value = 'c2.example']","pattern_type":"stix","valid_from":"2026-11-22T00:00:00Z","object_marking_refs":["marking-definition--826578e1-40ad-459f-bc73-ede076f81f37"]}]}
END
`,
		after: map[string]string{
			"open": `token=$(sed 's/.*"token":"\([^"]*\)".*/\1/' opencti-client.json)` + "\n" +
				`until curl -sS --cacert noroshi.pem -u "opencti:$token" https://127.0.0.1:7443/taxii2/api1/collections/opencti/objects/ | grep -q wiper; do sleep 0.1; done` + "\n",
		},
		wants: []string{"wiper-control.example", "TLP:AMBER+STRICT", "c2.example"},
	},
	"zeek.md": {
		before: sample + `mkdir -p ../logs
echo '{"ts":1763769600.123456,"uid":"C1","id.orig_h":"10.0.0.5","id.orig_p":53111,"id.resp_h":"10.0.0.1","id.resp_p":53,"proto":"udp","query":"wiper-control.example","rcode_name":"NXDOMAIN"}' > ../logs/dns.log
`,
		after: map[string]string{"export": serve + until("noroshi.intel")},
		wants: []string{"Intel::DOMAIN", "[TLP:AMBER]", "strong", "1 warnings"},
	},
	"suricata.md": {
		before: sample + `mkdir -p ../logs
echo '{"timestamp":"2026-11-22T00:00:00.000000+0000","flow_id":1,"event_type":"dns","src_ip":"10.0.0.5","src_port":53111,"dest_ip":"10.0.0.1","dest_port":53,"proto":"UDP","dns":{"version":3,"type":"request","id":1,"queries":[{"rrname":"wiper-control.example","rrtype":"A"}]}}' > ../logs/eve.json
`,
		after: map[string]string{"export": serve + until("noroshi.rules")},
		wants: []string{"dataset:isset,noroshi-domain-tlp-amber", "noroshi-domain-tlp-amber", "strong", "1 warnings"},
	},
	"rpz.md": {
		before: "PATH=$PATH:/usr/sbin\n" + sample,
		after:  map[string]string{"export": serve + until("noroshi.rpz")},
		wants:  []string{"OK", "wiper-control.example CNAME .", "*.wiper-control.example CNAME .", "no errors in"},
	},
}

// sample is held by the node whose files sensors read.
const sample = "printf 'wiper-control.example\\n192.0.2.77\\n' | noroshi import - --name list --marking tlp:amber --dir JPN --quiet\nmkdir -p ../export\n"

func until(file string) string {
	return "until [ -s ../export/" + file + " ]; do sleep 0.1; done\n"
}

// TestConnectPages runs the commands of the pages under docs/connect as they
// stand: what is typed on the node's side, and the requests its clients make.
func TestConnectPages(t *testing.T) {
	event, err := filepath.Abs("../../stix/misp/testdata/misp-telebots.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range connectPages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile("../../docs/connect/" + name)
			if err != nil {
				t.Fatal(err)
			}
			blocks := block.FindAllStringSubmatch(string(text), -1)
			if len(blocks) < 2 {
				t.Fatalf("%d story blocks, want at least 2", len(blocks))
			}
			var story strings.Builder
			story.WriteString("set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\nmkdir work; cd work\nEVENT='" + event + "'\nnoroshi init --yes --org JPN-01 --dir JPN --quiet\n" + p.before)
			for _, b := range blocks {
				story.WriteString("echo '== " + b[1] + "'\n" + b[2] + p.after[b[1]])
			}
			// Beside the folder the story works in stands what the pages name by
			// places of the machine.
			story.WriteString("cd ..\n")
			out := runStory(t, here(t, story.String()))
			for _, want := range p.wants {
				if !strings.Contains(out, want) {
					t.Errorf("the story's output lacks %q:\n%s", want, out)
				}
			}
		})
	}
}

// here puts a free address and folders of the test in the place of those the
// pages name.
func here(t *testing.T, story string) string {
	t.Helper()
	l, err := cable.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, sub := range []string{"export", "logs"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return strings.NewReplacer("127.0.0.1:7443", free, "/var/lib/noroshi/export", filepath.Join(dir, "export"), "../export", filepath.Join(dir, "export"),
		"../logs", filepath.Join(dir, "logs"), "/opt/zeek/logs/current", filepath.Join(dir, "logs"), "/var/log/suricata", filepath.Join(dir, "logs")).Replace(story)
}

// TestConnectSiblings: every page has a Japanese sibling with the same commands,
// and both READMEs link theirs.
func TestConnectSiblings(t *testing.T) {
	fence := regexp.MustCompile("(?s)```[a-z]*\n(.*?)```")
	read := func(path string) []byte {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	readme, liesmich := read("../../README.md"), read("../../README.ja.md")
	pages, err := filepath.Glob("../../docs/connect/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range connectPages {
		if !slices.Contains(pages, "../../docs/connect/"+name) {
			t.Errorf("there is no page %s", name)
		}
	}
	for _, path := range pages {
		en := strings.Replace(path, ".ja.md", ".md", 1)
		ja := strings.Replace(en, ".md", ".ja.md", 1)
		if !slices.EqualFunc(fence.FindAll(read(en), -1), fence.FindAll(read(ja), -1), bytes.Equal) {
			t.Errorf("%s has other commands than %s", ja, en)
		}
		if link := "(docs/connect/" + filepath.Base(path) + ")"; !bytes.Contains(readme, []byte(link)) && !bytes.Contains(liesmich, []byte(link)) {
			t.Errorf("no README has %s", link)
		}
	}
}
