package console

import (
	"fmt"
	"strconv"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// entryData is one entry of the record.
type entryData struct {
	auditLine
	Entry    web.AuditEntry
	RestsOn  *auditLine
	Proofs   []choice // what can be proven of it beside the entry itself
	Previous string   // address of the entry before
	Next     string
}

// auditShow is one entry: who did what, with which key, and what it rests on.
func auditShow(v *visit) error {
	index, err := strconv.ParseUint(v.r.PathValue("index"), 10, 63)
	if err != nil {
		return nowhere(v)
	}
	e, err := ask[web.AuditEntry](v, "audit.entry", web.ProveRef{Index: index})
	if err != nil {
		return err
	}
	acts, err := v.Store.NextAct(v.ctx)
	if err != nil {
		return err
	}
	d := entryData{auditLine: v.auditLine(e.ActRow), Entry: e, Proofs: proofsOf(v, e)}
	if e.RestsOn != nil {
		l := v.auditLine(*e.RestsOn)
		d.RestsOn = &l
	}
	if index > 0 {
		d.Previous = entryPath(index - 1)
	}
	if index+1 < acts {
		d.Next = entryPath(index + 1)
	}
	return v.show("audit-show", d)
}

func entryPath(index uint64) string { return "/audit/entries/" + strconv.FormatUint(index, 10) }

// proofsOf names the proofs of a link that an entry may have beside its own: with
// the partner's countersignature, and both nodes' keys.
func proofsOf(v *visit, e web.AuditEntry) (list []choice) {
	add := func(of string) { list = append(list, choice{of, v.t("console.audit.proof." + of)}) }
	switch {
	case e.Partner == "":
	case !e.Message.IsZero() && (e.Action == noroshi.ActSend || e.Action == noroshi.ActReceive):
		add("message")
		if e.Action == noroshi.ActSend {
			add("receipt")
		}
	case e.Action == noroshi.ActRelease:
		add("batch")
	case e.Action == noroshi.ActRecall && e.Subject != "":
		add("recall")
	}
	return list
}

// auditProof hands out a proof as a file that anybody can check without a node.
func auditProof(v *visit) error {
	index, err := strconv.ParseUint(v.r.PathValue("index"), 10, 63)
	if err != nil {
		return nowhere(v)
	}
	of := v.r.FormValue("of")
	if of == "" {
		proof, err := ask[string](v, "audit.prove", web.ProveRef{Index: index})
		if err != nil {
			return err
		}
		return v.handOut(v.ownName(fmt.Sprintf("proof-%d.txt", index)), plainText, []byte(proof))
	}
	e, err := ask[web.AuditEntry](v, "audit.entry", web.ProveRef{Index: index})
	if err != nil {
		return err
	}
	in := web.ShowRef{Partner: string(e.Partner)}
	switch of {
	case "message":
		in.Message = e.Message
	case "receipt":
		in.Receipt = e.Message
	case "batch":
		in.Batch = e.Subject
	case "recall":
		in.Recall = e.Subject
	default:
		return nowhere(v)
	}
	if err := stream[web.FileMade](v, "audit.show", in, fmt.Sprintf("proof-%d-%s.txt", index, of)); err != nil {
		v.problem = problemOf(err)
		return auditShow(v)
	}
	return nil
}

// auditExport hands out what this node has on record of a link, for a joint
// inquiry.
func auditExport(v *visit) error {
	partner := v.r.PathValue("partner")
	return stream[web.FileMade](v, "audit.export", web.LedgerRef{Partner: partner}, "export-"+partner+".txt")
}

// auditCheckpoint hands out a head for a third witness: of a link's ledger, or of
// the whole one.
func auditCheckpoint(v *visit) error {
	partner := v.r.PathValue("partner")
	from, _ := strconv.ParseUint(v.r.FormValue("from"), 10, 63) // no number: from the beginning
	name := "checkpoint.txt"
	if partner != "" {
		name = "checkpoint-" + partner + ".txt"
	}
	if err := stream[web.FileMade](v, "audit.checkpoint", web.LedgerRef{Partner: partner, From: from}, name); err != nil {
		return v.again(err, audit)
	}
	return nil
}

// auditWitness countersigns another node's checkpoint, as its witness.
func auditWitness(v *visit) error {
	file, err := v.sent("checkpoint")
	if err == nil {
		err = stream[web.FileMade](v, "audit.witness", web.WitnessRef{File: file}, "witness.txt")
	}
	if err != nil {
		return v.again(err, audit)
	}
	return nil
}
