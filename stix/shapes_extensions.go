package stix

import (
	"maps"
	"slices"
	"strings"
)

// withAny is a shape that needs one of its properties.
func withAny(props map[string]check) *shape {
	return &shape{props: props, any: slices.Sorted(maps.Keys(props))}
}

// fileExtensions are the predefined extensions of file (§6.7).
var fileExtensions = map[string]check{
	"ntfs-ext": structure(withAny(map[string]check{
		"sid": text, "alternate_data_streams": listOrEmpty(ifObject(structure(&shape{
			required: []string{"name"},
			props:    map[string]check{"name": text, "hashes": hashes, "size": atLeast(integer, 0)},
		})))})),
	"raster-image-ext": structure(&shape{
		any: []string{"image_height", "image_width", "bits_per_pixel", "image_compression_algorithm", "exif_tags"},
		props: map[string]check{"image_height": integer, "image_width": integer, "bits_per_pixel": integer,
			"exif_tags": keyed(exifTag)}}),
	"pdf-ext": structure(withAny(map[string]check{
		"version": text, "is_optimized": boolean, "pdfid0": text, "pdfid1": text,
		"document_info_dict": keyed(func(c *checker, _ []byte, v RawValue) { text(c, v) })})),
	"archive-ext": structure(&shape{required: []string{"contains_refs"},
		props: map[string]check{"contains_refs": texts, "comment": text}}),
	"windows-pebinary-ext": structure(&shape{
		required: []string{"pe_type"},
		any: []string{"imphash", "machine_hex", "number_of_sections", "time_date_stamp", "pointer_to_symbol_table_hex",
			"number_of_symbols", "size_of_optional_header", "characteristics_hex", "file_header_hashes", "optional_header",
			"sections"},
		props: map[string]check{
			"pe_type": text, "imphash": text, "machine_hex": hexadecimal, "number_of_sections": count,
			"time_date_stamp": wholeSeconds, "pointer_to_symbol_table_hex": hexadecimal, "number_of_symbols": count,
			"size_of_optional_header": count, "characteristics_hex": hexadecimal, "file_header_hashes": hashes,
			"optional_header": optionalHeader,
			"sections": listOf(structure(&shape{required: []string{"name"},
				props: map[string]check{"name": text, "size": count, "entropy": numeric, "hashes": hashes}}))}}),
}

var count = atLeast(integer, 0)

// ifObject applies the rule to objects alone, as the schema does that leaves
// the type out.
func ifObject(rule check) check {
	return func(c *checker, v RawValue) {
		if v.kind() == '{' {
			rule(c, v)
		}
	}
}

func exifTag(c *checker, key []byte, v RawValue) {
	if len(key) < 2 || key[0] < 'A' || key[0] > 'Z' {
		c.add(ProblemName, "the name of an EXIF tag begins with a capital")
	}
	textOrInteger(c, key, v)
}

// closed wants an object that has properties of the shape and no others.
func closed(s *shape) check {
	open := structure(s)
	return func(c *checker, v RawValue) {
		open(c, v)
		n := 0
		for name := range v.members() {
			n++
			if s.props[string(name)] == nil {
				c.at(string(name), ProblemName, "there is no such property here")
			}
		}
		if n == 0 {
			c.add(ProblemEmpty, "the object must have a property")
		}
	}
}

var optionalHeader = closed(&shape{props: map[string]check{
	"magic_hex": hexadecimal, "major_linker_version": integer, "minor_linker_version": integer, "size_of_code": count,
	"size_of_initialized_data": count, "size_of_uninitialized_data": count, "address_of_entry_point": integer,
	"base_of_code": integer, "base_of_data": integer, "image_base": integer, "section_alignment": integer,
	"file_alignment": integer, "major_os_version": integer, "minor_os_version": integer, "major_image_version": integer,
	"minor_image_version": integer, "major_subsystem_version": integer, "minor_subsystem_version": integer,
	"win32_version_value_hex": hexadecimal, "size_of_image": count, "size_of_headers": count,
	"checksum_hex": hexadecimal, "subsystem_hex": hexadecimal, "dll_characteristics_hex": hexadecimal,
	"size_of_stack_reserve": count, "size_of_stack_commit": count, "size_of_heap_reserve": count,
	"size_of_heap_commit": count, "loader_flags_hex": hexadecimal, "number_of_rva_and_sizes": integer, "hashes": hashes,
}})

// trafficExtensions are the predefined extensions of network-traffic (§6.12).
var trafficExtensions = map[string]check{
	"http-request-ext": structure(&shape{
		required: []string{"request_method", "request_value"},
		props: map[string]check{"request_method": text, "request_value": text, "request_version": text,
			"request_header": keyed(requestHeader), "message_body_length": integer, "message_body_data_ref": text}}),
	"icmp-ext": structure(&shape{required: []string{"icmp_type_hex", "icmp_code_hex"},
		props: map[string]check{"icmp_type_hex": hexadecimal, "icmp_code_hex": hexadecimal}}),
	"socket-ext": structure(&shape{required: []string{"address_family"},
		props: map[string]check{
			"address_family": oneOf("AF_UNSPEC", "AF_INET", "AF_IPX", "AF_APPLETALK", "AF_NETBIOS", "AF_INET6", "AF_IRDA", "AF_BTH"),
			"is_blocking":    boolean, "is_listening": boolean, "options": keyed(socketOption),
			"socket_type":       oneOf("SOCK_STREAM", "SOCK_DGRAM", "SOCK_RAW", "SOCK_RDM", "SOCK_SEQPACKET"),
			"socket_descriptor": count, "socket_handle": integer}}),
	"tcp-ext": structure(withAny(map[string]check{"src_flags_hex": hexadecimal, "dst_flags_hex": hexadecimal})),
}

func requestHeader(c *checker, key []byte, v RawValue) {
	if len(key) == 0 {
		c.add(ProblemName, "a header has a name")
	}
	listOrEmpty(text)(c, v)
}

// socketOption: SO_…, ICMP_…, IP_… in capitals, and a number.
func socketOption(c *checker, key []byte, v RawValue) {
	if !isSocketOption(string(key)) {
		c.add(ProblemName, "is no name of a socket option")
	}
	integer(c, v)
}

// isSocketOption: a prefix, then words of capitals, each behind an underscore.
func isSocketOption(s string) bool {
	words := strings.Split(s, "_")
	if !slices.Contains([]string{"SO", "ICMP", "ICMP6", "IP", "IPV6", "MCAST", "TCP", "IRLMP"}, words[0]) || len(words) < 2 {
		return false
	}
	return !slices.ContainsFunc(words[1:], func(w string) bool {
		return w == "" || strings.Trim(w, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != ""
	})
}

// processExtensions are the predefined extensions of process (§6.13).
var processExtensions = map[string]check{
	"windows-process-ext": structure(withAny(map[string]check{
		"aslr_enabled": boolean, "dep_enabled": boolean, "priority": text, "owner_sid": text, "window_title": text,
		"startup_info": keyed(startupInfo), "integrity_level": oneOf("low", "medium", "high", "system")})),
	"windows-service-ext": structure(withAny(map[string]check{
		"service_name": text, "descriptions": texts, "display_name": text, "group_name": text,
		"start_type": oneOf("SERVICE_AUTO_START", "SERVICE_BOOT_START", "SERVICE_DEMAND_START", "SERVICE_DISABLED",
			"SERVICE_SYSTEM_ALERT"),
		"service_dll_refs": texts,
		"service_type": oneOf("SERVICE_KERNEL_DRIVER", "SERVICE_FILE_SYSTEM_DRIVER", "SERVICE_WIN32_OWN_PROCESS",
			"SERVICE_WIN32_SHARE_PROCESS"),
		"service_status": oneOf("SERVICE_CONTINUE_PENDING", "SERVICE_PAUSE_PENDING", "SERVICE_PAUSED", "SERVICE_RUNNING",
			"SERVICE_START_PENDING", "SERVICE_STOP_PENDING", "SERVICE_STOPPED")})),
}

// startupInfo is one member of the Windows structure STARTUPINFO; several of
// the schema's expressions may hold for one name.
func startupInfo(c *checker, key []byte, v RawValue) {
	known := false
	if wordIn(key, "lpDesktop", "lpTitle", "dwFillAttribute", "dwFlags", "wShowWindow", "hStdInput", "hStdOutput", "hStdError") {
		known = true
		text(c, v)
	}
	if wordIn(key, "lpReserved", "lpReserved2") {
		known = true
		c.add(ProblemName, "is kept by the system and has no value")
	}
	if wordIn(key, "cb", "dwX", "dwY", "dwXSize", "dwYSize", "dwXCountChars", "dwYCountChars") {
		known = true
		integer(c, v)
	}
	if string(key) == "cbReserved2" {
		between(integer, 0, 0)(c, v)
	}
	if !known {
		c.add(ProblemName, "is no member of STARTUPINFO")
	}
}

// accountExtensions are the predefined extensions of user-account (§6.16).
var accountExtensions = map[string]check{
	"unix-account-ext": structure(withAny(map[string]check{
		"gid": numeric, "groups": texts, "home_dir": text, "shell": text})),
}
