// Package translate asks a machine-translation service that the operator named
// for the words of a text in another language. Without one nothing is asked.
//
// The contract is the smallest that services in use speak, LibreTranslate among
// them. A request is one text:
//
//	POST <url>   {"q": "…", "source": "en", "target": "ja", "format": "text", "api_key": "…"}
//
// api_key only where there is one. The answer is 200 with {"translatedText": "…"},
// whatever other members it has; with any other status, {"error": "…"}.
//
// Law: what a service may not have is not sent. Translate takes the label of what
// the text says and refuses what is above the service's ceiling, what has no
// handling marking and what was not understood, before anything is asked. What
// comes back is a program's, for a person to check: nothing here gives it to
// anybody else.
package translate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/noroshi-cti/noroshi"
)

// Bounds of one request.
const (
	MaxText   = 20_000  // characters that are sent
	maxAnswer = 1 << 20 // bytes that are read; the door has a bound of its own
	maxSaid   = 200     // characters shown of a refusal
	atOnce    = 2       // requests; further ones wait
)

// Service is one service. It may be asked by several goroutines at once.
type Service struct {
	o    Options
	host string
	turn chan struct{}
}

// Options of a Service.
type Options struct {
	URL       string          // that requests are posted to
	Key       string          // api_key; "" = none
	Languages []string        // it puts texts into and out of
	UpTo      noroshi.Ceiling // the highest label of what it may get
	HTTP      *http.Client    // a door that reaches its host alone (fetch.Transport)
}

// New returns a service.
func New(o Options) (*Service, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, err
	}
	return &Service{o: o, host: u.Host, turn: make(chan struct{}, atOnce)}, nil
}

// Host is where it is, as screens and the record name it.
func (s *Service) Host() string { return s.host }

// Languages are those it puts texts into and out of.
func (s *Service) Languages() []string { return slices.Clone(s.o.Languages) }

// UpTo is the highest label of what it may get.
func (s *Service) UpTo() noroshi.Ceiling { return s.o.UpTo }

// May says why a text under a label may not be sent, nil where it may.
func (s *Service) May(l noroshi.Label, from, to string) error {
	if !slices.Contains(s.o.Languages, from) || !slices.Contains(s.o.Languages, to) || from == to {
		return noroshi.Errorf(noroshi.Invalid, "translate.language", "the translation service is not asked for %q to %q: it is for %s", from, to, strings.Join(s.o.Languages, ", "))
	}
	if !l.Handled() || len(l.Unknown) > 0 || !s.o.UpTo.Admits(l) {
		return noroshi.Errorf(noroshi.Refused, "translate.marking", "the text is %s; the translation service may have up to %s: nothing was sent", l.String(), s.o.UpTo.String())
	}
	return nil
}

// Translate returns a program's words for a text under a label, with no character
// in them that does not show. Nothing is sent that May refuses.
func (s *Service) Translate(ctx context.Context, l noroshi.Label, from, to, text string) (string, error) {
	if err := s.May(l, from, to); err != nil {
		return "", err
	}
	if n := utf8.RuneCountInString(text); n == 0 || n > MaxText {
		return "", noroshi.Errorf(noroshi.Invalid, "translate.long", "a text of %d characters is not sent: 1 to %d are", n, MaxText)
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	return s.ask(ctx, question{text, from, to, "text", s.o.Key})
}

// question is a request.
type question struct {
	Q      string `json:"q"`
	Source string `json:"source"`
	Target string `json:"target"`
	Format string `json:"format"`
	Key    string `json:"api_key,omitempty"`
}

func (s *Service) ask(ctx context.Context, q question) (string, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.o.URL, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := s.o.HTTP.Do(req)
	if err != nil {
		return "", s.away(ctx, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return "", s.away(ctx, err)
	}
	return s.Read(res.StatusCode, raw)
}

// Read reads an answer: a status of HTTP and a body.
func (s *Service) Read(status int, raw []byte) (string, error) {
	var a struct {
		Text  *string `json:"translatedText"`
		Error string  `json:"error"`
	}
	bad := func(why string) error {
		return noroshi.Errorf(noroshi.Other, "translate.answer", "the answer of the translation service %s is not used: %s", s.host, why)
	}
	if len(raw) > maxAnswer {
		return "", bad("it is over 1 MiB")
	}
	err := json.Unmarshal(raw, &a)
	if status != http.StatusOK {
		said := strconv.Itoa(status)
		if short := shown(a.Error, " "); err == nil && short != "" {
			r := []rune(short)
			said += ": " + string(r[:min(len(r), maxSaid)])
		}
		return "", noroshi.Errorf(noroshi.Refused, "translate.refused", "the translation service %s refused: %s", s.host, said)
	}
	if err != nil {
		return "", bad(err.Error())
	}
	if a.Text == nil {
		return "", bad("it has no translatedText")
	}
	text := strings.TrimSpace(shown(*a.Text, "\n"))
	if n := utf8.RuneCountInString(text); n == 0 || n > MaxText {
		return "", bad(strconv.Itoa(n) + " characters")
	}
	return text, nil
}

// shown leaves of a text what shows, and line ends as they are given: a program's
// words may be anything.
func shown(s, lineEnd string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' && lineEnd == "\n":
			return r
		case unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs):
			return -1
		}
		return r
	}, s)
}

// away says that the service could not be asked.
func (s *Service) away(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	switch noroshi.CodeOf(err) {
	case "feed.address":
		return noroshi.Errorf(noroshi.Refused, "translate.address", "the translation service %s has an address that is neither public nor in nets of section [translate]", s.host)
	case "feed.slow":
		return noroshi.Errorf(noroshi.Busy, "translate.slow", "the translation service %s did not answer in time", s.host)
	}
	return noroshi.Errorf(noroshi.Busy, "translate.unreachable", "the translation service %s cannot be asked: %w", s.host, err)
}
