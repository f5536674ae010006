package message_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

func TestCardRefused(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	for _, c := range []struct {
		name   string
		change func(*message.Card)
		want   string
	}{
		{"good", func(*message.Card) {}, ""},
		{"no tokens, no endpoints", func(c *message.Card) { c.Tokens, c.Endpoints = nil, nil }, ""},
		{"call sign", func(c *message.Card) { c.CallSign = "usa-01" }, "callsign.form"},
		{"token with a space", func(c *message.Card) { c.Tokens = []string{"USA DOD"} }, "card.form"},
		{"mail, line and medium", func(c *message.Card) {
			c.Endpoints = []string{"mailto:nx.1+a@soc.example", "line:hf1", "media:diode-2"}
		}, ""},
		{"mail with a header field", func(c *message.Card) { c.Endpoints = []string{"mailto:a@soc.example?cc=b@soc.example"} }, "card.form"},
		{"plain http", func(c *message.Card) { c.Endpoints = []string{"http://192.0.2.1"} }, "card.form"},
		{"endpoint with a user", func(c *message.Card) { c.Endpoints = []string{"https://a:b@192.0.2.1"} }, "card.form"},
		{"endpoint with a query", func(c *message.Card) { c.Endpoints = []string{"https://192.0.2.1/?q"} }, "card.form"},
		{"long endpoint", func(c *message.Card) { c.Endpoints = []string{"https://" + strings.Repeat("a", 600)} }, "card.form"},
		{"short secret", func(c *message.Card) { c.GateSecret = c.GateSecret[1:] }, "card.form"},
		{"no identity", func(c *message.Card) { c.Identity = nil }, "card.form"},
		{"huge identity", func(c *message.Card) { c.Identity = make([]byte, 1<<17) }, "card.form"},
		{"ends before it begins", func(c *message.Card) { c.Until = c.From }, "card.form"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := card(p)
			c.change(&x)
			doc, err := message.SignCard(p.a, x)
			code(t, err, c.want)
			if c.want != "" {
				return
			}
			got, err := message.ParseCard(noroshi.Real, doc)
			if err != nil {
				t.Fatal(err)
			}
			if got.Fingerprint() != p.a.Keyset().Fingerprint() || !got.Valid(now) || got.Valid(now.Add(-time.Second)) || got.Valid(got.Until) {
				t.Errorf("got %+v", got)
			}
			kind, err := message.KindOfDocument(doc)
			if kind != message.CardDocument || err != nil {
				t.Errorf("got kind %q, %v", kind, err)
			}
		})
	}
}

// A card is signed by the root in its own keyset, for the node of that keyset.
func TestCardOfAnother(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	doc, err := message.SignCard(p.a, card(p))
	if err != nil {
		t.Fatal(err)
	}
	_, err = message.ParseCard(noroshi.Real, message.RootSigned(p.b, message.Body(doc)))
	code(t, err, "card.signature")
	a, b := p.a.NodeID(), p.b.NodeID()
	_, err = message.ParseCard(noroshi.Real, message.RootSigned(p.a, bytes.Replace(message.Body(doc), a[:], b[:], 1)))
	code(t, err, "card.form")
}

func TestAgreement(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	file := []byte(agreementFile)
	doc, err := message.SignAgreement(p.a, file, now)
	if err != nil {
		t.Fatal(err)
	}
	if h, err := message.VerifyAgreement(doc, p.a.Keyset()); err != nil || h != noroshi.Sum(file) {
		t.Errorf("got %s, %v", h, err)
	}
	_, err = message.VerifyAgreement(doc, p.b.Keyset())
	code(t, err, "agreement.signature")
	if got, n, err := message.AgreementFile(doc); err != nil || n != 1 || !bytes.Equal(got, file) {
		t.Errorf("got %q signed %d times, %v", got, n, err)
	}
	if kind, err := message.KindOfDocument(doc); kind != message.AgreementDocument || err != nil {
		t.Errorf("got kind %q, %v", kind, err)
	}
	_, err = message.VerifyConsent(doc, p.a.Keyset()) // a proposal binds nobody
	code(t, err, "agreement.consent")
	consent, err := message.ConsentAgreement(p.a, file, now)
	if err != nil {
		t.Fatal(err)
	}
	if h, err := message.VerifyConsent(consent, p.a.Keyset()); err != nil || h != noroshi.Sum(file) {
		t.Errorf("got %s, %v", h, err)
	}
	_, err = message.VerifyAgreement(consent, p.a.Keyset())
	code(t, err, "agreement.signature")
	_, err = message.VerifyAgreement(message.RootSigned(p.a, file), p.a.Keyset())
	code(t, err, "agreement.signature")
	other, err := message.SignAgreement(p.b, append(file, '\n'), now)
	if err != nil {
		t.Fatal(err)
	}
	_, err = message.JoinAgreements(doc, other)
	code(t, err, "agreement.differs")
	same, err := message.JoinAgreements(doc, doc)
	if err != nil || !bytes.Equal(same, doc) {
		t.Errorf("joining a document with itself changes it (%v)", err)
	}
	_, err = message.SignAgreement(p.a, p.a.Keyset().Bytes(), now)
	code(t, err, "message.form")
	_, err = message.SignAgreement(p.a, nil, now)
	code(t, err, "message.too-large")
}

func TestKindOfDocument(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	if kind, err := message.KindOfDocument(p.a.Keyset().Bytes()); kind != message.KeysetDocument || err != nil {
		t.Errorf("got %q, %v", kind, err)
	}
	for _, body := range []string{"\x81\x00", "\x8b\x66KEYSE0"} {
		_, err := message.KindOfDocument(message.RootSigned(p.a, []byte(body)))
		code(t, err, "message.form")
	}
}
