package mail_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier/mail"
)

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func pinOf(t *testing.T, c tls.Certificate) [32]byte {
	t.Helper()
	x, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(x.RawSubjectPublicKeyInfo)
}

// attachment takes the attachment out of a letter, as a gateway that writes it
// anew does.
func attachment(t *testing.T, letter []byte) []byte {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(letter))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := multipart.NewReader(m.Body, params["boundary"]).NextPart()
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, p))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// lines is base64 in lines of a length.
func lines(b []byte, n int, end string) string {
	var s strings.Builder
	for text := base64.StdEncoding.EncodeToString(b); text != ""; {
		k := min(n, len(text))
		s.WriteString(text[:k] + end)
		text = text[k:]
	}
	return s.String()
}

func quoted(b []byte) string {
	var s bytes.Buffer
	w := quotedprintable.NewWriter(&s)
	w.Binary = true
	w.Write(b)
	w.Close()
	return s.String()
}

// letterOf puts parts into a letter of a multipart type.
func letterOf(kind, end string, parts ...string) []byte {
	var s strings.Builder
	fmt.Fprintf(&s, "Received: from somewhere%sSubject: [EXTERNAL] =?utf-8?B?5rOo5oSP?=%sX-Spam: no%sMIME-Version: 1.0%sContent-Type: %s; boundary=\"=_x y\"%s%sPreamble%s", end, end, end, end, kind, end, end, end)
	for _, p := range parts {
		s.WriteString("--=_x y" + end + strings.ReplaceAll(p, "\n", end) + end)
	}
	s.WriteString("--=_x y--" + end + "Scanned by somebody" + end)
	return []byte(s.String())
}

const disclaimer = "Content-Type: text/plain; charset=utf-8\n\nこの電子メールは機密情報を含みます。\n"

// TestRewritingGateways: whatever gateways do to a letter with the attachment's
// bytes unchanged, they arrive.
func TestRewritingGateways(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	for name, mangle := range map[string]func(letter, body []byte) []byte{
		"nothing": func(l, _ []byte) []byte { return l },
		"another subject": func(l, _ []byte) []byte {
			return bytes.Replace(l, []byte("Subject: "), []byte("Subject: [EXTERNAL] "), 1)
		},
		"a disclaimer before, another name and type": func(_, e []byte) []byte {
			return letterOf("multipart/mixed", "\r\n", disclaimer, "Content-Type: text/plain; charset=iso-2022-jp; name=\"a.txt\"\nContent-Transfer-Encoding: BASE64\n\n"+lines(e, 60, "\n"))
		},
		"quoted-printable": func(_, e []byte) []byte {
			return letterOf("multipart/mixed", "\r\n", "Content-Type: application/x-data\nContent-Transfer-Encoding: quoted-printable\n\n"+strings.ReplaceAll(quoted(e), "\r\n", "\n"), disclaimer)
		},
		"a multipart around it": func(l, _ []byte) []byte {
			inner := string(l)
			head := inner[strings.Index(inner, "Content-Type: multipart"):]
			return letterOf("multipart/related", "\r\n", disclaimer, strings.ReplaceAll(head, "\r\n", "\n"))
		},
		"forwarded as an attachment": func(l, _ []byte) []byte {
			return letterOf("multipart/mixed", "\r\n", disclaimer, "Content-Type: message/rfc822\n\n"+strings.ReplaceAll(string(l), "\r\n", "\n"))
		},
		"line ends of Unix, as in a folder": func(_, e []byte) []byte {
			return append([]byte("From gateway Sat Nov 28 20:00:00 2026\n"), letterOf("multipart/mixed", "\n", "Content-Transfer-Encoding: base64\n\n"+lines(e, 76, "\n"))...)
		},
		"no multipart, a footer behind": func(_, e []byte) []byte {
			return []byte("Subject: x\r\nContent-Transfer-Encoding: base64\r\nContent-Type: application/octet-stream\r\n\r\n" + lines(e, 76, "\r\n") + "\r\n-- \r\nlist footer\r\n")
		},
		"spaces and long lines": func(_, e []byte) []byte {
			return letterOf("multipart/mixed", "\r\n", "Content-Transfer-Encoding: base64\n\n"+lines(e, 900, " \n\t"))
		},
		"bytes as they are": func(_, e []byte) []byte {
			l := letterOf("multipart/mixed", "\r\n", "Content-Transfer-Encoding: binary\n\n@@")
			return bytes.Replace(l, []byte("@@"), e, 1)
		},
	} {
		want := envelope(40_000) // no multiple of 3: its base64 ends with padding
		g := newGateway(t, 0)
		a := open(t, over(g))
		if err := a.Send(t.Context(), jpn, noroshi.Routine, want); err != nil {
			t.Fatal(err)
		}
		rewritten := mangle(g.letters[0], attachment(t, g.letters[0]))
		found, err := b.Open(bytes.NewReader(rewritten)) // as a folder has it: SMTP would want short lines
		if !holds(found, want) {
			t.Errorf("%s: %d found, %v", name, len(found), err)
		}
		if name == "bytes as they are" || strings.Contains(name, "Unix") {
			continue
		}
		if err := handOn(t, b, rewritten); err != nil || !holds(b.all(), want) {
			t.Errorf("%s, by SMTP: %v", name, err)
		}
	}
}

// TestHostileLetters: what no letter should be costs little, and what is in one
// before it is all the same looked at.
func TestHostileLetters(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	good := "Content-Transfer-Encoding: base64\n\n" + lines(envelope(3000), 76, "\n")
	nested := strings.Builder{}
	for i := range 2000 {
		fmt.Fprintf(&nested, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	for name, c := range map[string]struct {
		letter []byte
		found  int
		whole  bool
	}{
		"empty":            {nil, 0, false},
		"no headers":       {[]byte("\x00\x01\x02"), 0, false},
		"a huge header":    {[]byte("Subject: " + strings.Repeat("x", 1<<20)), 0, false},
		"many headers":     {[]byte(strings.Repeat("A: b\r\n", 1<<18) + "\r\n"), 0, false},
		"a part's headers": {letterOf("multipart/mixed", "\r\n", strings.Repeat("A: b\n", 1<<18)+"\n"+good), 0, false},
		"nesting":          {[]byte(nested.String()), 0, false},
		"many parts":       {letterOf("multipart/mixed", "\r\n", strings.Split(strings.Repeat("\nx|", 5000), "|")...), 0, false},
		"cut off":          {letterOf("multipart/mixed", "\r\n", good, good)[:6000], 1, false},
		"many attachments": {letterOf("multipart/mixed", "\r\n", strings.Split(strings.Repeat(good+"|", 40), "|")[:40]...), 8, true},
		"too long":         {[]byte("Subject: x\r\n\r\n" + strings.Repeat("\x11", 25<<20)), 0, false},
		"rubbish encoding": {letterOf("multipart/mixed", "\r\n", "Content-Transfer-Encoding: base64\n\nE%%%=", "Content-Transfer-Encoding: quoted-printable\n\n\x11=ZZ=", good), 1, true},
	} {
		found, err := b.Open(bytes.NewReader(c.letter))
		if len(found) != c.found || (err == nil) != c.whole {
			t.Errorf("%s: %d found, %v; want %d, whole %v", name, len(found), err, c.found, c.whole)
		}
	}
}

// FuzzLetter: whatever comes is read without harm, and what is found has the
// bounds it must have.
func FuzzLetter(f *testing.F) {
	e := envelope(100)
	f.Add(letterOf("multipart/mixed", "\r\n", disclaimer, "Content-Transfer-Encoding: base64\n\n"+lines(e, 76, "\n")))
	f.Add(letterOf("message/rfc822", "\n", quoted(e)))
	f.Add([]byte("From x\nContent-Transfer-Encoding: quoted-printable\n\n=11" + strings.Repeat("a", 40)))
	m, err := mail.New(mail.Options{From: "noroshi@jpn.example", Spool: f.TempDir(), Accept: new(inbox).accept})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { m.Close() })
	f.Fuzz(func(t *testing.T, letter []byte) {
		found, _ := m.Open(bytes.NewReader(letter))
		if len(found) > 8 {
			t.Errorf("%d found", len(found))
		}
		for _, x := range found {
			if len(x) < 32 || len(x) > len(letter) || x[0]&0xf0 != 0x10 && x[0] < 0x80 {
				t.Errorf("found %d bytes that begin with %x in a letter of %d", len(x), x[0], len(letter))
			}
		}
	})
}
