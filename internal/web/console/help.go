package console

import "github.com/noroshi-cti/noroshi"

// helpData is what a reader needs who was never here.
type helpData struct {
	Precedences []noroshi.Precedence
	Shapes      []string
}

// help says what each of the reader's screens is for, which keys lead there, and what
// letters and shapes mean.
func help(v *visit) error {
	return v.show("help", helpData{
		[]noroshi.Precedence{noroshi.Flash, noroshi.Immediate, noroshi.Priority, noroshi.Routine},
		[]string{"ok", "stby", "cau", "ser", "crit", "off"},
	})
}
