package audit

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi"
)

// Bounds of what is read from files.
const (
	maxFile    = 8 << 20
	maxKeysets = 256 // versions of one node's keys
	maxPath    = 64
)

// form is one kind of file (docs/audit.md): a first line, then lines of a word
// and a value in base64, words in their order.
type form struct {
	head  string
	name  string // code of what it is
	words []word
}

type word struct {
	word string
	many int // how often at most
	must bool
}

var proofForm = form{head: "noroshi evidence 1", name: "proof", words: []word{
	{"realm", 1, true}, {"leaf", 1, true}, {"path", maxPath, false}, {"checkpoint", 1, true}, {"cosign", 1, false},
	{"row", 1, true}, {"place", 1, true}, {"row-path", maxPath, false}, {"message", 1, false}, {"content", 1, false}, {"state", 1, false},
	{"keyset", maxKeysets, true}, {"partner", maxKeysets, true}}}

// lines is a file of words and values, in order.
type lines map[string][][]byte

func (l lines) add(word string, v []byte) { l[word] = append(l[word], v) }
func (l lines) hash(word string, h []noroshi.Hash) {
	for _, x := range h {
		l.add(word, x[:])
	}
}

// one returns the first value of a word, nil where there is none.
func (l lines) one(word string) []byte {
	if len(l[word]) == 0 {
		return nil
	}
	return l[word][0]
}

// encode writes a file.
func (f form) encode(l lines) []byte {
	b := bytes.NewBufferString(f.head + "\n")
	for _, w := range f.words {
		for _, v := range l[w.word] {
			fmt.Fprintf(b, "%s %s\n", w.word, base64.StdEncoding.EncodeToString(v))
		}
	}
	return b.Bytes()
}

func (f form) bad(line int, why string) error {
	return noroshi.Errorf(noroshi.Invalid, "audit.form", "line %d of the %s file: %w", line, f.name, errors.New(why))
}

// Is reports whether a file begins as one that Prove made.
func Is(file []byte) bool { return bytes.HasPrefix(file, []byte(proofForm.head+"\n")) }

// read reads what encode wrote, and nothing else.
func (f form) read(file []byte) (lines, error) {
	if len(file) > maxFile {
		return nil, f.bad(1, "the file is over 8 MiB")
	}
	all := strings.Split(strings.TrimSuffix(string(file), "\n"), "\n")
	if all[0] != f.head || !bytes.HasSuffix(file, []byte("\n")) {
		return nil, f.bad(1, "the file does not begin with "+strconv.Quote(f.head)+", or has no end")
	}
	out, at := lines{}, 0
	for i, l := range all[1:] {
		name, text, _ := strings.Cut(l, " ")
		v, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil || base64.StdEncoding.EncodeToString(v) != text {
			return nil, f.bad(i+2, "its value is damaged")
		}
		for at < len(f.words) && f.words[at].word != name {
			at++
		}
		if at == len(f.words) {
			return nil, f.bad(i+2, "the word "+strconv.Quote(name)+" does not belong here")
		}
		if out.add(name, v); len(out[name]) > f.words[at].many {
			return nil, f.bad(i+2, "too many of "+strconv.Quote(name))
		}
	}
	for _, w := range f.words {
		if w.must && len(out[w.word]) == 0 {
			return nil, f.bad(len(all), "the word "+strconv.Quote(w.word)+" is missing")
		}
	}
	return out, nil
}

// hashes returns the values of a word as hashes.
func (l lines) hashes(word string) (list []noroshi.Hash, err error) {
	for _, v := range l[word] {
		if len(v) != 32 {
			return nil, proofForm.bad(0, "a hash of "+strconv.Quote(word)+" has not 32 bytes")
		}
		list = append(list, noroshi.Hash(v))
	}
	return list, nil
}
