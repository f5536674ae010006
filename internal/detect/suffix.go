package detect

import (
	"bytes"
	"strings"
)

// suffixes are frequent ends of names; a packed name has one byte from 0x80 on
// in place of the longest that fits. The order is part of no format: indexes
// live in memory only.
var suffixes = [...]string{
	".com", ".net", ".org", ".info", ".biz", ".xyz", ".top", ".ru", ".click", ".digital", ".online", ".site", ".shop", ".live",
	".sbs", ".club", ".pw", ".tk", ".ml", ".ga", ".cf", ".gq", ".cn", ".de", ".fr", ".nl", ".eu", ".uk", ".co.uk", ".us", ".in",
	".io", ".co", ".me", ".cc", ".su", ".br", ".com.br", ".pl", ".it", ".es", ".jp", ".kr", ".co.kr", ".kro.kr", ".tv", ".space",
	".store", ".website", ".tech", ".icu", ".win", ".bid", ".life", ".world", ".work", ".link", ".buzz", ".cyou", ".cfd", ".fun",
	".forum", ".vip", ".app", ".dev", ".pro", ".host", ".today", ".lol", ".pics", ".lat", ".cloud", ".monster", ".quest",
	".coupons", ".garden", ".surf", ".army", ".bazar", ".onion", ".gg", ".com.cn", ".sa.com", ".za.com", ".ru.com", ".in.net",
	".hl.cn", ".ddns.net", ".duckdns.org", ".no-ip.org", ".no-ip.biz", ".no-ip.info", ".zapto.org", ".hopto.org", ".sytes.net",
	".myftp.org", ".myftp.biz", ".serveftp.com", ".servehttp.com", ".redirectme.net", ".dyndns.org", ".dynv6.net", ".dynu.net",
	".3utilities.com", ".3322.org", ".linkpc.net", ".chickenkiller.com", ".dns.army", ".xsph.ru", ".blogspot.com", ".weebly.com",
	".000webhostapp.com", ".github.io", ".pages.dev", ".workers.dev", ".trycloudflare.com", ".vercel.app", ".azurewebsites.net",
	".cloudfront.net", ".amazonaws.com", ".tencentcs.com", ".at.ply.gg", ".portmap.host", ".portmap.io", ".mypi.co", ".mydns.bz",
	".publicvm.com",
}

var suffixCodes = func() map[string]byte {
	m := make(map[string]byte, len(suffixes))
	for i, s := range suffixes {
		m[s] = 0x80 + byte(i)
	}
	return m
}()

// packName appends the packed form of a normal name.
func packName(dst []byte, name string) []byte {
	for i := strings.IndexByte(name, '.'); i > 0; {
		if code, ok := suffixCodes[name[i:]]; ok {
			return append(append(dst, name[:i]...), code)
		}
		next := strings.IndexByte(name[i+1:], '.')
		if next < 0 {
			break
		}
		i += 1 + next
	}
	return append(dst, name...)
}

// unpackName appends the name of a packed form.
func unpackName(dst, packed []byte) []byte {
	last := len(packed) - 1
	if last < 0 || packed[last] < 0x80 {
		return append(dst, packed...)
	}
	return append(append(dst, packed[:last]...), suffixes[packed[last]-0x80]...)
}

// samePacked reports whether a packed name is name.
func samePacked(packed, name []byte) bool {
	last := len(packed) - 1
	if last < 0 || packed[last] < 0x80 {
		return bytes.Equal(packed, name)
	}
	s := suffixes[packed[last]-0x80]
	return len(name) == last+len(s) && bytes.Equal(packed[:last], name[:last]) && string(name[last:]) == s
}
