package web

import (
	"context"
	"log/slog"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/watch"
)

// Services are the rooms an operation may call, wired by node.
type Services struct {
	Realm     noroshi.Realm
	Node      noroshi.NodeID
	Self      noroshi.Organisation
	Store     *store.Store
	Index     *detect.Index
	Gate      *intake.Gate
	Desk      *release.Desk
	Courier   *courier.Courier
	Office    *partner.Office
	Watch     *watch.Watch
	Refusals  *Refusals
	Log       *slog.Logger
	Now       func() time.Time
	Running   bool // a served node, not a folder opened by a command
	Version   string
	Endpoints []string // what stands on cards
	Doctor    func(context.Context) []Check
}

// Check is one line of doctor.
type Check struct {
	Name  string   `json:"check"`
	State string   `json:"state"` // "ok", "warn", "fail"
	Code  string   `json:"code"`
	Args  []string `json:"args,omitempty"`
}

// person returns a person of this node with the roles they have now, or
// Forbidden: who is not known here may not learn who is.
func (s *Services) person(ctx context.Context, id string) (noroshi.Person, error) {
	register, err := s.Store.Persons(ctx)
	if err != nil {
		return noroshi.Person{}, err
	}
	p := register.At(id, s.Now())
	if p.ID == "" || p.Removed {
		return noroshi.Person{}, noroshi.Errorf(noroshi.Forbidden, "person.unknown", "person %q is not known here", id)
	}
	return p, nil
}

// Ops is the table of operations by name.
var Ops = map[string]Op{
	"status":              {noroshi.ActRead, false, status},
	"doctor":              {noroshi.ActRead, false, doctor},
	"feed":                {noroshi.ActRead, false, feed},
	"import":              {noroshi.ActImport, false, importFile},
	"indicator.find":      {noroshi.ActRead, false, indicatorFind},
	"indicator.show":      {noroshi.ActRead, false, indicatorShow},
	"indicator.withdraw":  {noroshi.ActWithdraw, true, indicatorWithdraw},
	"indicator.armed":     {noroshi.ActRead, false, indicatorArmed},
	"indicator.redraw":    {noroshi.ActRead, false, indicatorRedraw},
	"indicator.reauthor":  {noroshi.ActReauthor, true, indicatorReauthor},
	"marking.assign":      {noroshi.ActAssignMarking, true, markingAssign},
	"object.list":         {noroshi.ActRead, false, objectList},
	"hits":                {noroshi.ActObserve, false, hits},
	"hits.finish":         {noroshi.ActObserve, false, hitsFinish},
	"hits.explained":      {noroshi.ActRead, false, hitsExplained},
	"warning.list":        {noroshi.ActRead, false, warningList},
	"warning.show":        {noroshi.ActRead, false, warningShow},
	"warning.new":         {noroshi.ActWarn, true, warningNew},
	"warning.ack":         {noroshi.ActAck, true, warningAck},
	"recall.plan":         {noroshi.ActRead, false, recallPlan},
	"recall.send":         {noroshi.ActRecall, true, recallSend},
	"recall.list":         {noroshi.ActRead, false, recallList},
	"recall.find":         {noroshi.ActRead, false, recallFind},
	"recall.refuse":       {noroshi.ActRefuseRecall, true, recallRefuse},
	"release.list":        {noroshi.ActRead, false, releaseList},
	"release.show":        {noroshi.ActRead, false, releaseShow},
	"release.approve":     {noroshi.ActApprove, true, releaseApprove},
	"release.return":      {noroshi.ActReturn, true, releaseReturn},
	"release.explain":     {noroshi.ActRead, false, releaseExplain},
	"release.preview":     {noroshi.ActRead, false, releasePreview},
	"release.weigh":       {noroshi.ActRead, false, releaseWeigh},
	"partner.card":        {noroshi.ActIntroduce, true, partnerCard},
	"partner.receive":     {noroshi.ActIntroduce, true, partnerReceive},
	"partner.confirm":     {noroshi.ActIntroduce, true, partnerConfirm},
	"partner.endpoints":   {noroshi.ActRead, false, partnerEndpoints},
	"partner.list":        {noroshi.ActRead, false, partnerList},
	"partner.show":        {noroshi.ActRead, false, partnerShow},
	"agreement.draft":     {noroshi.ActRead, false, agreementDraft},
	"agreement.clause":    {noroshi.ActRead, false, agreementClause},
	"agreement.list":      {noroshi.ActRead, false, agreementList},
	"agreement.show":      {noroshi.ActRead, false, agreementShow},
	"agreement.propose":   {noroshi.ActProposeAgreement, true, agreementPropose},
	"agreement.sign":      {noroshi.ActSignAgreement, true, agreementSign},
	"agreement.rehearse":  {noroshi.ActRead, false, agreementRehearse},
	"agreement.suspend":   orderGive(noroshi.ActSuspendAgreement),
	"agreement.resume":    orderGive(noroshi.ActResumeAgreement),
	"agreement.emergency": orderGive(noroshi.ActDeclareEmergency),
	"standing.add":        orderGive(noroshi.ActStandingRule),
	"standing.end":        orderGive(noroshi.ActEndStandingRule),
	"standing.list":       {noroshi.ActRead, false, standingList},
	"person.delegate":     orderGive(noroshi.ActDelegate),
	"order.draw":          {noroshi.ActRead, false, orderDraw},
	"link.list":           {noroshi.ActRead, false, linkList},
	"link.exchanged":      {noroshi.ActRead, false, linkExchanged},
	"release.decided":     {noroshi.ActRead, false, releaseDecided},
	"link.test":           {noroshi.ActRead, false, linkTest},
	"quarantine.list":     {noroshi.ActRead, false, quarantineList},
	"audit.log":           {noroshi.ActReadAudit, false, auditLog},
	"audit.verify":        {noroshi.ActReadAudit, false, auditVerify},
	"audit.prove":         {noroshi.ActReadAudit, false, auditProve},
	"person.add":          {noroshi.ActAddPerson, false, personAdd},
	"person.remove":       {noroshi.ActRemovePerson, true, personRemove},
	"person.list":         {noroshi.ActRead, false, personList},
	"person.sealed":       {noroshi.ActRead, false, personSealed},
}
