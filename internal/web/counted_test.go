package web_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// TestSignaturesStandWhereTheyAreCounted: every operation takes signatures in the
// two fields whose passkeys Invoke counts.
func TestSignaturesStandWhereTheyAreCounted(t *testing.T) {
	t.Parallel()
	signed, found := reflect.TypeFor[noroshi.Signed](), 0
	var look func(op, at string, x reflect.Type)
	look = func(op, at string, x reflect.Type) {
		switch x.Kind() {
		case reflect.Pointer:
			look(op, at, x.Elem())
		case reflect.Slice, reflect.Array, reflect.Map:
			look(op, at+"[]", x.Elem())
		case reflect.Struct:
			if x == signed {
				if found++; at != ".by" && at != ".with" {
					t.Errorf("%s takes a signature at %s", op, at)
				}
				return
			}
			for i := range x.NumField() {
				f := x.Field(i)
				name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				switch {
				case f.Anonymous && name == "":
					look(op, at, f.Type)
				case f.IsExported():
					look(op, at+"."+name, f.Type)
				}
			}
		}
	}
	for op, shape := range web.Shapes {
		if shape.In != nil {
			look(op, "", reflect.TypeOf(shape.In))
		}
	}
	if found < 20 {
		t.Errorf("only %d signatures were found", found)
	}
}
