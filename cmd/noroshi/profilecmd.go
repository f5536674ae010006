package main

import (
	"strings"

	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// profileFlag names what stands for markings in a file.
type profileFlag struct {
	Profile string `placeholder:"NAME|FILE" help:"help.import-profile"`
}

// ref reads a profile that is a file of the user's; one of the program's own
// goes by its name.
func (x profileFlag) ref() (web.ProfileRef, error) {
	if !strings.ContainsAny(x.Profile, `./\`) {
		return web.ProfileRef{Profile: x.Profile}, nil
	}
	b, err := readFile(x.Profile)
	if err != nil {
		return web.ProfileRef{}, err
	}
	p, err := intake.ParseProfile(b)
	if err != nil {
		return web.ProfileRef{}, err
	}
	return web.ProfileRef{Profile: p.Name, ProfileFile: string(b)}, nil
}

// profiles lists the profiles of the program.
func (c *cli) profiles() error {
	title := func(p *intake.Profile) string {
		if c.lang == locale.JA {
			return p.JA
		}
		return p.EN
	}
	return list(c, intake.Profiles(),
		column[*intake.Profile]{"profile", func(p *intake.Profile) string { return p.Name }},
		column[*intake.Profile]{"unmarked", func(p *intake.Profile) string { return strings.ToUpper(p.Unmarked) }},
		column[*intake.Profile]{"text", title},
		column[*intake.Profile]{"publisher", func(p *intake.Profile) string { return p.Publisher }})
}

// mapped says how many objects a rule of a profile spoke on, and what it did.
func (c *cli) mapped(m intake.Mapped) string {
	return c.t("mapped."+m.Rule, n(m.Count), m.Marking, m.What)
}
