package release

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// Draft says what an agreement drawn up by Template is about.
type Draft struct {
	Version    int // 0 is 1
	Realm      noroshi.Realm
	Self       noroshi.Party
	Partner    noroshi.Party
	From       time.Time
	Until      time.Time
	Statements []string // statement markings with no effect, exact text
}

// Template writes an agreement for two nodes to read, change and sign: clause
// 1 releases what is CLEAR or GREEN, and our own sightings and warnings up to
// AMBER, by itself; clause 2 releases other AMBER things of our own with two
// persons; clause 3 lets a FLASH go with two persons. ParseAgreement reads it
// and CheckClauses passes it.
func Template(d Draft) []byte {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	q := strconv.Quote
	p("# noroshi agreement. Both nodes sign the SHA-256 of exactly these bytes.\n")
	p("# 双方のノードは、このファイルの内容そのものの SHA-256 に署名します。\n")
	p("version = %d\n", max(d.Version, 1))
	p("title_en = %s\n", q(fmt.Sprintf("Agreement on sharing cyber warnings between %s and %s", d.Self.CallSign, d.Partner.CallSign)))
	p("title_ja = \"%s と %s の間のサイバー警報の共有に関する取決め\"\n", d.Self.CallSign, d.Partner.CallSign)
	p("realm = %s\n", q(d.Realm.String()))
	p("from = %s\n", d.From.UTC().Format(time.RFC3339))
	p("until = %s\n", d.Until.UTC().Format(time.RFC3339))
	p("sighting_mark = \"tlp:amber\"\n")
	p("suites = [\"S1\", \"S2\"]\n")
	p("channels = [\"https\"]\n")
	p("# Further kinds are mail, media and line. What they may carry: [[channel]] below the parties (kind, max_tlp, max_level, suites);\n")
	p("# without it https carries all that is released, the others what is TLP:AMBER at most and unclassified.\n")
	p("# ほかに mail、media、line を加えられます。何を運べるかは当事者の後の [[channel]](kind、max_tlp、max_level、suites)で定めます。\n")
	p("# 定めがなければ、https は提供されるものすべてを、ほかは TLP:AMBER 以下で秘密区分のないものに限り運びます。\n")
	p("# Statement markings of exactly this text (copyright and the like) have no effect on release.\n")
	p("# ここに挙げた文言と完全に一致する statement マーキングは、提供の判断に影響しません。\n")
	p("statements = [")
	for i, s := range d.Statements {
		if i > 0 {
			p(", ")
		}
		p("%s", tomlString(s))
	}
	p("]\n")
	p("# Nothing classified higher than max_level (U, C, S, TS; U without this line) is released, whoever signs.\n")
	p("# max_level(U, C, S, TS。この行がなければ U)を超える秘密区分のものは、誰が署名しても提供しません。\n")
	p("# max_level = \"U\"\n")
	p("# What the partner's staff are, for ACS markings limited to some: MIL GOV CTR SVR SVC DEV NET.\n")
	p("# 相手方の要員の種別。ACS マーキングが種別を限る場合に用います。\n")
	p("# entities = [\"MIL\", \"GOV\"]\n")
	p("# What Japanese classes are equal to; objects of a class that is not named are held. The line is an example, to be agreed on.\n")
	p("# 日本の秘密区分に相当する ACS の秘密区分。ここに挙げない秘密区分のものは保留されます。次の行は例であり、双方で取り決めるものです。\n")
	p("# japanese_levels = { \"部内限り\" = \"U\", \"秘\" = \"C\", \"極秘\" = \"S\", \"特定秘密\" = \"S\", \"機密\" = \"TS\" }\n")
	p("\n# What may compress messages besides zstd, and the hash of the dictionary it rests on.\n")
	p("# zstd のほかに電文の圧縮に使えるものと、その辞書のハッシュ。\n")
	for _, x := range noroshi.KnownDictionaries() {
		p("[[dictionary]]\nnumber = %d\nhash = %s\n", x.Number, q(x.Hash))
	}
	for _, x := range []noroshi.Party{d.Self, d.Partner} {
		p("\n[[party]]\ncall_sign = %s\nnode = %s\nidentity = %s\n", q(string(x.CallSign)), q(x.Node.String()), q(string(x.Identity)))
		if len(x.Tokens) > 0 {
			p("tokens = [")
			for i, t := range x.Tokens {
				if i > 0 {
					p(", ")
				}
				p("%s", tomlString(t))
			}
			p("]\n")
		}
	}
	for _, c := range []struct{ prec, receipt, ack string }{
		{"flash", "10m", "10m"}, {"immediate", "1h", "1h"}, {"priority", "3h", ""}, {"routine", "6h", ""},
	} {
		p("\n[[clock]]\nprecedence = %s\nreceipt = %s\n", q(c.prec), q(c.receipt))
		if c.ack != "" {
			p("acknowledge = %s\n", q(c.ack))
		}
	}
	for _, c := range templateClauses {
		p("\n[[clause]]\nid = %s\narticle_en = %s\narticle_ja = \"%s\"\nen = %s\nja = \"%s\"\ncedar = '''\n%s'''\n", q(c.ID), q(c.ArticleEN), c.ArticleJA, q(c.EN), c.JA, c.Cedar)
	}
	return b.Bytes()
}

// tomlString writes a TOML basic string; JSON's escapes are TOML's.
func tomlString(s string) string {
	var b bytes.Buffer
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, "\\u%04X", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

var templateClauses = []noroshi.Clause{
	{
		ID: "1", ArticleEN: "Article 1", ArticleJA: "第1条",
		EN: "Objects marked TLP:CLEAR or TLP:GREEN, those whose ACS or Japanese markings let them go to the other party, and sightings and warnings a party made itself marked up to TLP:AMBER, are released without a further act, unless a marking asks for release officers.",
		JA: "TLP:CLEAR 又は TLP:GREEN のオブジェクト、ACS 又は日本の取扱区分により相手方への提供が認められるオブジェクト、並びに当事者が自ら作成した TLP:AMBER 以下の観測及び警報は、個別の承認なしに提供する。ただし、取扱区分が提供承認者の承認を求めるものは、その承認を要する。",
		Cedar: FormsCedar(
			ClauseForm{MaxTLP: noroshi.Green, MaxPrecedence: noroshi.Immediate},
			ClauseForm{MinTLP: noroshi.Amber, MaxTLP: noroshi.Amber, MaxPrecedence: noroshi.Immediate, Sources: []string{"self"}, Types: []string{"sighting"}},
			ClauseForm{MinTLP: noroshi.Amber, MaxTLP: noroshi.Amber, MaxPrecedence: noroshi.Immediate, Sources: []string{"self"}, Warnings: OnlyWarnings}),
	},
	{
		ID: "2", ArticleEN: "Article 2", ArticleJA: "第2条",
		EN:    "Other objects a party made itself marked TLP:AMBER or TLP:AMBER+STRICT, such as indicators and what describes them, are released when two release officers have signed.",
		JA:    "当事者が自ら作成した TLP:AMBER 又は TLP:AMBER+STRICT のその他のオブジェクト（脅威指標及びこれを説明するもの等）は、提供承認者二名が署名した場合に提供する。",
		Cedar: FormsCedar(ClauseForm{TwoPersons: true, MinTLP: noroshi.Amber, MaxTLP: noroshi.AmberStrict, Sources: []string{"self"}, MaxPrecedence: noroshi.Immediate}),
	},
	{
		ID: "3", ArticleEN: "Article 3", ArticleJA: "第3条",
		EN:    "What is sent at FLASH precedence is released when two release officers have signed.",
		JA:    "優先度「特別緊急」（FLASH）で送るものは、提供承認者二名が署名した場合に提供する。",
		Cedar: FormsCedar(ClauseForm{TwoPersons: true, MaxTLP: noroshi.AmberStrict, MinPrecedence: noroshi.Flash}),
	},
}
