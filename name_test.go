package noroshi_test

import (
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
)

func TestNames(t *testing.T) {
	for name, good := range map[string]bool{
		"siem":                                 true,
		"共有 1.a_b-c":                           true,
		"é":                                    true,
		"7":                                    true,
		strings.Repeat("名", 63):                true,
		strings.Repeat("a", 64):                false,
		"":                                     false,
		" a":                                   false,
		"-a":                                   false,
		"\u0301a":                              false, // an accent begins nothing
		"a/b":                                  false,
		"a\n":                                  false,
		"a\xff":                                false,
		"6ba7b810-9dad-11d1-80b4-00c04fd4":     true,
		"6ba7b810-9dad-11d1-80b4-00c04fd430c8": false,
	} {
		if err := noroshi.CheckName(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}
