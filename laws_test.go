package noroshi_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// opens are the calls by which bytes can leave a process: to a file, a socket
// or another program.
var opens = map[string][]string{
	"os":                             {"Create", "CreateTemp", "OpenFile", "WriteFile", "NewFile", "Pipe", "StartProcess", "OpenRoot", "OpenInRoot", "CopyFS", "Link", "Symlink"},
	"io/ioutil":                      {"WriteFile", "TempFile"},
	"net":                            {"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialUnix", "DialIP", "Listen", "ListenPacket", "ListenTCP", "ListenUDP", "ListenUnix", "Dialer", "ListenConfig", "ListenMulticastUDP", "FileConn", "FilePacketConn", "FileListener"},
	"crypto/tls":                     {"Dial", "DialWithDialer", "Dialer", "Listen", "NewListener", "Client", "Server"},
	"net/http":                       {"Get", "Post", "PostForm", "Head", "Client", "Transport", "Server", "ListenAndServe", "ListenAndServeTLS", "Serve", "ServeTLS", "DefaultClient", "DefaultTransport", "NewRequest", "NewRequestWithContext"},
	"net/http/httputil":              {"ReverseProxy", "NewSingleHostReverseProxy"},
	"os/exec":                        {"Command", "CommandContext", "Cmd"},
	"database/sql":                   {"Open", "OpenDB"},
	"log/syslog":                     {"Dial", "New"},
	"github.com/jackc/pgx/v5/pgconn": {"Connect", "ConnectConfig", "ConnectWithOptions"},
	"net/smtp":                       {"Dial", "SendMail", "NewClient"},
	"syscall":                        {"Open", "Socket", "Write", "Sendto", "Exec", "ForkExec"},
	"golang.org/x/sys/unix":          {"Open", "Socket", "Write", "Sendto"},
	module + "/internal/door":        {"Beside"},
	module + "/internal/durable":     {"Write", "WriteIn", "Append", "New"},
}

// writers is every file of the module that opens a way out, and why it may.
// Law 1: what goes to a partner passes the exit gate, so a new line here needs
// a reason that says what kind of bytes go there.
var writers = map[string]string{
	"internal/durable":               "files beside the database, for whoever asks it and is listed here too",
	"cmd/noroshi/exportcmd.go":       "an export where its person wants it; to a partner only what the door fetched from the exit gate",
	"internal/door/beside.go":        "exports, rendered to a file before a sensor gets them or beside the place it is to take; to a partner only what the exit gate cleared",
	"internal/door/scheduled.go":     "the files of an export, where the node's administrator wants them",
	"internal/courier/https":         "sealed envelopes to a partner, and the partner listener; the bytes come from courier, which takes release.Cleared and fixed control forms only",
	"internal/courier/line":          "sealed envelopes to a partner in frames, on the device or the socket an operator named; the bytes come from courier, as https has them",
	"internal/courier/media":         "sealed envelopes in blocks, to a folder or file its person names, 0600; the bytes come from courier, as for https",
	"internal/door/feed/outside.go":  "what a feed asks of its own server through internal/door/fetch: its address and credentials, as an operator wrote them; what came, in the node's folder until it is taken",
	"internal/door/feed/run.go":      "opens the folder of a feed to read it, and nothing above",
	"internal/door/fetch":            "requests for feeds and to the sign-on server, to hosts and addresses an operator allowed; carries what a feed's client asks: paths, filters, credentials",
	"internal/door/translate":        "a text to the translation service named in noroshi.toml through internal/door/fetch, when a person asks: no higher than the service may have by its label, to a service outside TLP:CLEAR alone",
	"internal/door/siem":             "TLS to the organisation's own SIEM, named in noroshi.toml: warnings, sightings and acts up to the label the SIEM may get, never to a partner",
	"internal/door/siem/siemtest":    "tests: a SIEM's end on loopback, its certificates in the test's folder",
	"internal/mutants":               "tests: the source with a bug in it, in a temporary folder, and the go command on it",
	"internal/node/backup.go":        "a backup where its administrator wants it: all of a realm, sealed; and until then in the node's own folder",
	"internal/node/backup_check.go":  "parts of a backup that is put back, in the node's own folder or a temporary one, 0600",
	"internal/node/config.go":        "noroshi.toml of a new node, in its own folder",
	"internal/node/custody.go":       "the next root's key, sealed, in the node's own folder, 0600",
	"internal/node/init.go":          "the organisation's identity, in the node's own folder",
	"internal/node/keys.go":          "sealed keys, in the node's own folder, 0600",
	"internal/node/restore.go":       "what a restore has to move, in the node's own folder",
	"internal/node/vault.go":         "sealed secrets of links, in the node's own folder, 0600",
	"internal/node/late.go":          "the addresses of serve.go and taxii.go, bound by the process that leads",
	"internal/node/nodetest":         "tests: noroshi.toml of a node that is put back, in the test's folder",
	"internal/node/secret.go":        "the sealing key, in the node's own folder, 0600",
	"internal/node/serve.go":         "partner listener handed to https; the API's socket in the data folder, 0600",
	"internal/node/taxii.go":         "the inner door's own address: what the door gives this organisation's tools",
	"internal/node/metrics.go":       "counts and health on a listener of their own; labels are call signs and precedences",
	"internal/node/cable":            "demo and stories: a wire on loopback that can be cut; carries what the nodes sealed",
	"internal/node/demo/demo.go":     "demo: the report file",
	"internal/node/demo/desk.go":     "demo: a sensor's log in the demo's folder",
	"internal/node/demo/party.go":    "demo: runs the program itself, its logs and passphrases in the demo's folder",
	"internal/node/demo/share.go":    "demo: unpacks embedded telemetry into the demo's folder",
	"internal/pictures":              "pictures of the demo's screens, in the folder that is asked for; runs the demo and a browser that asks loopback alone",
	"internal/store":                 "the realm's database, its lock file, and beside it the list of recalls: ids, codes and times",
	"internal/store/pg":              "the realm's own PostgreSQL database: statements and rows, as the file has them",
	"internal/store/storetest":       "tests: a private PostgreSQL in a temporary folder",
	"internal/node/console.go":       "the listener of the screens, inside the border: pages for this node's own persons, by their roles",
	"internal/web/import.go":         "a file that a person signed for, in the node's own folder until it is admitted, 0600",
	"internal/web/console/upload.go": "a file that a person brings through the screens, in the node's own folder until they sign for it, 0600",
	"internal/web/console/oidc.go":   "a person's sign-on: its codes and the client's secret, to the organisation's own server through internal/door/fetch",
	"internal/web/client.go":         "a command's call to its own node's socket",
	"taxii/client_http.go":           "a client's requests through the transport its owner gives: filters, credentials, and what the owner posts",
	"internal/courier/mail":          "sealed envelopes to a partner as attachments, to the gateway or into the folder an operator named, and the listener for letters; the bytes come from courier, as https has them",
	"internal/courier/mail/mailtest": "tests: a private mail gateway in a temporary folder, and its port on loopback",
}

// speakers is every file or folder of the module that imports a package by which
// one can speak to another process, and why. What writes to a connection, an
// answer or a template somebody else opened must import one of them too.
var speakers = map[string]string{
	"internal/durable":               "names an error of the disk, in a program built to play crashes",
	"taxii":                          "the protocol over a Backend: what the door's backend gives, which to a partner is release.Cleared only",
	"internal/door/fetch":            "see writers",
	"internal/door/feed":             "see writers",
	"internal/door":                  "reads who asks from a request; what it gives a partner is release.Cleared",
	"internal/courier/https":         "see writers",
	"internal/courier/line":          "see writers",
	"internal/courier/mail":          "see writers",
	"internal/courier/mail/mailtest": "see writers",
	"internal/mutants":               "see writers",
	"internal/node/mail.go":          "reads addresses from noroshi.toml, and makes the listener for letters",
	"internal/door/siem":             "see writers",
	"internal/door/translate":        "see writers",
	"internal/door/siem/siemtest":    "see writers",
	"internal/node/siem.go":          "reads addresses from noroshi.toml",
	"internal/node/metrics.go":       "see writers",
	"internal/node/serve.go":         "see writers",
	"internal/node/cable":            "see writers",
	"internal/node/demo/party.go":    "see writers",
	"internal/node/bounded.go":       "counts the connections to the console",
	"internal/pictures":              "see writers",
	"internal/node/console.go":       "see writers",
	"internal/web/console":           "the pages, to this node's own persons by their roles; partners have no way in",
	"internal/web/client.go":         "see writers",
	"internal/web/web.go":            "the API's answers to this node's own persons, on the socket in the data folder; partners have no way in",
	"internal/node/config.go":        "reads addresses from noroshi.toml",
	"internal/node/doctor.go":        "looks whether addresses are free and names resolve",
	"internal/node/node.go":          "hands the listener's address to serve",
	"internal/node/late.go":          "see writers",
	"internal/node/taxii.go":         "see writers",
	"internal/store/pg":              "see writers",
	"internal/store/disk.go":         "knows the error of a full disk of the realm's own database",
	"internal/store/postgres.go":     "reads the address of the realm's own database; pg speaks to it",
	"internal/store/storetest":       "see writers",
	"internal/store/lock_unix.go":    "the lock of the data folder",
	"internal/store/lock_windows.go": "the lock of the data folder",
	"internal/node/own_unix.go":      "asks whose a folder is",
	"cmd/noroshi":                    "signals, and whether the terminal is one",
}

// speaking are packages by which one can speak to another process.
var speaking = []string{"net", "net/http", "net/http/httputil", "net/rpc", "net/rpc/jsonrpc", "net/smtp", "net/textproto", "crypto/tls", "os/exec",
	"syscall", "plugin", "text/template", "html/template", "log/syslog", "expvar", "net/http/pprof", "golang.org/x/sys/unix", "golang.org/x/sys/windows",
	"golang.org/x/net", "golang.org/x/crypto/ssh", "github.com/emersion", "github.com/jackc"}

// TestLawOneSpeakers lists what can speak to another process at all.
func TestLawOneSpeakers(t *testing.T) {
	used := map[string]bool{}
	walkGo(t, func(path string) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, im := range f.Imports {
			p, _ := strconv.Unquote(im.Path.Value)
			if im.Name != nil && im.Name.Name == "." {
				t.Errorf("%s imports %s into its own names: its calls would not be seen here", path, p)
			}
			if p == "golang.org/x/net/idna" || !slices.ContainsFunc(speaking, func(s string) bool { return p == s || strings.Contains(s, ".") && strings.HasPrefix(p, s+"/") }) {
				continue
			}
			row := filepath.ToSlash(path)
			if speakers[row] == "" {
				row = filepath.ToSlash(filepath.Dir(path))
			}
			if speakers[row] == "" {
				t.Errorf("%s imports %s and is not listed with a reason", path, p)
			}
			used[row] = true
		}
	})
	for row := range speakers {
		if !used[row] {
			t.Errorf("listed, but imports nothing of the kind: %s", row)
		}
	}
}

// TestLeakTestsAreNamed: each of the leaks that must never pass a byte, L1 to
// L12, has a test that names it in its first words.
func TestLeakTestsAreNamed(t *testing.T) {
	names := regexp.MustCompile(`\bL(1[0-2]|[1-9])\b`)
	found := map[string][]string{}
	walkGo(t, func(path string) {
		if !strings.HasSuffix(path, "_test.go") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Doc == nil || !strings.HasPrefix(fn.Name.Name, "Test") || fn.Name.Name == "TestLeakTestsAreNamed" {
				continue
			}
			for _, l := range names.FindAllString(fn.Doc.Text(), -1) {
				found[l] = append(found[l], fn.Name.Name)
			}
		}
	})
	for n := 1; n <= 12; n++ {
		if l := "L" + strconv.Itoa(n); len(found[l]) == 0 {
			t.Errorf("no test names %s", l)
		}
	}
	t.Log(found)
}

// TestLawOneWriters is L8: it lists every writer to a socket or file in the
// module.
func TestLawOneWriters(t *testing.T) {
	found := map[string][]string{}
	walkGo(t, func(path string) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		for _, call := range waysOut(t, path) {
			found[filepath.ToSlash(path)] = append(found[filepath.ToSlash(path)], call)
		}
	})
	used := map[string]bool{}
	for path, calls := range found {
		row := path
		if writers[row] == "" {
			row = filepath.ToSlash(filepath.Dir(path))
		}
		if writers[row] == "" {
			t.Errorf("%s opens a way out (%s) and is not listed with a reason", path, strings.Join(calls, ", "))
			continue
		}
		used[row] = true
	}
	var stale []string
	for row := range writers {
		if !used[row] {
			stale = append(stale, row)
		}
	}
	sort.Strings(stale)
	if len(stale) > 0 {
		t.Errorf("listed, but open no way out: %s", strings.Join(stale, ", "))
	}
}

// waysOut returns the calls and types of a file by which bytes can leave.
func waysOut(t *testing.T, path string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{} // local name -> import path
	for _, im := range f.Imports {
		p, _ := strconv.Unquote(im.Path.Value)
		name := filepath.Base(p)
		if im.Name != nil {
			name = im.Name.Name
		}
		names[name] = p
	}
	var calls []string
	ast.Inspect(f, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := s.X.(*ast.Ident); ok && x.Obj == nil && slices.Contains(opens[names[x.Name]], s.Sel.Name) {
			calls = append(calls, x.Name+"."+s.Sel.Name)
		}
		return true
	})
	return calls
}

// TestLawOneCleared: only room release makes a Cleared. Its fields are
// unexported, so no other package can fill one; here no other file of the
// module may even write the composite literal, and courier must refuse the
// zero value by asking Valid.
func TestLawOneCleared(t *testing.T) {
	walkGo(t, func(path string) {
		if strings.HasPrefix(filepath.ToSlash(path), "internal/release/") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			c, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			if s, ok := c.Type.(*ast.SelectorExpr); ok && s.Sel.Name == "Cleared" && !strings.HasSuffix(path, "_test.go") {
				t.Errorf("%s makes a Cleared", path)
			}
			return true
		})
	})
}

// TestLawTwoOneWriteDoor: no room but store imports a database driver, and
// store exports one door for acts.
func TestLawTwoOneWriteDoor(t *testing.T) {
	walkGo(t, func(path string) {
		slash := filepath.ToSlash(path)
		if strings.HasPrefix(slash, "internal/store/") || strings.HasSuffix(path, "_test.go") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, im := range f.Imports {
			if p, _ := strconv.Unquote(im.Path.Value); p == "database/sql" || strings.Contains(p, "sqlite") {
				t.Errorf("%s imports %s: only store speaks to the database", path, p)
			}
		}
	})
}
