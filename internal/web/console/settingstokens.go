package console

import (
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// settingTokens lists the tokens by which programs call the API: the reader's own,
// for an administrator everybody's.
func settingTokens(v *visit) error {
	list, err := v.tokens()
	if err != nil {
		return err
	}
	return v.show("settings-tokens", list)
}

// tokens are those that the reader may see.
func (v *visit) tokens() ([]web.Token, error) {
	of := web.TokensRef{Person: v.person.ID}
	if v.person.Has(noroshi.Administrator) {
		of.Person = ""
	}
	return ask[[]web.Token](v, "token.list", of)
}
