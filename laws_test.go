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
	"os":                    {"Create", "CreateTemp", "OpenFile", "WriteFile", "NewFile", "Pipe", "StartProcess", "OpenRoot", "OpenInRoot", "CopyFS", "Link", "Symlink"},
	"io/ioutil":             {"WriteFile", "TempFile"},
	"net":                   {"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialUnix", "DialIP", "Listen", "ListenPacket", "ListenTCP", "ListenUDP", "ListenUnix", "Dialer", "ListenConfig", "ListenMulticastUDP", "FileConn", "FilePacketConn", "FileListener"},
	"crypto/tls":            {"Dial", "DialWithDialer", "Dialer", "Listen", "NewListener", "Client", "Server"},
	"net/http":              {"Get", "Post", "PostForm", "Head", "Client", "Transport", "Server", "ListenAndServe", "ListenAndServeTLS", "Serve", "ServeTLS", "DefaultClient", "DefaultTransport", "NewRequest", "NewRequestWithContext"},
	"net/http/httputil":     {"ReverseProxy", "NewSingleHostReverseProxy"},
	"os/exec":               {"Command", "CommandContext", "Cmd"},
	"database/sql":          {"Open", "OpenDB"},
	"log/syslog":            {"Dial", "New"},
	"net/smtp":              {"Dial", "SendMail", "NewClient"},
	"syscall":               {"Open", "Socket", "Write", "Sendto", "Exec", "ForkExec"},
	"golang.org/x/sys/unix": {"Open", "Socket", "Write", "Sendto"},
}

// writers is every file of the module that opens a way out, and why it may.
// Law 1: what goes to a partner passes the exit gate, so a new line here needs
// a reason that says what kind of bytes go there.
var writers = map[string]string{
	"internal/courier/https":      "sealed envelopes to a partner, and the partner listener; the bytes come from courier, which takes release.Cleared and fixed control forms only",
	"internal/node/config.go":     "noroshi.toml of a new node, in its own folder",
	"internal/node/secret.go":     "sealed keys and identity, in the node's own folder, 0600",
	"internal/node/serve.go":      "partner listener handed to https; the API's socket in the data folder, 0600",
	"internal/node/metrics.go":    "counts and health on a listener of their own; labels are call signs and precedences",
	"internal/node/cable":         "demo and stories: a wire on loopback that can be cut; carries what the nodes sealed",
	"internal/node/demo/demo.go":  "demo: the report file",
	"internal/node/demo/party.go": "demo: runs the program itself, its logs and passphrases in the demo's folder",
	"internal/node/demo/share.go": "demo: unpacks embedded telemetry into the demo's folder",
	"internal/store":              "the realm's database, its lock file, and beside it the list of recalls: ids, codes and times",
	"internal/web/client.go":      "a command's call to its own node's socket",
}

// speakers is every file or folder of the module that imports a package by which
// one can speak to another process, and why. What writes to a connection, an
// answer or a template somebody else opened must import one of them too.
var speakers = map[string]string{
	"internal/courier/https":         "see writers",
	"internal/node/metrics.go":       "see writers",
	"internal/node/serve.go":         "see writers",
	"internal/node/cable":            "see writers",
	"internal/node/demo/party.go":    "see writers",
	"internal/web/client.go":         "see writers",
	"internal/web/web.go":            "the API's answers to this node's own persons, on the socket in the data folder; partners have no way in",
	"internal/node/config.go":        "reads addresses from noroshi.toml",
	"internal/node/doctor.go":        "looks whether addresses are free and names resolve",
	"internal/node/node.go":          "hands the listener's address to serve",
	"internal/store/lock_unix.go":    "the lock of the data folder",
	"internal/store/lock_windows.go": "the lock of the data folder",
	"cmd/noroshi":                    "signals, and whether the terminal is one",
}

// speaking are packages by which one can speak to another process.
var speaking = []string{"net", "net/http", "net/http/httputil", "net/rpc", "net/rpc/jsonrpc", "net/smtp", "net/textproto", "crypto/tls", "os/exec",
	"syscall", "plugin", "text/template", "html/template", "log/syslog", "expvar", "net/http/pprof", "golang.org/x/sys/unix", "golang.org/x/sys/windows",
	"golang.org/x/net", "golang.org/x/crypto/ssh", "github.com/emersion"}

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
