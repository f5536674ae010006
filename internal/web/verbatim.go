package web

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/watch"
)

// Words that the translation service gave are remembered by their hash for ever:
// who signs them as they are cannot say that they are a person's. Who changes them
// may.
const docGiven = "given-words" // key: hash of the words

// wordsKey is what a text is known again by, however its lines are broken.
func wordsKey(text string) string {
	return noroshi.Sum([]byte(strings.Join(strings.Fields(text), ""))).String()
}

// keepGiven remembers what the service gave for texts, in an act that follows the
// one that asked for it. What it left as it was is nobody's translation.
func (c *Call) keepGiven(ctx context.Context, act noroshi.Act, texts, given map[string]string) error {
	_, err := c.Store.Do(ctx, act, func(tx *store.Tx) error {
		for name, words := range given {
			key := wordsKey(words)
			if key == wordsKey(texts[name]) {
				continue
			}
			if err := tx.PutJSON(docGiven, key, struct{}{}); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// Verbatim reports whether texts are word for word what the translation service
// gave: the longest of them speaks for all, since of a short name there may be one
// translation.
func (s *Services) Verbatim(ctx context.Context, texts ...string) (bool, error) {
	longest := ""
	for _, t := range texts {
		if utf8.RuneCountInString(t) > utf8.RuneCountInString(longest) {
			longest = t
		}
	}
	if strings.TrimSpace(longest) == "" {
		return false, nil
	}
	_, err := s.Store.Doc(ctx, docGiven, wordsKey(longest))
	if noroshi.KindOf(err) == noroshi.NotFound {
		return false, nil
	}
	return err == nil, err
}

// VerbatimIn is the language in which a warning says word for word what the
// translation service gave and is not marked so, "" where there is none.
func (s *Services) VerbatimIn(ctx context.Context, d watch.Draft) (locale.Lang, error) {
	for _, l := range locale.Langs {
		texts := []string{d.TitleEN, d.TextEN}
		if l == locale.JA {
			texts = []string{d.TitleJA, d.TextJA}
		}
		if given, err := s.Verbatim(ctx, texts...); err != nil || given && d.Machine != l {
			return l, err
		}
	}
	return "", nil
}

func staysMarked() error {
	return noroshi.Errorf(noroshi.Refused, "translation.verbatim", "the words are as the translation service gave them: they stay marked as a machine's until somebody changes them")
}
