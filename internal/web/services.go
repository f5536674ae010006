package web

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/door"
	"github.com/noroshi-cti/noroshi/internal/door/feed"
	"github.com/noroshi-cti/noroshi/internal/door/siem"
	"github.com/noroshi-cti/noroshi/internal/door/translate"
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
	Door      *door.Door
	Feeds     *feed.Reader
	Courier   *courier.Courier
	Office    *partner.Office
	Watch     *watch.Watch
	Refusals  *Refusals
	Checker   *Checker
	Tally     *Tally
	Log       *slog.Logger
	Now       func() time.Time
	Running   bool // a served node, not a folder opened by a command
	Version   string
	Endpoints []string // what stands on cards
	Console   string   // URL of the screens, "" where there are none

	Translator  *translate.Service // nil = none
	SignInRules SignInRules
	FirstCode   string // with which the console makes the first person; "" = there was one when the node started
	Doctor      func(context.Context) []Check
	SIEM        func(context.Context) ([]siem.Status, error)
	Exports     func() []KeptExport
	Scratch     func() (dir string, done func(), err error) // a folder to work in, in the node's own
	Imports     chan struct{}                               // places for files that persons signed for, MaxImports of them
	Backup      func(context.Context, BackupOrder) (BackedUp, error)
	Sealed      func(file string, passphrase []byte) (BackupOrder, error) // an order of a backup under a passphrase that was typed to this process

	Certificate func() (Certificate, error)
	Control     func() (ed25519.PublicKey, func([]byte) []byte)                 // the node's control key, by which it witnesses
	Talking     func(ctx context.Context, fn func(context.Context) error) error // runs fn with a courier that runs
}

// Check is one line of doctor.
type Check struct {
	Name  string       `json:"check"`
	State string       `json:"state"` // "ok", "warn", "fail"
	Code  string       `json:"code"`
	Args  []string     `json:"args,omitempty"`
	Why   noroshi.Told `json:"why,omitzero"` // the error whose message is one of Args
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

// signed checks that a person of this node may do an action and signed exactly
// this subject and these bytes.
func (c *Call) signed(ctx context.Context, by noroshi.Signed, a noroshi.Action, subject string, bound noroshi.Hash) error {
	p, err := c.person(ctx, by.Person)
	if err != nil {
		return err
	}
	return p.Check(by, a, noroshi.ActDigest(c.Realm, c.Node, a, subject, bound))
}

// Ops is the table of operations by name.
var Ops = map[string]Op{
	"status":              {noroshi.ActRead, false, status},
	"picture":             {noroshi.ActRead, false, picture},
	"waiting":             {noroshi.ActRead, false, waiting},
	"doctor":              {noroshi.ActRead, false, doctor},
	"backup":              {noroshi.ActBackup, false, backup},
	"feed":                {noroshi.ActRead, false, feedFollow},
	"feed.add":            {noroshi.ActConfigure, false, feedAdd},
	"feed.list":           {noroshi.ActRead, false, feedList},
	"feed.run":            {noroshi.ActImport, false, feedRun},
	"feed.pause":          {noroshi.ActConfigure, false, feedPause},
	"feed.remove":         {noroshi.ActConfigure, false, feedRemove},
	"import":              {noroshi.ActImport, false, importFile},
	"import.survey":       {noroshi.ActImport, false, importSurvey},
	"export":              {noroshi.ActRead, false, exportWrite},
	"indicator.find":      {noroshi.ActRead, false, indicatorFind},
	"indicator.show":      {noroshi.ActRead, false, indicatorShow},
	"indicator.dossier":   {noroshi.ActRead, false, indicatorDossier},
	"indicator.withdraw":  {noroshi.ActWithdraw, true, indicatorWithdraw},
	"indicator.armed":     {noroshi.ActRead, false, indicatorArmed},
	"indicator.redraw":    {noroshi.ActRead, false, indicatorRedraw},
	"indicator.reauthor":  {noroshi.ActReauthor, true, indicatorReauthor},
	"marking.assign":      {noroshi.ActAssignMarking, true, markingAssign},
	"object.near":         {noroshi.ActRead, false, objectNear},
	"object.list":         {noroshi.ActRead, false, objectList},
	"hits":                {noroshi.ActObserve, false, hits},
	"hits.finish":         {noroshi.ActObserve, false, hitsFinish},
	"hits.explained":      {noroshi.ActRead, false, hitsExplained},
	"warning.list":        {noroshi.ActRead, false, warningList},
	"warning.page":        {noroshi.ActRead, false, warningPage},
	"warning.show":        {noroshi.ActRead, false, warningShow},
	"warning.draft":       {noroshi.ActRead, false, warningDraft},
	"warning.new":         {noroshi.ActWarn, true, warningNew},
	"warning.ack":         {noroshi.ActAck, true, warningAck},
	"translation.service": {noroshi.ActRead, false, translationService},
	"translation.suggest": {noroshi.ActTranslate, false, translationSuggest},
	"translation.show":    {noroshi.ActRead, false, translationShow},
	"translation.draw":    {noroshi.ActRead, false, translationDraw},
	"translation.write":   {noroshi.ActTranslate, true, translationWrite},
	"translation.check":   {noroshi.ActCheckTranslation, true, translationCheck},
	"recall.plan":         {noroshi.ActRead, false, recallPlan},
	"recall.send":         {noroshi.ActRecall, true, recallSend},
	"recall.list":         {noroshi.ActRead, false, recallList},
	"recall.find":         {noroshi.ActRead, false, recallFind},
	"recall.refuse":       {noroshi.ActRefuseRecall, true, recallRefuse},
	"release.list":        {noroshi.ActRead, false, releaseList},
	"release.show":        {noroshi.ActRead, false, releaseShow},
	"release.approve":     {noroshi.ActApprove, true, releaseApprove},
	"release.return":      {noroshi.ActReturn, true, releaseReturn},
	"release.defer":       {noroshi.ActDefer, true, releaseDefer},
	"release.explain":     {noroshi.ActRead, false, releaseExplain},
	"release.preview":     {noroshi.ActRead, false, releasePreview},
	"release.page":        {noroshi.ActRead, false, releasePage},
	"release.weigh":       {noroshi.ActRead, false, releaseWeigh},
	"partner.card":        {noroshi.ActIntroduce, true, partnerCard},
	"partner.receive":     {noroshi.ActIntroduce, true, partnerReceive},
	"partner.confirm":     {noroshi.ActIntroduce, true, partnerConfirm},
	"partner.endpoints":   {noroshi.ActRead, false, partnerEndpoints},
	"partner.handed":      {noroshi.ActIntroduce, false, partnerHanded},
	"partner.shared":      {noroshi.ActRead, false, partnerShared},
	"partner.list":        {noroshi.ActRead, false, partnerList},
	"partner.show":        {noroshi.ActRead, false, partnerShow},
	"agreement.draft":     {noroshi.ActRead, false, agreementDraft},
	"agreement.clause":    {noroshi.ActRead, false, agreementClause},
	"agreement.list":      {noroshi.ActRead, false, agreementList},
	"agreement.show":      {noroshi.ActRead, false, agreementShow},
	"agreement.read":      {noroshi.ActRead, false, agreementRead},
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
	"key.list":            {noroshi.ActRead, false, keyList},
	"key.rotate":          orderGive(noroshi.ActRotateKey),
	"key.revoke":          orderGive(noroshi.ActRevokeKey),
	"key.effects":         {noroshi.ActRead, false, keyEffects},
	"key.drill":           {noroshi.ActRead, false, keyDrill},
	"order.draw":          {noroshi.ActRead, false, orderDraw},
	"order.waiting":       {noroshi.ActRead, false, orderWaiting},
	"sensor.list":         {noroshi.ActRead, false, sensorList},
	"link.list":           {noroshi.ActRead, false, linkList},
	"link.show":           {noroshi.ActRead, false, linkShow},
	"link.changes":        {noroshi.ActRead, false, linkChanges},
	"link.exchanged":      {noroshi.ActRead, false, linkExchanged},
	"release.decided":     {noroshi.ActRead, false, releaseDecided},
	"link.compare":        {noroshi.ActRead, false, linkCompare},
	"link.go-on":          {noroshi.ActGoOn, true, linkGoOn},
	"link.test":           {noroshi.ActRead, false, linkTest},
	"media.pack":          {noroshi.ActAttempt, false, mediaPack},
	"media.unpack":        {noroshi.ActReceive, false, mediaUnpack},
	"media.receipt":       {noroshi.ActRead, false, mediaReceipt},
	"media.enter":         {noroshi.ActReceipt, false, mediaEnter},
	"certificate":         {noroshi.ActRead, false, certificate},
	"collection.add":      {noroshi.ActConfigure, false, collectionAdd},
	"collection.list":     {noroshi.ActRead, false, collectionList},
	"collection.remove":   {noroshi.ActConfigure, false, collectionRemove},
	"client.add":          {noroshi.ActConfigure, false, clientAdd},
	"client.list":         {noroshi.ActRead, false, clientList},
	"client.revoke":       {noroshi.ActConfigure, false, clientRevoke},
	"quarantine.list":     {noroshi.ActRead, false, quarantineList},
	"quarantine.held":     {noroshi.ActRead, false, quarantineHeld},
	"quarantine.decide":   {noroshi.ActDecideHeld, true, quarantineDecide},
	"quarantine.release":  {noroshi.ActImport, true, quarantineRelease},
	"audit.log":           {noroshi.ActReadAudit, false, auditLog},
	"audit.verify":        {noroshi.ActReadAudit, false, auditVerify},
	"audit.find":          {noroshi.ActReadAudit, false, auditFind},
	"audit.entry":         {noroshi.ActReadAudit, false, auditEntry},
	"audit.head":          {noroshi.ActReadAudit, false, auditHead},
	"audit.begin":         {noroshi.ActReadAudit, false, auditBegin},
	"audit.state":         {noroshi.ActReadAudit, false, auditState},
	"audit.end":           {noroshi.ActReadAudit, false, auditEnd},
	"audit.prove":         {noroshi.ActReadAudit, false, auditProve},
	"audit.show":          {noroshi.ActReadAudit, false, auditShow},
	"audit.export":        {noroshi.ActReadAudit, false, auditExport},
	"audit.checkpoint":    {noroshi.ActReadAudit, false, auditCheckpoint},
	"audit.witness":       {noroshi.ActWitness, false, auditWitness},
	"person.add":          {noroshi.ActAddPerson, false, personAdd},
	"person.remove":       {noroshi.ActRemovePerson, true, personRemove},
	"person.invite":       {noroshi.ActAddPerson, false, personInvite},
	"person.invitations":  {noroshi.ActAddPerson, false, personInvitations},
	"person.enrol":        {noroshi.ActEnrol, true, personEnrol},
	"person.list":         {noroshi.ActRead, false, personList},
	"token.add":           {noroshi.ActToken, true, tokenAdd},
	"token.list":          {noroshi.ActRead, false, tokenList},
	"token.revoke":        {noroshi.ActToken, true, tokenRevoke},
	"session.list":        {noroshi.ActRead, false, sessionList},
	"session.end":         {noroshi.ActRead, false, sessionEnd},
	"person.sealed":       {noroshi.ActRead, false, personSealed},
}
