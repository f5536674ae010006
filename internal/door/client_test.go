package door_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door"
)

// TestCollections: names are names, unique among names and ids, and a partner's
// are the node's to give.
func TestCollections(t *testing.T) {
	t.Parallel()
	o := newOffice(t, jpn)
	first := o.shelf("tools")
	o.letPartner("soc", jpn)
	for name, c := range map[string]struct {
		add  door.Collection
		want string
	}{
		"empty":              {door.Collection{}, "door.name"},
		"a partner's, spelt": {door.Collection{Name: "Partner.0200"}, "door.partner-collection"},
		"slash":              {door.Collection{Name: "a/b"}, "door.name"},
		"begins with a dot":  {door.Collection{Name: ".a"}, "door.name"},
		"64 letters":         {door.Collection{Name: strings.Repeat("a", 64)}, "door.name"},
		"a line break":       {door.Collection{Name: "a\n"}, "door.name"},
		"there already":      {door.Collection{Name: "tools"}, "door.collection-exists"},
		"an id":              {door.Collection{Name: first}, "door.name"},
		"a partner's name":   {door.Collection{Name: "partner.0200"}, "door.partner-collection"},
		"a partner's":        {door.Collection{Name: "a", Partner: jpn.Node}, "door.partner-collection"},
		"selection":          {door.Collection{Name: "a", Select: []string{"type"}}, "door.select"},
		"empty selection":    {door.Collection{Name: "a", Select: []string{"type="}}, "door.select"},
		"unknown selection":  {door.Collection{Name: "a", Select: []string{"colour=red"}}, "door.select"},
		"no type":            {door.Collection{Name: "a", Select: []string{"type=indicator", "type=indicators"}}, "door.select-type"},
		"no source":          {door.Collection{Name: "a", Select: []string{"source=feeds"}}, "door.select-source"},
		"no source, named":   {door.Collection{Name: "a", Select: []string{"source=:kev"}}, "door.select-source"},
		"no marking":         {door.Collection{Name: "a", Select: []string{"marking=TLP:PURPLE"}}, "ceiling.form"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := o.door.AddCollection(o.ctx, c.add); noroshi.CodeOf(err) != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	list, err := o.door.Collections(o.ctx)
	if err != nil || len(list) != 2 || list[0].Name != "partner.0200000000000000" || list[0].Title != "JPN-01" || list[1].ID != first {
		t.Errorf("collections: %+v %v", list, err)
	}
	for _, name := range []string{"tools", first, strings.ToUpper(first)} {
		if c, err := o.door.Collection(o.ctx, name); err != nil || c.ID != first {
			t.Errorf("%s: %+v %v", name, c, err)
		}
	}
}

// TestSelections: what may be selected is what STIX defines, what is one's own,
// and what is held.
func TestSelections(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.put(made, object("acme-thing", 1, noroshi.Green, ""))
	for i, sel := range []string{"type=indicator", "type=ipv4-addr", "type=x-acme-thing", "type=acme-thing", "source=self", "source=feed", "source=feed:kev", "source=partner", "source=file:a.txt", "source=client:misp"} {
		if _, err := o.door.AddCollection(o.ctx, door.Collection{Name: fmt.Sprint("s", i), Select: []string{sel}}); err != nil {
			t.Errorf("%s: %v", sel, err)
		}
	}
}

// TestCollectionRemoved: a shelf goes with what its clients may do there and
// nothing else; its name is free, and what lay there is held.
func TestCollectionRemoved(t *testing.T) {
	t.Parallel()
	o := newOffice(t, jpn)
	first, other := o.shelf("tools", "type=indicator"), o.shelf("other")
	tool := o.letIn(door.NewClient{Name: "tool", Read: []string{"tools", "other"}, Write: []string{"tools"}})
	o.letIn(door.NewClient{Name: "blind", Read: []string{"other"}})
	o.letPartner("soc", jpn)
	tool.post("tools", indicator(1, noroshi.Green, ""))
	for name, want := range map[string]string{"none": "door.no-collection", "partner.0200000000000000": "door.remove-partner"} {
		if _, err := o.door.RemoveCollection(o.ctx, name); noroshi.CodeOf(err) != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	clients, err := o.door.RemoveCollection(o.ctx, "tools")
	if err != nil || len(clients) != 1 || clients[0] != "tool" {
		t.Fatalf("removed with %v, %v", clients, err)
	}
	for path, want := range map[string]int{inColl + "tools/": http.StatusNotFound, inColl + first + "/objects/": http.StatusNotFound, "/export/tools/csv": http.StatusNotFound, inColl + "other/": http.StatusOK} {
		if w := tool.ask("GET", path, ""); w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
	if w := tool.ask("POST", inColl+"tools/objects/", `{"objects":[`+indicator(2, noroshi.Green, "")+`]}`); w.Code != http.StatusNotFound {
		t.Errorf("posted to it: %d", w.Code)
	}
	if r := o.current(id("indicator", 1)); r.Withdrawn || !r.Current {
		t.Errorf("what lay there: %+v", r)
	}
	if _, err := o.door.RemoveCollection(o.ctx, "tools"); noroshi.CodeOf(err) != "door.no-collection" {
		t.Errorf("again: %v", err)
	}
	if again := o.shelf("tools"); again == first || again == other {
		t.Errorf("a new one has the id %s", again)
	}
	if w := tool.ask("GET", inColl+"tools/", ""); w.Code != http.StatusNotFound {
		t.Errorf("who could read the former one reads the new one: %d", w.Code)
	}
	o.put(made, indicator(3, noroshi.Green, ""))
	o.step()
	if n, err := o.store.Shelves(o.ctx, first); err != nil || n != 1 {
		t.Errorf("%d lie on what was removed: %v", n, err)
	}
}

// certificate makes a self-signed one.
func certificate(t *testing.T) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{SerialNumber: big.NewInt(1)}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func pemOf(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// with comes with a certificate.
func with(cert *x509.Certificate) func(*http.Request) {
	return func(r *http.Request) { r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}} }
}

// TestLetIn: who proves to be a client is let in at its door, and nobody else;
// one of our own tools at the outer door is answered like somebody unknown.
func TestLetIn(t *testing.T) {
	t.Parallel()
	o := newOffice(t, jpn)
	o.shelf("tools")
	cert, other := certificate(t), certificate(t)
	token := func(n door.NewClient) string {
		t.Helper()
		text, err := o.door.AddClient(o.ctx, n)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	theirs := o.partner(jpn, noroshi.InForce, noroshi.Hash{})
	tool := token(door.NewClient{Name: "tool", Read: []string{"tools"}, Certificate: pemOf(cert)})
	soc := token(door.NewClient{Name: "soc", Partner: &theirs})
	basic := func(name, token string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(name, token) }
	}
	all := func(list ...func(*http.Request)) func(*http.Request) {
		return func(r *http.Request) {
			for _, f := range list {
				f(r)
			}
		}
	}
	header := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", value) }
	}
	for name, c := range map[string]struct {
		prove        func(*http.Request)
		inner, outer int
	}{
		"nothing":                         {nil, 401, 401},
		"token":                           {bearer(tool), 200, 401},
		"token, scheme in lower case":     {header("bearer " + tool), 200, 401},
		"a partner's token":               {bearer(soc), 200, 200},
		"name and token":                  {basic("tool", tool), 200, 401},
		"a partner's name and token":      {basic("soc", soc), 200, 200},
		"another's name":                  {basic("soc", tool), 401, 401},
		"no name":                         {basic("", tool), 401, 401},
		"no token":                        {basic("tool", ""), 401, 401},
		"an empty token":                  {bearer(""), 401, 401},
		"a token that is longer":          {bearer(tool + "x"), 401, 401},
		"a hash for a token":              {bearer(noroshi.Sum([]byte(tool)).String()), 401, 401},
		"another scheme":                  {header("Digest " + tool), 401, 401},
		"certificate":                     {with(cert), 200, 401},
		"another certificate":             {with(other), 401, 401},
		"certificate and a wrong token":   {all(with(cert), bearer("x")), 401, 401},
		"certificate and another's token": {all(with(cert), bearer(soc)), 200, 200},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/taxii2/", inColl, "/export/tools/domains", "/nothing"} {
				in, out := o.at(true, c.prove).ask("GET", path, ""), o.at(false, c.prove).ask("GET", path, "")
				want := func(code int) bool { return code != 401 }
				if want(in.Code) != want(c.inner) || want(out.Code) != want(c.outer) {
					t.Errorf("%s: %d inside, %d outside; want %d and %d", path, in.Code, out.Code, c.inner, c.outer)
				}
				if out.Code != 401 {
					continue
				}
				unknown := o.at(false, bearer("noroshi_unknown")).ask("GET", path, "")
				if out.Body.String() != unknown.Body.String() || !sameHeader(out.Header(), unknown.Header()) {
					t.Errorf("%s: %v %s, to somebody unknown %v %s", path, out.Header(), out.Body, unknown.Header(), unknown.Body)
				}
			}
		})
	}
}

func sameHeader(a, b http.Header) bool {
	var x, y bytes.Buffer
	_ = a.Write(&x)
	_ = b.Write(&y)
	return x.String() == y.String()
}

// TestClients: what makes no client says so; a revoked one is out at once and its
// name and key may be given again, with another token.
func TestClients(t *testing.T) {
	t.Parallel()
	o := newOffice(t, jpn)
	o.shelf("tools")
	o.letPartner("soc", jpn)
	cert := certificate(t)
	theirs := o.partner(jpn, noroshi.InForce, noroshi.Hash{})
	old, err := o.door.AddClient(o.ctx, door.NewClient{Name: "tool", Read: []string{"tools"}, Certificate: pemOf(cert)})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		add  door.NewClient
		want string
	}{
		"name":                  {door.NewClient{Name: "a/tool", Read: []string{"tools"}}, "door.name"},
		"nothing":               {door.NewClient{Name: "a"}, "door.client-nothing"},
		"a highest label alone": {door.NewClient{Name: "a", Max: []string{"TLP:RED"}}, "door.client-nothing"},
		"no collection":         {door.NewClient{Name: "a", Read: []string{"tool"}}, "door.no-collection"},
		"a partner's":           {door.NewClient{Name: "a", Write: []string{"partner.0200000000000000"}}, "door.not-a-shelf"},
		"label":                 {door.NewClient{Name: "a", Read: []string{"tools"}, Max: []string{"RED"}}, "ceiling.form"},
		"there already":         {door.NewClient{Name: "tool", Read: []string{"tools"}}, "door.client-exists"},
		"certificate":           {door.NewClient{Name: "a", Read: []string{"tools"}, Certificate: []byte("x")}, "door.certificate"},
		"no certificate":        {door.NewClient{Name: "a", Read: []string{"tools"}, Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})}, "door.certificate"},
		"a key":                 {door.NewClient{Name: "a", Read: []string{"tools"}, Certificate: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: cert.Raw})}, "door.certificate"},
		"another's certificate": {door.NewClient{Name: "a", Read: []string{"tools"}, Certificate: pemOf(cert)}, "door.client-certificate"},
		"a partner's and more":  {door.NewClient{Name: "a", Partner: &theirs, Read: []string{"tools"}}, "door.client-partner"},
		"a partner's and label": {door.NewClient{Name: "a", Partner: &theirs, Max: []string{"TLP:RED"}}, "door.client-partner"},
	} {
		t.Run(name, func(t *testing.T) {
			if token, err := o.door.AddClient(o.ctx, c.add); noroshi.CodeOf(err) != c.want || token != "" {
				t.Errorf("got %q %v, want %s", token, err, c.want)
			}
		})
	}
	if err := o.door.RevokeClient(o.ctx, "tool"); err != nil {
		t.Fatal(err)
	}
	for _, prove := range []func(*http.Request){bearer(old), with(cert)} {
		if w := o.at(true, prove).ask("GET", "/taxii2/", ""); w.Code != http.StatusUnauthorized {
			t.Errorf("a revoked client: %d", w.Code)
		}
	}
	if err := o.door.RevokeClient(o.ctx, "tool"); noroshi.CodeOf(err) != "door.no-client" {
		t.Errorf("revoked twice: %v", err)
	}
	again := o.letIn(door.NewClient{Name: "tool", Write: []string{"tools"}, Certificate: pemOf(cert)})
	if w := o.at(true, bearer(old)).ask("GET", "/taxii2/", ""); w.Code != http.StatusUnauthorized {
		t.Errorf("the token of the former client of that name: %d", w.Code)
	}
	if w := again.ask("GET", inColl+"tools/objects/", ""); w.Code != http.StatusForbidden {
		t.Errorf("reads as the former client of that name could: %d", w.Code)
	}
	if w := o.at(true, with(cert)).ask("GET", "/taxii2/", ""); w.Code != http.StatusOK {
		t.Errorf("by the key given again: %d", w.Code)
	}
	if some, err := o.door.Visitors(o.ctx); err != nil || !some {
		t.Errorf("visitors: %v %v", some, err)
	}
	for _, name := range []string{"tool", "soc"} {
		if err := o.door.RevokeClient(o.ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	if some, err := o.door.Visitors(o.ctx); err != nil || some {
		t.Errorf("visitors when all are revoked: %v %v", some, err)
	}
}

// TestWhoWasBefore: a client that gets a name somebody had reads nothing of
// what became of that one's posts.
func TestWhoWasBefore(t *testing.T) {
	t.Parallel()
	o := newOffice(t, jpn)
	o.shelf("tools")
	tool := o.letIn(door.NewClient{Name: "x", Write: []string{"tools"}})
	st := tool.post("tools", indicator(1, noroshi.Red, ""))
	if w := tool.ask("GET", root+"status/"+st.ID+"/", ""); w.Code != http.StatusOK {
		t.Fatalf("its own status: %d", w.Code)
	}
	if err := o.door.RevokeClient(o.ctx, "x"); err != nil {
		t.Fatal(err)
	}
	soc := o.letPartner("x", jpn)
	if w := soc.ask("GET", root+"status/"+st.ID+"/", ""); w.Code != http.StatusNotFound {
		t.Errorf("a partner's client of that name: %d %s", w.Code, w.Body)
	}
}

// TestOneClientOfAName: of those who add a client of one name at once, one gets a
// token, which is good.
func TestOneClientOfAName(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.shelf("tools")
	var wg sync.WaitGroup
	tokens, begin := make(chan string, 40), make(chan struct{})
	for range cap(tokens) {
		wg.Go(func() {
			<-begin
			token, err := o.door.AddClient(o.ctx, door.NewClient{Name: "tool", Read: []string{"tools"}})
			if err == nil {
				tokens <- token
			} else if noroshi.KindOf(err) != noroshi.Conflict {
				t.Error(err)
			}
		})
	}
	close(begin)
	wg.Wait()
	if len(tokens) != 1 {
		t.Fatalf("%d got a token", len(tokens))
	}
	if w := o.at(true, bearer(<-tokens)).ask("GET", inColl, ""); w.Code != http.StatusOK {
		t.Errorf("the token is answered with %d", w.Code)
	}
}
