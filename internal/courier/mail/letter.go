package mail

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"io"
	"strings"
	"time"

	gomail "github.com/emersion/go-message/mail"
)

// What a letter is beside its attachment, at most: headers and boundaries.
const letterHead = 2 << 10

// lineBytes of an attachment make a line of lineLetters characters.
const (
	lineBytes   = 57
	lineLetters = 78
)

// bodyOf is the largest attachment of a letter of so many bytes.
func bodyOf(letter int) int { return max(0, (letter-letterHead)/lineLetters*lineBytes) }

// compose writes a letter. Its size is a function of the attachment's and the
// addresses' alone.
func compose(from, to string, now time.Time, attachment []byte) ([]byte, error) {
	_, domain, _ := strings.Cut(from, "@")
	var h gomail.Header
	h.SetDate(now.UTC())
	h.SetAddressList("From", []*gomail.Address{{Address: from}})
	h.SetAddressList("To", []*gomail.Address{{Address: to}})
	h.SetSubject(word())
	h.SetMessageID(word() + "@" + domain)
	h.Set("Auto-Submitted", "auto-generated") // RFC 3834: nobody is to answer by machine
	var b bytes.Buffer
	b.Grow(letterHead + len(attachment)/lineBytes*lineLetters + lineLetters)
	w, err := gomail.CreateWriter(&b, h)
	if err != nil {
		return nil, err
	}
	var a gomail.AttachmentHeader
	a.Set("Content-Transfer-Encoding", "base64")
	a.SetContentType("application/octet-stream", nil)
	a.SetFilename(word() + ".dat")
	p, err := w.CreateAttachment(a)
	if err != nil {
		return nil, err
	}
	for _, c := range []func() error{func() error { _, err := p.Write(attachment); return err }, p.Close, w.Close} {
		if err := c(); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// word is random, the same length each time: a subject, a name.
func word() string {
	var b [15]byte
	io.ReadFull(rand.Reader, b[:])
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}
