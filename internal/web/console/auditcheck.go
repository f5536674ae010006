package console

import (
	"fmt"
	"strconv"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// check is how far the record is verified, in words.
type check struct {
	web.Checking
	State, Word string // shape and one line
	Detail      string
	Faults      []faultLine
}

// faultLine is one thing that verifying found, and what to do about it.
type faultLine struct {
	store.Fault
	What, Do string
	Exactly  string // in the reader's language
	Entry    bool   // there is an entry of that index
}

// check asks how far the record is verified.
func (v *visit) check() (c check, err error) {
	if c.Checking, err = ask[web.Checking](v, "audit.state", struct{}{}); err != nil {
		return c, err
	}
	last := c.Last
	switch {
	case c.Running:
		c.State, c.Word = "stby", v.t("console.audit.running")
		c.Detail = v.t("console.audit.progress", c.Done, c.Total)
	case last == nil:
		c.State, c.Word, c.Detail = "off", v.t("console.audit.never"), v.t("console.audit.never-detail")
	case last.Stopped:
		c.State, c.Word = "cau", v.t("console.audit.stopped", hour(last.At))
	case last.Error != nil:
		c.State, c.Word = "crit", v.t("console.audit.failed", hour(last.At))
		c.Detail = last.Error.Message
	case len(last.Faults) > 0:
		c.State, c.Word = "crit", v.t("console.audit.faulty", hour(last.At))
		c.Detail = v.t("console.audit.counts", thousands(fmt.Sprint(last.Acts)), thousands(fmt.Sprint(last.Rows)), last.Links)
	default:
		c.State, c.Word = "ok", v.t("console.audit.verified", hour(last.At))
		c.Detail = v.t("console.audit.counts", thousands(fmt.Sprint(last.Acts)), thousands(fmt.Sprint(last.Rows)), last.Links)
	}
	if last != nil && !c.Running {
		c.Faults = v.faultLines(last)
	}
	return c, nil
}

// faultLines are the faults in words; what to do stands with the first of a kind.
func (v *visit) faultLines(found *web.Checked) (list []faultLine) {
	said := map[string]bool{}
	for _, f := range found.Faults {
		l := faultLine{Fault: f, What: locale.Or(v.lang, "fault."+f.Code, f.Code), Exactly: locale.Or(v.lang, "fault."+f.Code+"."+f.Why, f.Msg, locale.Strings(f.Args)...), Entry: f.Index < found.Acts}
		if !said[f.Code] {
			l.Do = locale.Or(v.lang, "console.audit.do."+f.Code, "")
		}
		said[f.Code] = true
		list = append(list, l)
	}
	return list
}

// hour is the time of day in Japan.
func hour(t time.Time) string {
	jst, _ := locale.Row(t)
	return jst
}

// auditVerify has the record verified, unless it is being verified already: the
// page says how far that is. With a file of a third witness, it is compared too.
func auditVerify(v *visit) error {
	in := web.VerifyRef{}
	file, err := v.sent("witness")
	if err != nil {
		return v.again(err, audit)
	}
	if len(file) > 0 {
		in.Witness = append(in.Witness, file)
	}
	if _, err := ask[web.Checking](v, "audit.begin", in); err != nil {
		return v.again(err, audit)
	}
	return v.goTo("/audit", "")
}

func auditStop(v *visit) error {
	if _, err := ask[web.Checking](v, "audit.end", struct{}{}); err != nil {
		return err
	}
	return v.goTo("/audit", "")
}

// railFoot is what stands under the rail for who may read the record.
type railFoot struct {
	State, Word string
	Number      string
	Head        string
}

// foot says how the record was verified last, and what its head was then.
func (v *visit) foot() (*railFoot, error) {
	if !v.person.May(noroshi.ActReadAudit) {
		return nil, nil
	}
	c, err := v.check()
	if err != nil {
		return nil, err
	}
	f := &railFoot{State: c.State, Word: c.Word}
	acts, head := uint64(0), noroshi.Hash{}
	if c.Last != nil && c.Last.Error == nil && !c.Last.Stopped {
		acts, head = c.Last.Acts, c.Last.Head
	} else {
		h, _, err := v.Store.LedgerHead(v.ctx, 0)
		if err != nil {
			return nil, err
		}
		acts, head = h.Size, h.Root
	}
	f.Number, f.Head = thousands(strconv.FormatUint(acts, 10)), short(head)
	return f, nil
}
