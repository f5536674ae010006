package stix

// shapes holds what STIX 2.1 says of each of its types: objects and
// relationships (§4, §5), meta objects (§7) and cyber-observables (§6).
var shapes = merge(objectShapes, metaShapes, observableShapes)

func merge(tables ...map[string]*shape) map[string]*shape {
	all := map[string]*shape{}
	for _, t := range tables {
		for name, s := range t {
			all[name] = s
		}
	}
	return all
}

// Types the specification does not know have the common properties alone.
var (
	customObject     = shape{core: &commonShape}
	customObservable = shape{core: &observableShape}
)

// commonShape is what every object and relationship has (§3.2).
var commonShape = shape{
	props: map[string]check{
		"type":                typeRule,
		"spec_version":        oneOf("2.0", "2.1"),
		"id":                  identifier,
		"created_by_ref":      identifier,
		"labels":              listOf(text),
		"created":             millis,
		"modified":            millis,
		"revoked":             boolean,
		"confidence":          between(integer, 0, 100),
		"lang":                text,
		"external_references": listOf(externalReference),
		"object_marking_refs": listOf(identifier),
		"granular_markings":   listOf(granularMarking),
		"extensions":          extensionsOf(nil),
	},
	required: []string{"type", "spec_version", "id", "created", "modified"},
	order:    [][2]string{{"created", "modified"}},
	rest:     noReserved,
}

// observableShape is what every cyber-observable object has (§3.2).
var observableShape = shape{
	props: map[string]check{
		"type":                typeRule,
		"spec_version":        oneOf("2.0", "2.1"),
		"id":                  identifier,
		"object_marking_refs": listOf(identifier),
		"granular_markings":   listOf(granularMarking),
		"defanged":            boolean,
		"extensions":          extensionsOf(nil),
	},
	required: []string{"type", "id"},
	rest:     noReserved,
}

// typeRule wants a name of a type; "action" is kept for later (§11).
var typeRule = matching(ProblemName, "is no name of a type", func(s string) bool {
	if n := len(s); n > 0 && s[n-1] == '-' { // the schemas take a hyphen at the end
		return n >= 3 && n <= longestType && isTypeName(s[:n-1])
	}
	return len(s) >= 3 && isTypeName(s) && s != "action"
})

// noReserved refuses the property names that STIX keeps for later (§11).
func noReserved(c *checker) {
	for _, name := range []string{"severity", "action", "username", "phone_numbers"} {
		if c.has(name) {
			c.at(name, ProblemReserved, "STIX keeps this name for itself")
		}
	}
}

// Lists that many types have.
var (
	texts       = listOf(text)
	identifiers = listOf(identifier)
	killChain   = listOf(structure(&shape{
		props:    map[string]check{"kill_chain_name": text, "phase_name": text},
		required: []string{"kill_chain_name", "phase_name"},
	}))
	seen = [][2]string{{"first_seen", "last_seen"}}
)

// objectShapes are the domain objects of §4 and the relationships of §5.
var objectShapes = map[string]*shape{
	"attack-pattern": {core: &commonShape, required: []string{"name"}, props: map[string]check{
		"name": text, "description": text, "aliases": texts, "kill_chain_phases": killChain}},
	"campaign": {core: &commonShape, required: []string{"name"}, order: seen, props: map[string]check{
		"name": text, "description": text, "aliases": texts, "first_seen": timestamp, "last_seen": timestamp,
		"objective": text}},
	"course-of-action": {core: &commonShape, required: []string{"name"}, props: map[string]check{
		"name": text, "description": text}},
	"grouping": {core: &commonShape, required: []string{"context", "object_refs"}, props: map[string]check{
		"name": text, "description": text, "context": text, "object_refs": identifiers}},
	"identity": {core: &commonShape, required: []string{"name"}, props: map[string]check{
		"name": text, "description": text, "roles": texts, "identity_class": text, "sectors": texts,
		"contact_information": text}},
	"incident": {core: &commonShape, required: []string{"name"}, props: map[string]check{
		"name": text, "description": text}},
	"indicator": {core: &commonShape, required: []string{"pattern", "pattern_type", "valid_from"},
		strictly: [][2]string{{"valid_from", "valid_until"}}, props: map[string]check{
			"name": text, "description": text, "indicator_types": texts, "pattern": text, "pattern_type": text,
			"pattern_version": text, "valid_from": timestamp, "valid_until": timestamp, "kill_chain_phases": killChain}},
	"infrastructure": {core: &commonShape, required: []string{"name"}, order: seen, props: map[string]check{
		"name": text, "description": text, "infrastructure_types": texts, "aliases": texts,
		"kill_chain_phases": killChain, "first_seen": timestamp, "last_seen": timestamp}},
	"intrusion-set": {core: &commonShape, required: []string{"name"}, order: seen, props: map[string]check{
		"name": text, "description": text, "aliases": texts, "first_seen": timestamp, "last_seen": timestamp,
		"goals": texts, "resource_level": text, "primary_motivation": text, "secondary_motivations": texts}},
	"location": {core: &commonShape, rest: locationRules, props: map[string]check{
		"name": text, "description": text, "latitude": between(numeric, -90, 90),
		"longitude": between(numeric, -180, 180), "precision": numeric, "region": text, "country": text,
		"administrative_area": text, "city": text, "street_address": text, "postal_code": text}},
	"malware": {core: &commonShape, required: []string{"is_family"}, order: seen, rest: malwareRules,
		props: map[string]check{
			"name": text, "description": text, "malware_types": texts, "is_family": boolean, "aliases": texts,
			"kill_chain_phases": killChain, "first_seen": timestamp, "last_seen": timestamp,
			"operating_system_refs": listOf(refTo("software")), "architecture_execution_envs": texts,
			"implementation_languages": texts, "capabilities": texts, "sample_refs": texts}},
	"malware-analysis": {core: &commonShape, required: []string{"product"}, any: []string{"result", "analysis_sco_refs"},
		props: map[string]check{
			"product": text, "version": text, "configuration_version": text, "modules": texts,
			"analysis_engine_version": text, "analysis_definition_version": text, "submitted": timestamp,
			"analysis_started": timestamp, "analysis_ended": timestamp, "result_name": text, "result": text,
			"host_vm_ref": refTo("software"), "operating_system_ref": refTo("software"),
			"installed_software_refs": listOf(refTo("software")), "analysis_sco_refs": identifiers,
			"sample_ref": refTo("artifact", "file", "network-traffic")}},
	"note": {core: &commonShape, required: []string{"content", "object_refs"}, props: map[string]check{
		"abstract": text, "content": text, "authors": texts, "object_refs": identifiers}},
	"observed-data": {core: &commonShape, required: []string{"first_observed", "last_observed", "number_observed"},
		order: [][2]string{{"first_observed", "last_observed"}}, rest: observedRules, props: map[string]check{
			"first_observed": timestamp, "last_observed": timestamp, "number_observed": between(integer, 1, 999_999_999),
			"objects": observedObjects, "object_refs": listOf(observedRef)}},
	"opinion": {core: &commonShape, required: []string{"object_refs", "opinion"}, props: map[string]check{
		"explanation": text, "authors": texts, "object_refs": identifiers,
		"opinion": oneOf("strongly-disagree", "disagree", "neutral", "agree", "strongly-agree")}},
	"report": {core: &commonShape, required: []string{"name", "object_refs", "published"}, props: map[string]check{
		"name": text, "description": text, "report_types": texts, "published": timestamp, "object_refs": identifiers}},
	"threat-actor": {core: &commonShape, required: []string{"name"}, order: seen, props: map[string]check{
		"name": text, "description": text, "threat_actor_types": texts, "aliases": texts, "roles": texts,
		"goals": texts, "first_seen": timestamp, "last_seen": timestamp, "sophistication": text,
		"resource_level": text, "primary_motivation": text, "secondary_motivations": texts,
		"personal_motivations": texts}},
	"tool": {core: &commonShape, required: []string{"name"}, props: map[string]check{
		"name": text, "description": text, "tool_types": texts, "aliases": texts, "tool_version": text,
		"kill_chain_phases": killChain}},
	"vulnerability": {core: &commonShape, required: []string{"name"}, props: map[string]check{
		"name": text, "description": text}},
	"relationship": {core: &commonShape, required: []string{"relationship_type", "source_ref", "target_ref"},
		strictly: [][2]string{{"start_time", "stop_time"}}, props: map[string]check{
			"relationship_type": matching(ProblemValue, "has only a-z, 0-9 and hyphen", relationshipType),
			"description":       text, "source_ref": relationshipEnd, "target_ref": relationshipEnd,
			"start_time": timestamp, "stop_time": timestamp}},
	"sighting": {core: &commonShape, required: []string{"sighting_of_ref"}, order: seen, props: map[string]check{
		"description": text, "first_seen": timestamp, "last_seen": timestamp, "count": between(integer, 0, 999_999_999),
		"sighting_of_ref": relationshipEnd, "observed_data_refs": listOf(refTo("observed-data")),
		"where_sighted_refs": listOf(refTo("identity", "location")), "summary": boolean}},
}

var relationshipEnd = refNotTo("relationship", "sighting", "bundle", "marking-definition", "language-content")

func relationshipType(s string) bool {
	for i := 0; i < len(s); i++ {
		if !lowerOrDigit(s[i]) && s[i] != '-' || s[i] == '_' {
			return false
		}
	}
	return s != ""
}

// locationRules: a place has a region, a country or coordinates (§4.10).
func locationRules(c *checker) {
	latitude, longitude := c.has("latitude"), c.has("longitude")
	if !c.hasAny([]string{"region", "country"}) && !(latitude && longitude) {
		c.add(ProblemMissing, "region, country or latitude with longitude is required")
	}
	if latitude != longitude {
		c.add(ProblemTogether, "latitude and longitude go together")
	}
	if c.has("precision") && !(latitude && longitude) {
		c.at("precision", ProblemTogether, "needs latitude and longitude")
	}
}

// malwareRules: a family has a name (§4.11).
func malwareRules(c *checker) {
	if c.get("is_family").kind() == 't' && !c.has("name") {
		c.add(ProblemMissing, "the property name is required of a family")
	}
}

// observedRules: either the old dictionary or references (§4.14).
func observedRules(c *checker) {
	if c.has("objects") == c.has("object_refs") {
		c.add(ProblemTogether, "exactly one of objects and object_refs is required")
	}
}
