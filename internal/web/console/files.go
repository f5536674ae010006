package console

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// sent returns a file that came with a form, nil when none was chosen. It makes
// the other fields of such a form known too.
func (v *visit) sent(field string) ([]byte, error) {
	if err := v.r.ParseMultipartForm(maxForm); err != nil && err != http.ErrNotMultipart {
		return nil, noroshi.Errorf(noroshi.Invalid, "console.form", "the form cannot be read: %w", err)
	}
	f, _, err := v.r.FormFile(field)
	if err != nil {
		return nil, nil
	}
	defer f.Close()
	return io.ReadAll(f) // bounded with the form
}

// fileHead says that the answer is a file to be kept; of an exercise its name says
// so.
func (v *visit) fileHead(name, typ string) {
	if id := v.Realm.Exercise(); id != "" {
		name = "EXERCISE-" + id + "-" + name
	}
	h := v.w.Header()
	h.Set("Content-Type", typ)
	h.Set("Content-Disposition", `attachment; filename="`+strings.ReplaceAll(name, `"`, "")+`"`)
}

// handOut answers with a file to be kept.
func (v *visit) handOut(name, typ string, body []byte) error {
	v.fileHead(name, typ)
	http.ServeContent(v.w, v.r, "", time.Time{}, bytes.NewReader(body))
	return nil
}

// plainText is the type of files that a person may read.
const plainText = "text/plain; charset=utf-8"

// ownName is the name of a file of this node.
func (v *visit) ownName(name string) string { return string(v.Self.CallSign) + "-" + name }

// stream answers with the file that an operation tells piece by piece; T is what it
// answers at the end. What goes wrong before the first piece is returned; later the file
// breaks off.
func stream[T any](v *visit, op string, in any, name string) error {
	begun := false
	_, err := askTold[T](v, op, in, func(told any) {
		if part, ok := told.(web.ExportPart); ok {
			if !begun {
				v.fileHead(v.ownName(name), plainText)
			}
			begun = true
			_, _ = v.w.Write(part.Data) // who goes away ends the request
		}
	})
	switch {
	case err != nil && begun:
		panic(http.ErrAbortHandler)
	case err == nil && !begun: // a file of which nothing is to be told
		v.fileHead(v.ownName(name), plainText)
	}
	return err
}
