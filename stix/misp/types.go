package misp

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi/stix/pattern"
)

// form is what values of an attribute type look like in STIX.
type form int

const (
	plain     form = iota // text: STIX has no place for it but a note
	single                // one property, named by path
	whole                 // one property that holds a whole number
	address               // an IP address, or a block
	hashed                // a file's hash, path names the algorithm
	named                 // a file's name and hash, "name|hash"
	endpoint              // "address|port"
	hostPort              // "host name|port"
	resolved              // "domain|address"
	registry              // a registry key
	regValue              // "key|value"
	rule                  // a rule in another language, path names it
	entity                // an object that is no observable, path names its type
	certified             // a certificate's hash, path names the algorithm
)

// kind is what this package knows of an attribute type: what values look like,
// and the category they usually have.
type kind struct {
	form     form
	path     string // of the pattern; see form
	category string
}

// Categories of MISP.
const (
	delivery     = "Payload delivery"
	network      = "Network activity"
	dropped      = "Artifacts dropped"
	persistence  = "Persistence mechanism"
	installation = "Payload installation"
	external     = "External analysis"
	attribution  = "Attribution"
	otherwise    = "Other"
)

const (
	httpRequest = "network-traffic:extensions.'http-request-ext'."
	service     = "process:extensions.'windows-service-ext'."
	headers     = "email-message:additional_header_fields."
)

// kinds are the attribute types with a place of their own in STIX. All others
// are plain.
var kinds = map[string]kind{
	"md5":              {hashed, "MD5", delivery},
	"sha1":             {hashed, "SHA-1", delivery},
	"sha224":           {hashed, "SHA-224", delivery},
	"sha256":           {hashed, "SHA-256", delivery},
	"sha384":           {hashed, "SHA-384", delivery},
	"sha512":           {hashed, "SHA-512", delivery},
	"sha512/224":       {hashed, "SHA-512-224", delivery},
	"sha512/256":       {hashed, "SHA-512-256", delivery},
	"sha3-224":         {hashed, "SHA3-224", delivery},
	"sha3-256":         {hashed, "SHA3-256", delivery},
	"sha3-384":         {hashed, "SHA3-384", delivery},
	"sha3-512":         {hashed, "SHA3-512", delivery},
	"ssdeep":           {hashed, "SSDEEP", delivery},
	"tlsh":             {hashed, "TLSH", delivery},
	"imphash":          {hashed, "IMPHASH", delivery},
	"impfuzzy":         {hashed, "IMPFUZZY", delivery},
	"authentihash":     {hashed, "AUTHENTIHASH", delivery},
	"pehash":           {hashed, "PEHASH", delivery},
	"vhash":            {hashed, "VHASH", delivery},
	"telfhash":         {hashed, "TELFHASH", delivery},
	"cdhash":           {hashed, "CDHASH", delivery},
	"malware-sample":   {named, "MD5", delivery},
	"filename":         {single, "file:name", delivery},
	"email-attachment": {single, "email-message:body_multipart[*].body_raw_ref.name", delivery},
	"size-in-bytes":    {whole, "file:size", otherwise},
	"mime-type":        {single, "file:mime_type", dropped},

	"domain":        {single, "domain-name:value", network},
	"hostname":      {single, "domain-name:value", network},
	"onion-address": {single, "domain-name:value", network},
	"ip-src":        {address, "src", network},
	"ip-dst":        {address, "dst", network},
	"ip-src|port":   {endpoint, "src", network},
	"ip-dst|port":   {endpoint, "dst", network},
	"hostname|port": {hostPort, "dst", network},
	"domain|ip":     {resolved, "", network},
	"port":          {whole, "network-traffic:dst_port", network},
	"url":           {single, "url:value", network},
	"uri":           {single, "url:value", network},
	"AS":            {whole, "autonomous-system:number", network},
	"mac-address":   {single, "mac-addr:value", network},
	"user-agent":    {single, httpRequest + "request_header.'User-Agent'", network},
	"cookie":        {single, httpRequest + "request_header.Cookie", network},
	"http-method":   {single, httpRequest + "request_method", network},

	"email":                  {single, "email-addr:value", delivery},
	"email-src":              {single, "email-message:from_ref.value", delivery},
	"email-dst":              {single, "email-message:to_refs[*].value", network},
	"email-src-display-name": {single, "email-message:from_ref.display_name", delivery},
	"email-dst-display-name": {single, "email-message:to_refs[*].display_name", delivery},
	"email-subject":          {single, "email-message:subject", delivery},
	"email-body":             {single, "email-message:body", delivery},
	"email-message-id":       {single, "email-message:message_id", delivery},
	"email-reply-to":         {single, headers + "'Reply-To'", delivery},
	"email-x-mailer":         {single, headers + "'X-Mailer'", delivery},

	"mutex":                       {single, "mutex:name", dropped},
	"regkey":                      {registry, "", persistence},
	"regkey|value":                {regValue, "", persistence},
	"windows-service-name":        {single, service + "service_name", dropped},
	"windows-service-displayname": {single, service + "display_name", dropped},
	"cpe":                         {single, "software:cpe", otherwise},
	"x509-fingerprint-md5":        {certified, "MD5", network},
	"x509-fingerprint-sha1":       {certified, "SHA-1", network},
	"x509-fingerprint-sha256":     {certified, "SHA-256", network},

	"yara":          {rule, "yara", installation},
	"sigma":         {rule, "sigma", installation},
	"snort":         {rule, "snort", network},
	"stix2-pattern": {rule, "stix", installation},

	"vulnerability": {entity, "vulnerability", external},
	"campaign-name": {entity, "campaign", attribution},
	"threat-actor":  {entity, "threat-actor", attribution},
}

// usual are the categories of plain types that are not Other.
var usual = map[string]string{
	"link": external, "attachment": external, "weakness": external, "campaign-id": attribution, "malware-type": delivery,
	"pattern-in-file": installation, "pattern-in-memory": installation, "pattern-in-traffic": network, "bro": network, "zeek": network,
	"named pipe": dropped, "pdb": dropped, "windows-scheduled-task": dropped, "gene": dropped, "community-id": network,
	"ja3-fingerprint-md5": network, "jarm-fingerprint": network, "hassh-md5": network, "hasshserver-md5": network,
	"mac-eui-64": network, "whois-registrant-email": attribution, "whois-registrant-name": attribution,
	"whois-registrant-org": attribution, "whois-registrant-phone": attribution, "whois-registrar": attribution,
	"whois-creation-date": attribution, "dns-soa-email": attribution, "btc": "Financial fraud", "xmr": "Financial fraud",
	"iban": "Financial fraud", "target-user": "Targeting data", "target-email": "Targeting data", "target-machine": "Targeting data",
	"target-org": "Targeting data", "target-location": "Targeting data", "target-external": "Targeting data",
	"github-username": "Social network", "github-repository": "Social network", "jabber-id": "Social network", "twitter-id": "Social network",
	"email-header": delivery, "email-mime-boundary": delivery, "email-thread-index": delivery, "mobile-application-id": delivery,
}

// kindOf returns what is known of a type.
func kindOf(typ string) kind {
	if k, ok := kinds[typ]; ok {
		return k
	}
	if hash, ok := strings.CutPrefix(typ, "filename|"); ok && kinds[hash].form == hashed {
		return kind{named, kinds[hash].path, delivery}
	}
	if c := usual[typ]; c != "" {
		return kind{category: c}
	}
	return kind{category: otherwise}
}

// test writes the comparison that finds a value, without the brackets; "" when
// there is none.
//
// A name and a hash are found by the hash: a renamed file is the same file. A
// domain and its address are found by either. Both as MISP's own exports for
// sensors do it.
func (k kind) test(value string) string {
	first, second, _ := cutLast(value)
	switch k.form {
	case single:
		return k.path + " = " + pattern.Quote(value)
	case whole:
		if n, ok := wholeNumber(k, value); ok {
			return k.path + " = " + n
		}
	case hashed:
		return "file:hashes." + hashName(k.path) + " = " + pattern.Quote(value)
	case certified:
		return "x509-certificate:hashes." + hashName(k.path) + " = " + pattern.Quote(value)
	case named:
		if second != "" {
			return "file:hashes." + hashName(k.path) + " = " + pattern.Quote(second)
		}
	case address:
		return ending(k.path, value, "")
	case endpoint:
		if port, ok := portNumber(second); ok {
			return ending(k.path, first, port)
		}
	case hostPort:
		if port, ok := portNumber(second); ok && first != "" {
			return "domain-name:value = " + pattern.Quote(first) + " AND network-traffic:dst_port = " + port
		}
	case resolved:
		if family := addressType(second); family != "" && first != "" {
			return "domain-name:value = " + pattern.Quote(first) + " OR " + family + ":value = " + pattern.Quote(second)
		}
	case registry:
		return "windows-registry-key:key = " + pattern.Quote(fullKey(value))
	case regValue:
		if key, data, ok := strings.Cut(value, "|"); ok && data != "" {
			return "windows-registry-key:key = " + pattern.Quote(fullKey(key)) + " AND windows-registry-key:values[*].data = " + pattern.Quote(data)
		}
	}
	return ""
}

// pattern writes the whole pattern of a value, "" when it has none that is good.
func (k kind) pattern(value string) string {
	t := k.test(value)
	if t == "" {
		return ""
	}
	return goodPattern("[" + t + "]")
}

// goodPattern returns a pattern that can be read, else "".
func goodPattern(s string) string {
	if _, err := pattern.Parse(s, pattern.Options{}); err != nil {
		return ""
	}
	return s
}

// ending writes one end of a connection.
func ending(end, addr, port string) string {
	family := addressType(addr)
	switch {
	case family == "":
		return ""
	case strings.Contains(addr, "/"):
		if port != "" {
			return ""
		}
		return "network-traffic:" + end + "_ref.value ISSUBSET " + pattern.Quote(addr)
	}
	t := "network-traffic:" + end + "_ref.type = '" + family + "' AND network-traffic:" + end + "_ref.value = " + pattern.Quote(addr)
	if port != "" {
		t += " AND network-traffic:" + end + "_port = " + port
	}
	return t
}

// hashName is the name of an algorithm as a pattern writes it.
func hashName(name string) string {
	if strings.Contains(name, "-") {
		return "'" + name + "'"
	}
	return name
}

// cutLast cuts a composite value at its last bar: names of files may have bars,
// hashes, addresses and ports have none.
func cutLast(value string) (first, second string, ok bool) {
	i := strings.LastIndexByte(value, '|')
	if i < 0 {
		return value, "", false
	}
	return value[:i], value[i+1:], true
}

func addressType(s string) string {
	addr, _, block := strings.Cut(s, "/")
	a, err := netip.ParseAddr(addr)
	if err == nil && block {
		_, err = netip.ParsePrefix(s)
	}
	switch {
	case err != nil || a.Zone() != "":
		return ""
	case a.Is4():
		return "ipv4-addr"
	}
	return "ipv6-addr"
}

func portNumber(s string) (string, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return strconv.FormatUint(n, 10), err == nil
}

func wholeNumber(k kind, value string) (string, bool) {
	if k.path == "autonomous-system:number" {
		value = strings.TrimPrefix(strings.TrimPrefix(value, "AS"), "as")
	}
	n, err := strconv.ParseUint(value, 10, 63)
	return strconv.FormatUint(n, 10), err == nil
}

// hives are the short names of registry hives; STIX wants the long ones (§6.17).
var hives = map[string]string{
	"HKLM": "HKEY_LOCAL_MACHINE", "HKCU": "HKEY_CURRENT_USER", "HKCR": "HKEY_CLASSES_ROOT", "HKU": "HKEY_USERS", "HKCC": "HKEY_CURRENT_CONFIG",
}

func fullKey(key string) string {
	hive, _, _ := strings.Cut(key, `\`)
	if long := hives[strings.ToUpper(hive)]; long != "" {
		return long + key[len(hive):]
	}
	return key
}
