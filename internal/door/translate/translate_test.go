package translate_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door/fetch"
	"github.com/noroshi-cti/noroshi/internal/door/translate"
)

// asked is what a request of the contract says.
type asked struct {
	Q      string  `json:"q"`
	Source string  `json:"source"`
	Target string  `json:"target"`
	Format string  `json:"format"`
	Key    *string `json:"api_key"`
}

// serve is a service on loopback; it counts what reaches it.
func serve(t *testing.T, answer http.HandlerFunc) (string, *atomic.Int32) {
	t.Helper()
	var n atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/translate", &n
}

// service reaches it through the door.
func service(t *testing.T, address, key string, limit time.Duration, up ...string) *translate.Service {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	door, err := fetch.New(fetch.Options{Hosts: []string{u.Host}, Nets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Timeout: limit, Silence: limit})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(door.Close)
	to, err := noroshi.ParseCeiling(up)
	if err != nil {
		t.Fatal(err)
	}
	s, err := translate.New(translate.Options{URL: address, Key: key, Languages: []string{"en", "ja"}, UpTo: to, HTTP: door.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var clear = noroshi.Label{TLP: noroshi.Clear}

// TestContract: a text goes as LibreTranslate is asked, with the key where there
// is one, and what comes back is shown without what does not show.
func TestContract(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "zz-key"} {
		address, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			var a asked
			d := json.NewDecoder(r.Body)
			d.DisallowUnknownFields()
			if err := d.Decode(&a); err != nil || r.Method != http.MethodPost || r.URL.Path != "/translate" || r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s %s: %v", r.Method, r.URL, err)
			}
			if a.Q != "wiper\non \"grid\"" || a.Source != "en" || a.Target != "ja" || a.Format != "text" || (a.Key != nil) != (key != "") || a.Key != nil && *a.Key != key {
				t.Errorf("%+v", a)
			}
			fmt.Fprint(w, `{"alternatives":[],"detectedLanguage":{"confidence":90},"translatedText":"送電網の\u202eワイパー\r\n\u0007行 "}`)
		})
		got, err := service(t, address, key, time.Minute, "TLP:CLEAR").Translate(t.Context(), clear, "en", "ja", "wiper\non \"grid\"")
		if err != nil || got != "送電網のワイパー\n行" {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// TestNothingIsSentThatMayNot: what is above the service's ceiling, unmarked, or
// not understood reaches nobody.
func TestNothingIsSentThatMayNot(t *testing.T) {
	t.Parallel()
	address, n := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"translatedText":"x"}`) })
	label := func(s string) noroshi.Label {
		l, err := noroshi.KeptLabel(s)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	outside, inside := service(t, address, "", time.Minute, "TLP:CLEAR"), service(t, address, "", time.Minute, "TLP:AMBER")
	for _, x := range []struct {
		s     *translate.Service
		label string
		goes  bool
	}{
		{outside, "TLP:CLEAR", true}, {outside, "TLP:GREEN", false}, {outside, "TLP:AMBER", false}, {outside, "TLP:RED", false},
		{outside, "UNMARKED", false}, {outside, "TLP:CLEAR;?definition marking-definition--1", false}, {outside, "?definition marking-definition--1", false},
		{inside, "TLP:AMBER", true}, {inside, "TLP:CLEAR", true}, {inside, "TLP:AMBER+STRICT", false}, {inside, "TLP:RED", false}, {inside, "UNMARKED", false},
		{inside, "TLP:CLEAR;?two-exercises a", false},
	} {
		before := n.Load()
		_, err := x.s.Translate(t.Context(), label(x.label), "en", "ja", "zz-canary")
		if sent := n.Load() > before; sent != x.goes || (err == nil) != x.goes || !x.goes && noroshi.CodeOf(err) != "translate.marking" {
			t.Errorf("%s to a service for %s: sent %v, %v", x.label, x.s.UpTo(), sent, err)
		}
	}
	before := n.Load()
	for text, code := range map[string]string{"": "translate.long", strings.Repeat("あ", translate.MaxText+1): "translate.long"} {
		if _, err := outside.Translate(t.Context(), clear, "en", "ja", text); noroshi.CodeOf(err) != code {
			t.Errorf("%d bytes: %v", len(text), err)
		}
	}
	for _, pair := range [][2]string{{"en", "ru"}, {"ru", "ja"}, {"ja", "ja"}, {"", "ja"}} {
		if _, err := outside.Translate(t.Context(), clear, pair[0], pair[1], "x"); noroshi.CodeOf(err) != "translate.language" {
			t.Errorf("%v: %v", pair, err)
		}
	}
	if n.Load() != before {
		t.Error("something was sent")
	}
}

// TestFailures: each way to fail has a code of its own, and a text in both
// languages.
func TestFailures(t *testing.T) {
	t.Parallel()
	elsewhere, reached := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"translatedText":"x"}`) })
	hold := make(chan struct{})
	for name, x := range map[string]struct {
		answer http.HandlerFunc
		code   string
	}{
		"refused, with a reason": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"error":"Invalid API key"}`)
		}, "translate.refused"},
		"refused, with a page": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			fmt.Fprint(w, `<html>`)
		}, "translate.refused"},
		"no JSON":        {said(`translated`), "translate.answer"},
		"no text":        {said(`{"error":"x"}`), "translate.answer"},
		"empty":          {said(`{"translatedText":" \n"}`), "translate.answer"},
		"two texts":      {said(`{"translatedText":"a","translatedText":"b"}`), "translate.answer"},
		"no string":      {said(`{"translatedText":["a"]}`), "translate.answer"},
		"much too long":  {said(`{"translatedText":"` + strings.Repeat("a", translate.MaxText+1) + `"}`), "translate.answer"},
		"over its bound": {said(strings.Repeat(" ", 1<<20) + `{"translatedText":"a"}`), "translate.answer"},
		"sent elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
		}, "translate.unreachable"},
		"broken off": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "translate.unreachable"},
		"silent":     {func(http.ResponseWriter, *http.Request) { <-hold }, "translate.slow"},
	} {
		t.Run(name, func(t *testing.T) {
			limit := time.Minute
			if name == "silent" {
				limit = 10 * time.Millisecond
			}
			address, _ := serve(t, x.answer)
			if name == "silent" {
				t.Cleanup(func() { close(hold) }) // before the server waits for it, if it was asked at all
			}
			if got, err := service(t, address, "", limit, "TLP:CLEAR").Translate(t.Context(), clear, "en", "ja", "x"); noroshi.CodeOf(err) != x.code || got != "" {
				t.Errorf("%q, %v; want %s", got, err, x.code)
			}
		})
	}
	if reached.Load() != 0 {
		t.Error("a redirect to another host was followed")
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	if _, err := service(t, gone.URL, "", time.Minute, "TLP:CLEAR").Translate(t.Context(), clear, "en", "ja", "x"); noroshi.CodeOf(err) != "translate.unreachable" {
		t.Errorf("nobody listens: %v", err)
	}
	door, err := fetch.New(fetch.Options{Hosts: []string{"127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := translate.New(translate.Options{URL: "https://127.0.0.1:1/translate", Languages: []string{"en", "ja"}, UpTo: noroshi.Ceiling{TLP: noroshi.Clear}, HTTP: door.Client()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Translate(t.Context(), clear, "en", "ja", "x"); noroshi.CodeOf(err) != "translate.address" {
		t.Errorf("a network nobody named: %v", err)
	}
}

func said(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

// FuzzRead: whatever a service answers, what is used of it is a bounded text of
// characters that show.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{`{"translatedText":"訳"}`, `{"error":"x\n"}`, `{"translatedText":"\ud800"}`, `[]`, `{"translatedText":null}`, ""} {
		f.Add(200, []byte(seed))
		f.Add(500, []byte(seed))
	}
	s, err := translate.New(translate.Options{URL: "https://translate.example/translate"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, raw []byte) {
		text, err := s.Read(status, raw)
		if (err == nil) != (text != "") || err == nil && status != 200 {
			t.Fatalf("%d: %q, %v", status, text, err)
		}
		hidden := func(r rune) bool { return r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) }
		if len([]rune(text)) > translate.MaxText || strings.ContainsFunc(text, hidden) || err != nil && strings.ContainsFunc(err.Error(), hidden) {
			t.Fatalf("%q, %v", text, err)
		}
	})
}
