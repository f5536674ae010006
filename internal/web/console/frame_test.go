package console_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web/console"
	"github.com/noroshi-cti/noroshi/internal/web/console/consoletest"
)

// packed is how many bytes something has on its way to a browser.
func packed(b []byte) int {
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestCompression)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Len()
}

func glob(t *testing.T, pattern string) (files map[string][]byte, all []byte) {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v, %v", pattern, names, err)
	}
	files = map[string][]byte{}
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		files[n], all = b, append(all, b...)
	}
	return files, all
}

// TestFilesOfOthersAreAsPublished: htmx and its extension are byte for byte the
// published ones, but for the line that names a source map.
func TestFilesOfOthersAreAsPublished(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"htmx.min.js":   "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
		"hx-sse.min.js": "18ef2761356ec1fe0bb6d92612315b37517a7c1e9856b661c5ae81fef239d103",
	} {
		b, err := os.ReadFile("static/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s is another: %x", name, sum)
		}
	}
}

// TestFirstLoadIsSmall: our own style stays under 12 kB, our own script under
// 6 kB, all that a first page needs under 60 kB, compressed.
func TestFirstLoadIsSmall(t *testing.T) {
	t.Parallel()
	_, css := glob(t, "static/css/*.css")
	_, js := glob(t, "static/js/*.js")
	_, lib := glob(t, "static/*.js")
	if n := packed(css); n > 12_000 {
		t.Errorf("style: %d bytes", n)
	}
	if n := packed(js); n > 6_000 {
		t.Errorf("script: %d bytes", n)
	}
	r := newReader(t, nodetest.New(t, "JPN-01", noroshi.Real))
	r.signIn("duty")
	_, page := r.get("/")
	if n := packed(css) + packed(js) + packed(lib) + packed([]byte(page)); n > 60_000 {
		t.Errorf("first load: %d bytes", n)
	}
}

var (
	saying  = regexp.MustCompile(`\{\{[^}]*\b(?:t|text) "([a-z][^"]*[^".])"`)
	inline  = regexp.MustCompile(`(?i)<script(?:>|\s[^>]*>\s*[^<\s])|\sstyle=|\son[a-z]+=|hx-on|javascript:|\bjs:`)
	comment = regexp.MustCompile(`(?s)\{\{/\*.*?\*/\}\}`)
)

// TestTemplates: every text a template says is in the catalogue, nothing is
// inline.
func TestTemplates(t *testing.T) {
	t.Parallel()
	files, _ := glob(t, "templates/*.html")
	said := 0
	for name, b := range files {
		text := comment.ReplaceAllString(string(b), "")
		for _, m := range saying.FindAllStringSubmatch(text, -1) {
			if said++; !locale.Has(m[1]) {
				t.Errorf("%s says %s, which is not in the catalogue", name, m[1])
			}
		}
		if m := inline.FindString(text); m != "" {
			t.Errorf("%s has something inline: %s", name, m)
		}
	}
	if said < 100 {
		t.Errorf("only %d texts found in the templates", said)
	}
	if n, want := console.ParsePages(), 2*(len(files)-2); n != want { // layout and parts are in each
		t.Errorf("%d pages in two languages, want %d", n, want)
	}
}

var (
	theme    = regexp.MustCompile(`(\[data-theme=light\]|\[data-theme=dark\]|:root:not\(\[data-theme=light\]\))\{([^}]*)\}`)
	variable = regexp.MustCompile(`--([a-z0-9]+):(#[0-9a-f]{3,6})`)
	styled   = regexp.MustCompile(`([^{}]+)\{([^{}]*)\}`)
)

// colouring are what the rules of the style give colours to: of one rule alone, text
// and its ground; text that stands on whatever ground it comes to, and such grounds;
// what is drawn.
type colouring struct {
	pairs                 map[[2]string]bool
	texts, grounds, drawn map[string]bool
}

// coloursOf reads the rules of all files.
func coloursOf(css string) colouring {
	c := colouring{map[[2]string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
	for _, m := range styled.FindAllStringSubmatch(css, -1) {
		said := map[string]string{}
		for d := range strings.SplitSeq(m[2], ";") {
			name, value, _ := strings.Cut(d, ":")
			said[name] = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(value, "!important"), "var(--"), ")")
		}
		text, ground := said["color"], said["background"]
		symbol := strings.HasPrefix(m[1], ".st") || strings.Contains(m[1], ".sw.")
		switch {
		case symbol:
			c.drawn[text+ground] = true
		case text != "" && ground != "":
			c.pairs[[2]string{text, ground}] = true
		case text != "":
			c.texts[text] = true
		case ground != "":
			c.grounds[ground] = true
		}
		for _, name := range []string{"fill", "stroke"} {
			if said[name] != "" {
				c.drawn[said[name]+" "+said["opacity"]] = true
			}
		}
	}
	return c
}

// TestContrast: text keeps 4.5 to 1 on each ground that any rule gives it, or that it
// can come to stand on, and what is drawn 3 to 1, in both themes (WCAG 2.2, 1.4.3 and
// 1.4.11).
func TestContrast(t *testing.T) {
	t.Parallel()
	_, all := glob(t, "static/css/*.css")
	css := regexp.MustCompile(`/\*.*?\*/`).ReplaceAllString(string(all), "")
	themes := theme.FindAllStringSubmatch(css, -1)
	if len(themes) != 3 || themes[1][2] != themes[2][2] {
		t.Fatalf("%d themes, or dark by choice is another than dark by the machine", len(themes))
	}
	used := coloursOf(theme.ReplaceAllString(css, ""))
	for _, theme := range themes[:2] {
		colours := map[string]string{}
		for _, m := range variable.FindAllStringSubmatch(theme[2], -1) {
			colours[m[1]] = m[2]
		}
		hold := func(what, ground string, least float64) {
			what, opacity, _ := strings.Cut(what, " ")
			on := colours[ground]
			if c := contrast(t, over(t, colours[what], on, opacity), on); c < least {
				t.Errorf("%s: %s on %s: %.2f", theme[1], what, ground, c)
			}
		}
		var grounds []string
		for g := range used.grounds {
			if colours[g] != "" {
				grounds = append(grounds, g)
			}
		}
		texts := 0
		for _, ground := range grounds {
			texts = 0
			for text := range used.texts {
				if colours[text] != "" && !slices.Contains(onColour, text) {
					texts++
					hold(text, ground, 4.5)
				}
			}
			for what := range used.drawn {
				if name, _, _ := strings.Cut(what, " "); colours[name] != "" && !slices.Contains(unsaid, name) {
					hold(what, ground, 3)
				}
			}
		}
		if len(grounds) < 6 || texts < 8 {
			t.Errorf("%s: only %d texts on %q", theme[1], texts, grounds)
		}
		for pair := range used.pairs {
			if colours[pair[0]] != "" && colours[pair[1]] != "" {
				hold(pair[0], pair[1], 4.5)
			}
		}
	}
	for tone := range 9 { // the bands, whose colours no theme changes
		ground, text := "#007a33", "#fff"
		for _, m := range styled.FindAllStringSubmatch(css, -1) {
			if strings.Contains(m[1], fmt.Sprintf(`.marking[data-tone="%d"]`, tone)) {
				for d := range strings.SplitSeq(m[2], ";") {
					switch name, value, _ := strings.Cut(d, ":"); name {
					case "background":
						ground = value
					case "color":
						text = value
					}
				}
			}
		}
		if c := contrast(t, text, ground); c < 4.5 {
			t.Errorf("band of tone %d: %s on %s: %.2f", tone, text, ground, c)
		}
	}
}

var (
	onColour = []string{"onacc", "onhot", "pre"}          // stand on a full colour alone, with which some rule pairs each
	unsaid   = []string{"ln", "ln2", "sf", "sf2", "accs"} // lines that part, and what shapes are filled with
)

// over is a colour as it is seen over a ground it lets through.
func over(t *testing.T, colour, ground, opacity string) string {
	t.Helper()
	if opacity == "" {
		return colour
	}
	part, err := strconv.ParseFloat(opacity, 64)
	if err != nil {
		t.Fatal(err)
	}
	a, b, seen := channels(t, colour), channels(t, ground), "#"
	for i := range a {
		seen += fmt.Sprintf("%02x", int(math.Round(a[i]*part+b[i]*(1-part))))
	}
	return seen
}

// contrast of two colours by WCAG 2.2.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(t *testing.T, colour string) (sum float64) {
	t.Helper()
	weights := [3]float64{0.2126, 0.7152, 0.0722}
	for i, n := range channels(t, colour) {
		if c := n / 255; c <= 0.04045 {
			sum += weights[i] * c / 12.92
		} else {
			sum += weights[i] * math.Pow((c+0.055)/1.055, 2.4)
		}
	}
	return sum
}

// channels are the red, green and blue of a colour.
func channels(t *testing.T, colour string) (rgb [3]float64) {
	t.Helper()
	hexes := strings.TrimPrefix(colour, "#")
	if len(hexes) == 3 {
		hexes = fmt.Sprintf("%[1]c%[1]c%[2]c%[2]c%[3]c%[3]c", hexes[0], hexes[1], hexes[2])
	}
	if len(hexes) != 6 {
		t.Fatalf("colour %q", colour)
	}
	for i := range rgb {
		n, err := strconv.ParseUint(hexes[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		rgb[i] = float64(n)
	}
	return rgb
}

// TestAFailureHasANumber: a page that failed for no reason that has words says a
// number, and nothing of the reason, which stands in the log beside that number.
func TestAFailureHasANumber(t *testing.T) {
	t.Parallel()
	for _, l := range locale.Langs {
		var log strings.Builder
		w := console.Failed(l, slog.New(slog.NewTextHandler(&log, nil)), errors.New("open /srv/secret: broken"))
		number := regexp.MustCompile(`incident=([A-Z2-7]{8}) path=/partners err="open /srv/secret`).FindStringSubmatch(log.String())
		if number == nil {
			t.Fatalf("the log: %s", log.String())
		}
		if body := w.Body.String(); w.Code != http.StatusInternalServerError || !strings.Contains(body, number[1]) || strings.Contains(body, "secret") || strings.Contains(body, "{0}") {
			t.Errorf("%s: %d\n%s", l, w.Code, body)
		}
	}
}

// TestHeaders: every answer forbids what is not ours.
func TestHeaders(t *testing.T) {
	t.Parallel()
	r := newReader(t, nodetest.New(t, "JPN-01", noroshi.Real))
	for _, path := range []string{"/signin", "/no-such-page", "/static/console.css", "/live"} {
		res, err := r.http.Get(r.base + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if policy := res.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.base+"/signin", strings.NewReader("person=duty"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	res, err := r.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("a form that another site sent: %d", res.StatusCode)
	}
}

// TestTextBecomesHTMLInOnePlace: a page's scripts write no HTML, and make no policy
// by which they could, but for the one that htmx reads answers with.
func TestTextBecomesHTMLInOnePlace(t *testing.T) {
	t.Parallel()
	p := consoletest.Open(t, consoleOf(nodetest.New(t, "JPN-01", noroshi.Real)))
	p.Expect("Trusted")
	p.Go("/signin")
	for _, what := range []string{`document.body.innerHTML = "<b>x</b>"`, `document.createElement("script").text = "1"`, `trustedTypes.createPolicy("other", {})`, `trustedTypes.createPolicy("noroshi", {})`} {
		p.Until(`(() => { try { ` + what + ` } catch (e) { return e instanceof TypeError } return false })()`)
	}
}

// TestSaidOnce: that a form did something is said on the page that comes next, once,
// and by no link.
func TestSaidOnce(t *testing.T) {
	t.Parallel()
	r := newReader(t, nodetest.New(t, "JPN-01", noroshi.Real))
	r.signIn("duty")
	const says = `class="said"`
	if _, body := r.get("/warnings?said=approved"); strings.Contains(body, says) {
		t.Error("a link says that something was approved")
	}
	r.get("/me/token")
	if _, body := r.post("/me/token", "name", "wall", "days", "9", "scope", "read", "passphrase", nodetest.Passphrase); !strings.Contains(body, "noroshi_") {
		t.Fatalf("no token:\n%s", body)
	}
	_, body := r.get("/me")
	revoke := regexp.MustCompile(`/me/token/[0-9a-f]{64}`).FindString(body)
	if _, body = r.post(revoke, "passphrase", nodetest.Passphrase); !strings.Contains(body, says) || r.last != "/me" {
		t.Errorf("%s does not say that the token is revoked:\n%s", r.last, body)
	}
	if _, body = r.get("/me"); strings.Contains(body, says) {
		t.Error("it is said twice")
	}
}
