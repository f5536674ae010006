package stix

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// observableShapes are the cyber-observable objects of §6.
var observableShapes = map[string]*shape{
	"artifact": {core: &observableShape, rest: artifactRules, props: map[string]check{
		"mime_type": matching(ProblemValue, "is no media type", isMediaType), "payload_bin": binary64, "url": text,
		"hashes": hashes, "encryption_algorithm": oneOf("AES-256-GCM", "ChaCha20-Poly1305", "mime-type-indicated"),
		"decryption_key": text}},
	"autonomous-system": {core: &observableShape, required: []string{"number"}, props: map[string]check{
		"number": integer, "name": text, "rir": text}},
	"directory": {core: &observableShape, required: []string{"path"}, props: map[string]check{
		"path": text, "path_enc": charset, "ctime": timestamp, "mtime": timestamp, "atime": timestamp,
		"contains_refs": texts}},
	"domain-name": {core: &observableShape, required: []string{"value"}, props: map[string]check{
		"value": text, "resolves_to_refs": texts}},
	"email-addr": {core: &observableShape, required: []string{"value"}, props: map[string]check{
		"value": text, "display_name": text, "belongs_to_ref": text}},
	"email-message": {core: &observableShape, required: []string{"is_multipart"}, rest: emailRules, props: map[string]check{
		"is_multipart": boolean, "date": timestamp, "content_type": text, "from_ref": text, "sender_ref": text,
		"to_refs": texts, "cc_refs": texts, "bcc_refs": texts, "message_id": text, "subject": text,
		"received_lines": texts, "additional_header_fields": headerFields, "raw_email_ref": text}},
	"file": {core: &observableShape, any: []string{"hashes", "name"}, props: map[string]check{
		"extensions": extensionsOf(fileExtensions), "hashes": hashes, "size": atLeast(integer, 0), "name": text,
		"name_enc": charset, "magic_number_hex": hexadecimal, "mime_type": text, "ctime": timestamp,
		"mtime": timestamp, "atime": timestamp, "parent_directory_ref": text, "contains_refs": texts,
		"content_ref": text}},
	"ipv4-addr": {core: &observableShape, required: []string{"value"}, props: map[string]check{
		"value":            matching(ProblemValue, "is no IPv4 address or network", isIPv4),
		"resolves_to_refs": texts, "belongs_to_refs": texts}},
	"ipv6-addr": {core: &observableShape, required: []string{"value"}, props: map[string]check{
		"value":            matching(ProblemValue, "is no IPv6 address or network", isIPv6),
		"resolves_to_refs": texts, "belongs_to_refs": texts}},
	"mac-addr": {core: &observableShape, required: []string{"value"}, props: map[string]check{
		"value": matching(ProblemValue, "is no MAC address, six pairs of 0-9 and a-f with colons", isMAC)}},
	"mutex": {core: &observableShape, required: []string{"name"}, props: map[string]check{"name": text}},
	"network-traffic": {core: &observableShape, required: []string{"protocols"}, any: []string{"src_ref", "dst_ref"},
		order: [][2]string{{"start", "end"}}, rest: trafficRules, props: map[string]check{
			"extensions": extensionsOf(trafficExtensions), "start": timestamp, "end": timestamp, "is_active": boolean,
			"src_ref": text, "dst_ref": text, "src_port": between(integer, 0, 65535), "dst_port": between(integer, 0, 65535),
			"protocols": texts, "src_byte_count": integer, "dst_byte_count": integer, "src_packets": integer,
			"dst_packets": integer, "ipfix": keyed(textOrInteger), "src_payload_ref": text, "dst_payload_ref": text,
			"encapsulates_refs": texts, "encapsulated_by_ref": text}},
	"process": {core: &observableShape, any: []string{"extensions", "is_hidden", "pid", "name", "created", "created_time", "cwd",
		"arguments", "command_line", "environment_variables", "opened_connection_refs", "creator_user_ref", "image_ref",
		"parent_ref", "child_refs"}, props: map[string]check{
		"extensions": extensionsOf(processExtensions), "is_hidden": boolean, "pid": integer, "created_time": timestamp,
		"cwd": text, "command_line": text, "environment_variables": dictionary, "opened_connection_refs": texts,
		"creator_user_ref": text, "image_ref": text, "parent_ref": text, "child_refs": texts}},
	"software": {core: &observableShape, required: []string{"name"}, props: map[string]check{
		"name": text, "cpe": matching(ProblemValue, "is no CPE 2.3 name", isCPE), "swid": text,
		"languages": listOf(matching(ProblemValue, "is no language tag", isLanguage)), "vendor": text, "version": text}},
	"url": {core: &observableShape, required: []string{"value"}, props: map[string]check{"value": text}},
	"user-account": {core: &observableShape, any: []string{"extensions", "user_id", "credential", "account_login",
		"account_type", "display_name", "is_service_account", "is_privileged", "can_escalate_privs", "is_disabled",
		"account_created", "account_expires", "credential_last_changed", "account_first_login", "account_last_login"},
		props: map[string]check{
			"extensions": extensionsOf(accountExtensions), "user_id": text, "credential": text, "account_login": text,
			"account_type": text, "display_name": text, "is_service_account": boolean, "is_privileged": boolean,
			"can_escalate_privs": boolean, "is_disabled": boolean, "account_created": timestamp,
			"account_expires": timestamp, "credential_last_changed": timestamp, "account_first_login": timestamp,
			"account_last_login": timestamp}},
	"windows-registry-key": {core: &observableShape, any: []string{"key", "values", "modified", "modified_time",
		"creator_user_ref", "number_of_subkeys"}, props: map[string]check{
		"key":    matching(ProblemValue, "the hive is written out, not as HKLM", isFullKey),
		"values": listOrEmpty(registryValue), "modified_time": timestamp, "creator_user_ref": text,
		"number_of_subkeys": integer}},
	"x509-certificate": {core: &observableShape, any: []string{"is_self_signed", "hashes", "version", "serial_number",
		"signature_algorithm", "issuer", "validity_not_before", "validity_not_after", "subject",
		"subject_public_key_algorithm", "subject_public_key_modulus", "subject_public_key_exponent", "x509_v3_extensions"},
		props: map[string]check{
			"is_self_signed": boolean, "hashes": hashes, "version": text, "serial_number": text,
			"signature_algorithm": text, "issuer": text, "validity_not_before": timestamp, "validity_not_after": timestamp,
			"subject": text, "subject_public_key_algorithm": text, "subject_public_key_modulus": text,
			"subject_public_key_exponent": integer, "x509_v3_extensions": certificateExtensions}},
}

// artifactRules: the content or where it is (§6.1).
func artifactRules(c *checker) {
	payload, url := c.has("payload_bin"), c.has("url")
	if payload == url {
		c.add(ProblemTogether, "exactly one of payload_bin and url is required")
	}
	if url && !payload && !c.has("hashes") {
		c.at("url", ProblemTogether, "needs hashes")
	}
	if c.has("decryption_key") && !c.has("encryption_algorithm") {
		c.at("decryption_key", ProblemTogether, "needs encryption_algorithm")
	}
}

func isMediaType(s string) bool {
	kind, rest, _ := strings.Cut(s, "/")
	switch kind {
	case "application", "audio", "font", "image", "message", "model", "multipart", "text", "video":
		return rest != "" && allOf(rest[:1], ".+_-")
	}
	return false
}

// charset is the name of a character encoding.
var charset = matching(ProblemValue, "is no name of a character set", func(s string) bool {
	return len(s) >= 2 && len(s) <= 250 && allOf(s, "/.+_:-")
})

// emailRules: one body or several parts (§6.6).
func emailRules(c *checker) {
	body, parts := c.get("body"), c.get("body_multipart")
	switch c.get("is_multipart").kind() {
	case 'f':
		if parts != nil {
			c.at("body_multipart", ProblemTogether, "needs is_multipart true")
		}
		if body != nil {
			c.under("body", text, body)
		}
	case 't':
		if body != nil {
			c.at("body", ProblemTogether, "needs is_multipart false")
		}
		if parts != nil {
			c.under("body_multipart", mimeParts, parts)
		}
	}
}

// under applies a rule to a member of the open object.
func (c *checker) under(name string, rule check, v RawValue) {
	c.path = append(c.path, step{name: []byte(name)})
	rule(c, v)
	c.path = c.path[:len(c.path)-1]
}

var mimeParts = listOrEmpty(structure(&shape{
	props: map[string]check{"body": text, "body_raw_ref": text, "content_type": text, "content_disposition": text},
	rest: func(c *checker) {
		if c.has("body") == c.has("body_raw_ref") {
			c.add(ProblemTogether, "exactly one of body and body_raw_ref is required")
		}
	},
}))

// headerFields are the headers that have no property of their own; one at
// least must be such.
func headerFields(c *checker, v RawValue) {
	keyed(func(c *checker, _ []byte, v RawValue) {
		if v.kind() == '[' {
			texts(c, v)
			n := 0
			for range v.Elements() {
				n++
			}
			if n == 1 {
				c.add(ProblemValue, "a single value is written as a string")
			}
			return
		}
		text(c, v)
	})(c, v)
	for key := range v.members() {
		if !wordIn(key, "date", "received_lines", "content_type", "from_ref", "sender_ref", "to_refs", "cc_refs",
			"bcc_refs", "subject") {
			return
		}
	}
	c.add(ProblemTogether, "these headers have properties of their own")
}

// isIPv4: four numbers without filling, and perhaps a prefix length.
func isIPv4(s string) bool {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		return err == nil && p.Addr().Is4()
	}
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is4()
}

// isIPv6 takes what RFC 4291 §2.2 writes, with a zone or a prefix length.
func isIPv6(s string) bool {
	addr, bits, found := strings.Cut(s, "/")
	if found && (number(bits) < 0 || number(bits) > 128 || len(bits) > 3 || bits == "" || bits[0] == '0' && bits != "0") {
		return false
	}
	a, err := netip.ParseAddr(addr)
	return err == nil && a.Is6()
}

func isMAC(s string) bool {
	if len(s) != 17 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if i%3 == 2 {
			if s[i] != ':' {
				return false
			}
		} else if !isHex(s[i]) || s[i] >= 'A' && s[i] <= 'F' {
			return false
		}
	}
	return true
}

// trafficRules: what is still active has no end (§6.12).
func trafficRules(c *checker) {
	if c.get("is_active").kind() == 't' && c.has("end") {
		c.at("end", ProblemTogether, "needs is_active false")
	}
}

func textOrInteger(c *checker, _ []byte, v RawValue) {
	if k := v.kind(); k != '"' && !(k == '0' && parseDecimal(v).whole()) {
		c.add(ProblemType, "must be a string or a whole number")
	}
}

// The two forms that are best said as expressions; few objects have them.
var (
	cpeForm = sync.OnceValue(func() *regexp.Regexp {
		const part = `(?:(?:\?*|\*?)(?:[a-zA-Z0-9\-._]|\\[\\*?!"#$%&'()+,/:;<=>@\[\]^` + "`" + `{|}~])+(?:\?*|\*?)|[*\-])`
		return regexp.MustCompile(`cpe:2\.3:[aho*\-](?::` + part + `){5}:(?:[a-zA-Z]{2,3}(?:-(?:[a-zA-Z]{2}|[0-9]{3}))?|[*\-])(?::` + part + `){4}`)
	})
	languageForm = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(?:[a-z]{2}(?:-[A-Z]{2})?(?:-[a-z]{4})?(?:-[A-Z]{2}|[0-9]{3})?(?:-[a-z0-9]{5,8}|[0-9][a-z0-9]{3})*(?:-[a-z0-9]{1,8})*|[a-z]{3})$`)
	})
)

func isCPE(s string) bool      { return cpeForm().MatchString(s) }
func isLanguage(s string) bool { return languageForm().MatchString(s) }

// isFullKey: the hive of a registry key is not abbreviated (§6.17). As in the
// schema HKLM is looked for at the start, the others anywhere.
func isFullKey(s string) bool {
	short := []string{"HKCC", "HKCR", "HKCU", "HKU", "hklm", "hkcc", "hkcr", "hkcu", "hku"}
	return !strings.HasPrefix(s, "HKLM") &&
		!slices.ContainsFunc(short, func(hive string) bool { return strings.Contains(s, hive) })
}

var registryValue = structure(&shape{
	any: []string{"name", "data", "data_type"},
	props: map[string]check{"name": text, "data": text, "data_type": oneOf("REG_NONE", "REG_SZ", "REG_EXPAND_SZ",
		"REG_BINARY", "REG_DWORD", "REG_DWORD_BIG_ENDIAN", "REG_DWORD_LITTLE_ENDIAN", "REG_LINK", "REG_MULTI_SZ",
		"REG_RESOURCE_LIST", "REG_FULL_RESOURCE_DESCRIPTION", "REG_RESOURCE_REQUIREMENTS_LIST", "REG_QWORD",
		"REG_INVALID_TYPE")},
})

var certificateExtensions = structure(withAny(map[string]check{
	"basic_constraints": text, "name_constraints": text, "policy_constraints": text, "key_usage": text,
	"extended_key_usage": text, "subject_key_identifier": text, "authority_key_identifier": text,
	"subject_alternative_name": text, "issuer_alternative_name": text, "subject_directory_attributes": text,
	"crl_distribution_points": text, "inhibit_any_policy": text, "private_key_usage_period_not_before": timestamp,
	"private_key_usage_period_not_after": timestamp, "certificate_policies": text, "policy_mappings": text,
}))
