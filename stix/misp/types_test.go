package misp_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/stix/misp"
)

const (
	md5    = "d41d8cd98f00b204e9800998ecf8427e"
	sha1   = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
	sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	sha512 = "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
)

// types are the attribute types with a place in STIX: what finds a value, and
// what a value is when it is only observed ("" = a note).
var types = []struct{ typ, value, pattern, observed string }{
	{"md5", md5, "[file:hashes.MD5 = '" + md5 + "']", "file"},
	{"sha1", sha1, "[file:hashes.'SHA-1' = '" + sha1 + "']", "file"},
	{"sha224", sha1 + "0000000000000000", "[file:hashes.'SHA-224' = '" + sha1 + "0000000000000000']", "file"},
	{"sha256", sha256, "[file:hashes.'SHA-256' = '" + sha256 + "']", "file"},
	{"sha384", sha512[:96], "[file:hashes.'SHA-384' = '" + sha512[:96] + "']", "file"},
	{"sha512", sha512, "[file:hashes.'SHA-512' = '" + sha512 + "']", "file"},
	{"sha512/256", sha256, "[file:hashes.'SHA-512-256' = '" + sha256 + "']", "file"},
	{"sha3-256", sha256, "[file:hashes.'SHA3-256' = '" + sha256 + "']", "file"},
	{"ssdeep", "96:s4Ud1Lj96tHHlZDrwciQmA+4uy1I0G4HYuL8N3TzS8QsO/wqWXLcMSx:sF1LjEtHHlZDrJzrhuyZvHYm8tKp/RWO", "[file:hashes.SSDEEP = '96:s4Ud1Lj96tHHlZDrwciQmA+4uy1I0G4HYuL8N3TzS8QsO/wqWXLcMSx:sF1LjEtHHlZDrJzrhuyZvHYm8tKp/RWO']", "file"},
	{"imphash", md5, "[file:hashes.IMPHASH = '" + md5 + "']", "file"},
	{"filename", "日本 語.exe", "[file:name = '日本 語.exe']", "file"},
	{"filename|md5", "a|b.exe|" + md5, "[file:hashes.MD5 = '" + md5 + "']", "file"},
	{"filename|sha1", "a.exe|" + sha1, "[file:hashes.'SHA-1' = '" + sha1 + "']", "file"},
	{"filename|sha256", "a.exe|" + sha256, "[file:hashes.'SHA-256' = '" + sha256 + "']", "file"},
	{"malware-sample", "a.exe|" + md5, "[file:hashes.MD5 = '" + md5 + "']", "file"},
	{"email-attachment", "a.doc", "[email-message:body_multipart[*].body_raw_ref.name = 'a.doc']", "file"},
	{"size-in-bytes", "817", "[file:size = 817]", ""},
	{"mime-type", "application/pdf", "[file:mime_type = 'application/pdf']", ""},
	{"domain", "a.example", "[domain-name:value = 'a.example']", "domain-name"},
	{"hostname", "www.a.example", "[domain-name:value = 'www.a.example']", "domain-name"},
	{"onion-address", "abc.onion", "[domain-name:value = 'abc.onion']", "domain-name"},
	{"ip-src", "192.0.2.1", "[network-traffic:src_ref.type = 'ipv4-addr' AND network-traffic:src_ref.value = '192.0.2.1']", "ipv4-addr"},
	{"ip-dst", "2001:db8::1", "[network-traffic:dst_ref.type = 'ipv6-addr' AND network-traffic:dst_ref.value = '2001:db8::1']", "ipv6-addr"},
	{"ip-dst", "192.0.2.0/24", "[network-traffic:dst_ref.value ISSUBSET '192.0.2.0/24']", "ipv4-addr"},
	{"ip-dst|port", "192.0.2.1|443", "[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '192.0.2.1' AND network-traffic:dst_port = 443]", "ipv4-addr network-traffic"},
	{"ip-src|port", "192.0.2.1|443", "[network-traffic:src_ref.type = 'ipv4-addr' AND network-traffic:src_ref.value = '192.0.2.1' AND network-traffic:src_port = 443]", "ipv4-addr network-traffic"},
	{"hostname|port", "a.example|443", "[domain-name:value = 'a.example' AND network-traffic:dst_port = 443]", "domain-name network-traffic"},
	{"domain|ip", "a.example|192.0.2.1", "[domain-name:value = 'a.example' OR ipv4-addr:value = '192.0.2.1']", "domain-name ipv4-addr"},
	{"port", "443", "[network-traffic:dst_port = 443]", ""},
	{"url", "https://a.example/x?y='z'", `[url:value = 'https://a.example/x?y=\'z\'']`, "url"},
	{"uri", "/gate.php", "[url:value = '/gate.php']", "url"},
	{"AS", "64496", "[autonomous-system:number = 64496]", "autonomous-system"},
	{"mac-address", "00:00:5e:00:53:01", "[mac-addr:value = '00:00:5e:00:53:01']", "mac-addr"},
	{"user-agent", "Mozilla/5.0", "[network-traffic:extensions.'http-request-ext'.request_header.'User-Agent' = 'Mozilla/5.0']", ""},
	{"cookie", "a=b", "[network-traffic:extensions.'http-request-ext'.request_header.Cookie = 'a=b']", ""},
	{"http-method", "POST", "[network-traffic:extensions.'http-request-ext'.request_method = 'POST']", ""},
	{"email", "a@b.example", "[email-addr:value = 'a@b.example']", "email-addr"},
	{"email-src", "a@b.example", "[email-message:from_ref.value = 'a@b.example']", "email-addr"},
	{"email-dst", "a@b.example", "[email-message:to_refs[*].value = 'a@b.example']", "email-addr"},
	{"email-src-display-name", "総務課", "[email-message:from_ref.display_name = '総務課']", ""},
	{"email-subject", "至急: ご確認ください", "[email-message:subject = '至急: ご確認ください']", "email-message"},
	{"email-body", "line\nline", "[email-message:body = 'line\nline']", "email-message"},
	{"email-message-id", "<a@b.example>", "[email-message:message_id = '<a@b.example>']", "email-message"},
	{"email-reply-to", "a@b.example", "[email-message:additional_header_fields.'Reply-To' = 'a@b.example']", ""},
	{"email-x-mailer", "Foxmail", "[email-message:additional_header_fields.'X-Mailer' = 'Foxmail']", ""},
	{"mutex", `Global\a`, `[mutex:name = 'Global\\a']`, "mutex"},
	{"regkey", `HKLM\Software\Run`, `[windows-registry-key:key = 'HKEY_LOCAL_MACHINE\\Software\\Run']`, "windows-registry-key"},
	{"regkey|value", `HKCU\Software\Run|a.exe|b`, `[windows-registry-key:key = 'HKEY_CURRENT_USER\\Software\\Run' AND windows-registry-key:values[*].data = 'a.exe|b']`, "windows-registry-key"},
	{"windows-service-name", "svc", "[process:extensions.'windows-service-ext'.service_name = 'svc']", ""},
	{"cpe", "cpe:2.3:a:x:y:1:*:*:*:*:*:*:*", "[software:cpe = 'cpe:2.3:a:x:y:1:*:*:*:*:*:*:*']", ""},
	{"x509-fingerprint-sha1", sha1, "[x509-certificate:hashes.'SHA-1' = '" + sha1 + "']", "x509-certificate"},
	{"x509-fingerprint-md5", md5, "[x509-certificate:hashes.MD5 = '" + md5 + "']", "x509-certificate"},
	{"x509-fingerprint-sha256", sha256, "[x509-certificate:hashes.'SHA-256' = '" + sha256 + "']", "x509-certificate"},
	{"yara", "rule a { condition: true }", "rule a { condition: true }", ""},
	{"sigma", "title: a", "title: a", ""},
	{"snort", `alert tcp any any -> any any (msg:"a"; sid:1;)`, `alert tcp any any -> any any (msg:"a"; sid:1;)`, ""},
	{"stix2-pattern", "[a:b = 1] FOLLOWEDBY [c:d = 2]", "[a:b = 1] FOLLOWEDBY [c:d = 2]", ""},
}

// rewritten are values that STIX spells otherwise: without a rest the spelling
// of STIX comes back.
var rewritten = map[string]string{
	`HKLM\Software\Run`:         `HKEY_LOCAL_MACHINE\Software\Run`,
	`HKCU\Software\Run|a.exe|b`: `HKEY_CURRENT_USER\Software\Run|a.exe|b`,
	"AS64496":                   "64496",
	"00-00-5E-00-53-01":         "00:00:5e:00:53:01",
}

// TestTypes: each type becomes what the table says, both meant for detection and
// not, and comes back with and without a rest.
func TestTypes(t *testing.T) {
	t.Parallel()
	for _, c := range types {
		t.Run(c.typ, func(t *testing.T) {
			b := event(t, nil, attribute(1, c.typ, c.value, true, nil), attribute(2, c.typ, c.value, false, nil))
			r := read(t, b).STIX(misp.Options{})
			ind := find(r.Objects, "indicator--"+stix.ID(uuid(1)))
			if ind == nil {
				t.Fatalf("no indicator: %v", r.Notes)
			}
			if got := ind.Text("pattern"); got != c.pattern {
				t.Errorf("got pattern %s, want %s", got, c.pattern)
			}
			data := find(r.Objects, "observed-data--"+stix.ID(uuid(2)))
			if data == nil {
				data = find(r.Objects, "note--"+stix.ID(uuid(2)))
			}
			var kinds []string
			for _, v := range data.Property("object_refs").Elements() {
				if id := stix.ID(v.Text()); id.Type() != "report" {
					kinds = append(kinds, id.Type())
				}
			}
			if got := strings.Join(kinds, " "); got != c.observed {
				t.Errorf("observed as %q, want %q", got, c.observed)
			}
			same(t, write(t, r.Objects, r.Rest, misp.Options{}), b)
			if strings.Contains(string(r.Rest), c.value) && rewritten[c.value] == "" && len(c.value) > 5 {
				t.Error("the rest repeats the value")
			}
			sound(t, r.Objects)
			plain(t, b, r.Objects)
		})
	}
}

// plain checks what is written without a rest.
func plain(t *testing.T, b []byte, objects []*stix.Object) {
	t.Helper()
	was, now := read(t, b), read(t, write(t, objects, nil, misp.Options{}))
	if len(now.Attributes) != len(was.Attributes) {
		t.Fatalf("%d attributes come back of %d", len(now.Attributes), len(was.Attributes))
	}
	for _, a := range was.Attributes {
		i := slices.IndexFunc(now.Attributes, func(n misp.Attribute) bool { return n.UUID == a.UUID })
		if i < 0 {
			t.Fatalf("attribute %s is lost", a.UUID)
		}
		got, want := now.Attributes[i], a.Value
		if spelled := rewritten[want]; spelled != "" && got.Value == spelled {
			want = spelled
		}
		if got.Value != want || got.Type != a.Type || got.ToIDs != a.ToIDs || got.At != a.At || got.Category != a.Category {
			t.Errorf("got %+v\nwant %+v", got, a)
		}
	}
}

// TestHostileValues: what is in a value stays in it.
func TestHostileValues(t *testing.T) {
	t.Parallel()
	var list []fields
	n := 0
	for _, v := range []string{`' OR a:b = 'x`, `x'] OR [a:b='`, `\`, `\'`, `"`, "a\nb", "a\r\nb\tc", "\u0000x", "a|b|c", "日本'語", "x\u2028y", "😀", `misp:type="ip-dst"`, " "} {
		for _, typ := range []string{"filename", "url", "domain", "mutex", "regkey", "regkey|value", "filename|md5", "email-subject", "user-agent", "text", "ip-dst", "yara", "vulnerability"} {
			if typ == "filename|md5" {
				v += "|" + md5
			}
			list = append(list, attribute(0, typ, v, n%3 != 0, fields{"uuid": ""}))
			n++
		}
	}
	b := event(t, fields{"info": "x\" \\ '\u0001", "Tag": tags(`a"b\c'd`, `misp:type="x"`, "<script>")}, list...)
	e := read(t, b)
	if len(e.Faults) > 0 {
		t.Fatal(e.Faults)
	}
	r := e.STIX(misp.Options{})
	same(t, write(t, r.Objects, r.Rest, misp.Options{}), b)
	sound(t, r.Objects)
	now := read(t, write(t, r.Objects, nil, misp.Options{}))
	if len(now.Attributes) != len(list) {
		t.Errorf("without a rest %d attributes come back of %d", len(now.Attributes), len(list))
	}
}
