"""Second reading of docs/wire.md: checks the vectors with nothing of noroshi.

Needs Python 3.11 and `cryptography` 48 (Ed25519, ML-KEM, X25519, P-384); HPKE is built of them.
Contents compressed by zstd are left to the Go tests. The short profile takes half a minute.
Run: python3 check.py
"""
import base64, copy, hashlib, hmac, json, pathlib, re, uuid
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

here = pathlib.Path(__file__).parent
load = lambda n: json.loads((here / n).read_text())
H = bytes.fromhex
sha = lambda *p: hashlib.sha256(b"".join(p)).digest()


def head(major, n):
    if n < 24:
        return bytes([major << 5 | n])
    for mark, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if n < 1 << 8 * size:
            return bytes([major << 5 | mark]) + n.to_bytes(size, "big")


def enc(v):
    if isinstance(v, int):
        return head(0, v) if v >= 0 else head(1, -1 - v)
    if isinstance(v, bytes):
        return head(2, len(v)) + v
    if isinstance(v, str):
        return head(3, len(v.encode())) + v.encode()
    if isinstance(v, dict):
        return head(5, len(v)) + b"".join(enc(k) + enc(x) for k, x in v.items())
    return head(4, len(v)) + b"".join(map(enc, v))


def dec(b, i=0):
    major, n = b[i] >> 5, b[i] & 31
    i += 1
    if n >= 24:
        size = 1 << n - 24
        n, i = int.from_bytes(b[i:i + size], "big"), i + size
    if major == 0:
        return n, i
    if major == 1:
        return -1 - n, i
    if major in (2, 3):
        return (b[i:i + n] if major == 2 else b[i:i + n].decode()), i + n
    items = []
    for _ in range(n * (2 if major == 5 else 1)):
        x, i = dec(b, i)
        items.append(x)
    return (dict(zip(items[::2], items[1::2])) if major == 5 else items), i


def read(b):
    v, end = dec(b)
    assert end == len(b) and enc(v) == b, "not deterministic"
    return v


def verify(key, context, protected, payload, signature):
    structure = enc(["Signature1", protected, enc(context), payload])
    assert read(protected) == {1: -19, 4: sha(key)[:4]}
    ed25519.Ed25519PublicKey.from_public_bytes(key).verify(signature, structure)
    return structure


def extract(algorithm, suite, label, ikm, salt=b""):
    return hmac.digest(salt or bytes(hashlib.new(algorithm).digest_size), b"HPKE-v1" + suite + label + ikm, algorithm)


def expand(algorithm, suite, prk, label, info, n):
    hash_ = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384()}[algorithm]
    return HKDFExpand(hash_, n, n.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info).derive(prk)


def opened(algorithm, ids, shared, e, info, enc_len):
    """The key schedule of HPKE base mode (RFC 9180 5.1) and its one ciphertext."""
    suite = b"HPKE" + ids
    context = b"\0" + extract(algorithm, suite, b"psk_id_hash", b"") + extract(algorithm, suite, b"info_hash", info)
    secret = extract(algorithm, suite, b"secret", b"", shared)
    key = expand(algorithm, suite, secret, b"key", context, 32)
    nonce = expand(algorithm, suite, secret, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, e[25 + enc_len:], e[:9])


def unseal(seed, e, info):
    """S1: KEM 0x647a, KDF 1, AEAD 2."""
    wide = hashlib.shake_256(seed).digest(96)
    x = x25519.X25519PrivateKey.from_private_bytes(wide[64:])
    ct_m, ct_x = e[25:25 + 1088], e[25 + 1088:25 + 1120]
    ss_m = mlkem.MLKEM768PrivateKey.from_seed_bytes(wide[:64]).decapsulate(ct_m)
    ss_x = x.exchange(x25519.X25519PublicKey.from_public_bytes(ct_x))
    shared = hashlib.sha3_256(ss_m + ss_x + ct_x + x.public_key().public_bytes_raw() + b"\\.//^\\").digest()
    return opened("sha256", H("647a00010002"), shared, e, info, 1120)


def unseal_high(seed, e, info):
    """S1H: KEM 0x0051, KDF 2, AEAD 2."""
    order = 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973
    wide = hashlib.shake_256(seed).digest(64 + 48 * 64)
    scalars = (int.from_bytes(wide[i:i + 48], "big") for i in range(64, len(wide), 48))
    x = ec.derive_private_key(next(n for n in scalars if 0 < n < order), ec.SECP384R1())
    point = lambda k: k.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    ct_m, ct_x = e[25:25 + 1568], e[25 + 1568:25 + 1665]
    ss_m = mlkem.MLKEM1024PrivateKey.from_seed_bytes(wide[:64]).decapsulate(ct_m)
    ss_x = x.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), ct_x))
    shared = hashlib.sha3_256(ss_m + ss_x + ct_x + point(x.public_key()) + b"MLKEM1024-P384").digest()
    return opened("sha384", H("005100020002"), shared, e, info, 1665)


keys = load("keys.json")
nodes = []
for v in keys:
    body, [[protected, signature]] = read(H(v["keyset_document"]))
    k = read(body)
    realm = b"" if v["realm"] == "real" else sha(v["realm"].split(":")[1].encode())[:16]
    node = sha(body)[:16]
    assert k[0] == "KEYSET" and k[1] == realm and k[2] == bytes(16) and node.hex() == v["node"]
    verify(k[6], ["NX/1 document", realm, node, bytes(16), bytes(16), bytes(32)], protected, body, signature)
    seeds = list(map(H, v["seeds_root_next_release_control_kem_tls"]))
    public = [ed25519.Ed25519PrivateKey.from_private_bytes(s).public_key().public_bytes_raw() for s in seeds[:4]]
    assert k[6] == public[0] and k[7] == sha(public[1]) and [x[3] for x in k[8][:2]] == public[2:]
    assert all(x[0] == sha(x[3])[:4] for x in k[8])
    f = hashlib.sha512(b"NX/1 fingerprint" + enc([realm, node, k[6]])).digest()
    assert v["fingerprint"] == " ".join(f"{int.from_bytes(f[5*i:5*i+5], 'big') % 100000:05d}" for i in range(12))
    nodes.append((realm, node, {x[0]: x for x in k[8]}, seeds))
(realm, a, a_keys, _), (_, b, _, b_seeds) = nodes[:2]


def check_signed(signed, use):
    context, protected, header, content_hash, signature = signed
    _, usage, key = a_keys[read(protected)[4]][1:4]
    assert context[1:4] == [realm, a, b] and usage == use
    return verify(key, context, protected, enc(header) + content_hash, signature)


def check_recall(body):
    """RECALL of docs/wire.md section 2, from its text."""
    assert 1 <= len(body) <= 1024
    for message, obj, modified, reason, scope, deadline in body:
        assert len(message) in (0, 32) and any(message) == bool(message)
        assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*--[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", obj)
        assert not modified or re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", modified) and len(modified) <= 128
        assert 1 <= reason <= 5 and 1 <= scope <= 3 and 0 <= deadline <= 253402300799


def check_recall_done(body):
    recall, results, until = body
    assert len(recall) == 32 and 1 <= len(results) <= 1024 and 0 <= until <= 253402300799
    for refusal, found, before, after, onward, answered in results:
        assert refusal <= 4 and before <= found and after <= found and answered <= onward < 1 << 32


def check_link(body):
    gate, line, day = body
    assert len(gate) == len(line) == 32 and any(gate) and any(line) and day <= 253402300799 // 86400


def note_line(line):
    dash, name, sig = line.split(" ")
    raw = base64.b64decode(sig, validate=True)
    assert dash == "—" and re.fullmatch(r"[!-*,-~]{1,255}", name) and base64.b64encode(raw).decode() == sig and 5 <= len(raw) <= 128


def check_checkpoint(body):
    note, first, proof, commitment = body
    text, signatures = note.decode().split("\n\n")
    origin, size, root = text.split("\n")
    assert re.fullmatch(r"[!-*,-~]{1,255}", origin) and re.fullmatch(r"0|[1-9]\d*", size) and len(base64.b64decode(root, validate=True)) == 32
    *lines, end = signatures.split("\n")
    assert end == "" and 1 <= len(lines) <= 8
    list(map(note_line, lines))
    assert first <= int(size) and bool(proof) == (0 < first < int(size)) and len(proof) <= 128
    assert all(len(h) == 32 for h in proof + [commitment])


def check_cosign(body):
    checkpoint, size, signature = body
    assert len(checkpoint) == 32 and size < 1 << 64 and signature.endswith(b"\n")
    note_line(signature.decode()[:-1])


def check_return(body):
    """The reader's own messages: here JPN-01's, sent to USA-01."""
    assert 1 <= len(body) <= 256
    for signed, content in body:
        context, protected, header, content_hash, signature = read(signed)
        usage, key = nodes[1][2][read(protected)[4]][2:4]
        assert context[1:4] == [realm, b, a] and usage == (1 if header[1] in (1, 2) else 2)
        assert len(content) == header[8] and sha(content) == content_hash
        verify(key, context, protected, enc(header) + content_hash, signature)


def check_recalls(body):
    whole, part, parts, entries = body
    assert 1 <= part <= parts <= 65536 and len(entries) <= 512 and (entries or parts == 1)
    if entries:
        check_recall(entries)
    assert parts > 1 or whole == sha(enc(entries))


def check_holdings(body):
    nonce, answer, epoch, runs = body
    assert len(nonce) == 8 and answer == 1 and [r[:2] for r in runs] == [[1, 2], [5, 5]]
    held = {1: bytes([1]) + bytes(31), 2: bytes(32), 5: bytes([5]) + bytes(31)}
    for first, last, root in runs:
        ids = b"".join(held[n] for n in range(first, last + 1))
        assert root == sha(b"NX/1 holdings", epoch, first.to_bytes(8, "big"), last.to_bytes(8, "big"), ids)[:16]


bodies = {2: check_recall, 3: check_recall_done, 8: check_link,
          19: check_checkpoint, 20: check_cosign, 21: check_return, 22: check_recalls, 23: check_holdings}
seen = set()
chain = None
for v in load("messages.json"):
    signed = read(H(v["signed"]))
    s = check_signed(signed, 1 if signed[2][1] in (1, 2) else 2)
    seen.add(signed[2][1])
    bodies.get(signed[2][1], id)(read(H(v["content"])))
    assert s == H(v["sig_structure"]) and sha(H(v["content"])) == signed[3] and signed[2][8] == len(H(v["content"]))
    assert sha(b"NX/1 id", s, signed[4]) == H(v["id"])
    chain = chain or sha(b"NX/1 chain", enc([realm, a, b, signed[0][4]]))
    chain = sha(chain, H(v["id"]))
    assert chain == H(v["chain_after"])
assert seen == set(range(1, 9))
for v in load("statements.json"):
    signed, body = read(H(v["encoded"]))
    assert check_signed(signed, 2) == H(v["sig_structure"]) and sha(body) == signed[3] and body == H(v["body"])
    bodies.get(signed[2][1], id)(read(body))
    seen.add(signed[2][1])
assert seen == set(range(1, 9)) | set(range(16, 24))
card, both, proposal, suspension = (read(H(v["document"])) for v in load("documents.json"))
context = lambda node: ["NX/1 document", realm, node, bytes(16), bytes(16), bytes(32)]
assert read(card[0])[:3] == ["CARD", realm, a] and read(card[0])[6] == H(keys[0]["keyset_document"])
verify(read(read(read(card[0])[6])[0])[6], context(a), card[1][0][0], card[0], card[1][0][1])
name, its_realm, its_node, its_agreement, counter, state, created = read(suspension[0])
assert [name, its_realm, its_node, its_agreement, counter, state] == ["SUSPENSION", realm, a, sha(both[0]), 1, 1]
for (body, signatures), use, who in ((both, 1, (0, 1)), (proposal, 2, (0,)), (suspension, 1, (0,))):
    for (protected, signature), i in zip(signatures, who, strict=True):
        key = nodes[i][2][read(protected)[4]]
        assert key[2] == use
        verify(key[3], context(nodes[i][1]), protected, body, signature)
for v in load("envelopes.json"):
    e = H(v["envelope"])
    gate_key = HKDFExpand(hashes.SHA256(), 32, enc(["NX/1 gate", realm, a, b])).derive(H(v["gate_secret"]))
    info = enc(["NX/1 seal", realm, a, b])
    assert e[0] == 0x11 and gate_key == H(v["gate_key"]) and info == H(v["info"])
    assert hmac.digest(gate_key, e[:9] + sha(e[25:]), "sha256")[:16] == e[9:25]
    plain = unseal(b_seeds[4], e, info)
    assert plain == H(v["plaintext"]) and not any(read(plain)[-1])
    assert len(plain) in (256, 880, 4096, 4505, 4955)
def link_key(secret, name):
    return HKDFExpand(hashes.SHA256(), 32, enc([name, realm, a, b])).derive(secret)


def on_day(secret, days):
    for _ in range(days):
        secret = HKDFExpand(hashes.SHA256(), 32, b"NX/1 ratchet").derive(secret)
    return secret


links = load("links.json")
for v in links:
    secret = on_day(H(v["line_secret"]), v["days_later"])
    assert secret == H(v["line_secret_of_that_day"])
    assert hmac.digest(link_key(secret, "NX/1 frag"), H(v["piece"]), "sha256")[:8] == H(v["fragment_mac"])
    assert hmac.digest(link_key(H(v["gate_secret"]), "NX/1 voice"), H(v["piece"]), "sha256") == H(v["voice_of_piece"])


def rebuilt(header, signature, content):
    """The full form of a compact one: one epoch and agreement are known here, and the keys of USA-01."""
    known = read(H(load("messages.json")[1]["signed"]))[0]
    domain = "NX/1 message" if len(header) == 9 else "NX/1 statement"
    for kid in a_keys:
        signed = [[domain] + known[1:], enc({1: -19, 4: kid}), header, sha(content), signature]
        try:
            check_signed(signed, 1 if len(header) == 9 and header[1] in (1, 2) else 2)
        except (AssertionError, InvalidSignature):
            continue
        return signed
    raise AssertionError("no key fits")


for v in load("suites.json"):
    e = H(v["envelope"])
    if e[0] == 0x12:
        assert hmac.digest(link_key(H(load("envelopes.json")[0]["gate_secret"]), "NX/1 gate"), e[:9] + sha(e[25:]), "sha256")[:16] == e[9:25]
        plain = unseal_high(H(v["kem_seed"]), e, enc(["NX/1 seal", realm, a, b]))
    else:
        assert e[0] == 0x13
        key = link_key(on_day(H(links[0]["line_secret"]), v["days_later"]), "NX/1 line")
        plain = AESGCM(key).decrypt(e[1:13], e[13:], e[:1] + enc(["NX/1 line", realm, a, b]))
    assert plain == H(v["plaintext"])
    parts = read(plain)
    if len(parts) == 4 and parts[2] == 0:
        header, signature, _, content = parts
        rebuilt(header, signature, content)
        assert len(content) == header[-1]
    else:
        assert len(parts) in (2, 4, 8) and (e[0] == 0x12 or len(parts) == 4 or parts[-1] == b"")


def times(x, y):
    """GF(2^8) of section 8."""
    product = 0
    for i in range(8):
        product ^= (x << i if y >> i & 1 else 0)
    for i in range(14, 7, -1):
        product ^= (0x11d << i - 8 if product >> i & 1 else 0)
    return product


def power(x, n):
    r = 1
    for _ in range(n):
        r = times(r, x)
    return r


def value(points, values, at):
    """What the polynomial through the points is elsewhere."""
    total = 0
    for i, v in enumerate(values):
        for j, p in enumerate(points[:len(values)]):
            if j != i:
                v = times(times(v, at ^ p), power(points[i] ^ p, 254))
        total ^= v
    return total


white = b"".join(hashlib.sha512(b"NX/1 line" + bytes([i])).digest() for i in (0, 1))
lines = load("line.json")
for v in lines["frames"]:
    frame, payload = H(v["frame"]), H(v["payload"])
    body = -(-(len(payload) + 1) // 4) * 4
    c = body // 4 - 1
    bit = lambda n, i: n >> i & 1
    word = sum((bit(c, 0) ^ bit(c, 1) & bit(x, 0) ^ bit(c, 2) & bit(x, 1) ^ bit(c, 3) & bit(x, 2) ^ bit(c, 4) & bit(x, 3)
                ^ bit(x, 0) & bit(x, 1) ^ bit(x, 2) & bit(x, 3)) << x for x in range(16))
    block = bytes(x ^ y for x, y in zip(frame[2:], white))
    assert frame[:2] == word.to_bytes(2, "big") and len(block) == body + (8 if body <= 16 else 16)
    pad = body - 1 - len(payload)
    assert block[:body] == bytes([v["type"] << 6 | pad << 4 | min(v["left"], 15)]) + payload + bytes(pad)
    points = [0] + [power(2, i) for i in range(len(block) - 1)]
    assert all(value(points, block[:body], points[i]) == block[i] for i in range(body, len(block)))
for v in lines["parity"]:
    pieces, row = [H(p) for p in v["pieces"]], H(v["bytes"])
    points = list(range(len(pieces)))
    assert row == bytes(value(points, column, len(pieces) + v["row"]) for column in zip(*pieces))
for v in lines["acks"]:
    entry = H(v["entry"])
    n = int.from_bytes(entry[1:3], "big")
    assert entry[0] == v["ref"] and len(entry) == 3 + (n & 15)
    bits = "".join(f"{x:08b}" for x in entry[3:])
    assert [*range(n >> 4), *((n >> 4) + i for i, x in enumerate(bits) if x == "1")] == v["held"]
S = [1, 2, 4, 6, 10, 17, 27, 45, 74, 120, 194, 311, 488, 747, 1102, 1546, 2048, 2550, 2994, 3349, 3608,
     3785, 3902, 3976, 4022, 4051, 4069, 4079, 4086, 4090, 4092, 4094, 4095]
M = (1 << 32) - 1


def squash(x):
    x = min(max(x, -2047), 2047) + 2048
    i, w = x >> 7, x & 127
    return S[i] * (128 - w) + S[i + 1] * w + 64 >> 7 if w else S[i] * 128 + 64 >> 7


stretch = [next((x for x in range(-2047, 2048) if squash(x) >= p), 2047) for p in range(4096)]
mix = lambda h, byte: (h + byte + 1) * 0x2C1B3C6D & M
fold = lambda h: h ^ h >> 15


class Model:
    """The model of the short profile, from the text of docs/wire.md section 6."""

    def __init__(self):
        self.slots, self.weights, self.ends = {}, [[1 << 14] * 8 for _ in range(32)], {}
        self.seen, self.h, self.word, self.c, self.length, self.at = bytearray(), [0] * 6, 0, 1, 0, 0
        self.predict()

    def predict(self):
        self.keys = []
        for i, h in enumerate(self.h):
            g = (h + self.c * 0x9E3779B1) * 0x85EBCA6B & M
            self.keys.append((i, (fold(g) * 0xC2B2AE35 & M) >> 15))
        self.set, matched = 0, 0
        if self.length:
            expected, bits = self.seen[self.at] | 256, self.c.bit_length() - 1
            if expected >> 8 - bits == self.c:
                self.set = self.length
                self.keys.append(("match", 2 * self.length + (expected >> 7 - bits & 1)))
        says = [stretch[self.slots.get(k, (1 << 21, 0))[0] >> 10] for k in self.keys]
        self.inputs = says[:6] + [says[6] if len(says) > 6 else 0, 256]
        total = sum(w * x for w, x in zip(self.weights[self.set], self.inputs)) >> 16
        self.odds = min(max(squash(min(max(total, -2047), 2047)), 1), 4095)

    def learn(self, bit):
        err = (bit * 4096 - self.odds) * 10
        self.weights[self.set] = [w + (x * err + 32768 >> 16) for w, x in zip(self.weights[self.set], self.inputs)]
        for k in self.keys:
            p, n = self.slots.get(k, (1 << 21, 0))
            d = (bit * ((1 << 22) - 1) - p) * 2
            self.slots[k] = p + (d // (2 * n + 3) if d >= 0 else -(-d // (2 * n + 3))), min(n + 1, 255)
        self.c = self.c << 1 | bit
        if self.c >= 256:
            self.byte(self.c & 255)
            self.c = 1
        self.predict()

    def byte(self, b):
        self.seen.append(b)
        self.word = mix(self.word, b) if chr(b).isascii() and chr(b).isalpha() or b >= 128 else 0
        for i, order in enumerate((1, 2, 3, 4, 6)):
            h = (i + 1) * 0x3D4D51CB & M
            for x in self.seen[:-order - 1:-1]:
                h = fold(mix(h, x))
            self.h[i] = h
        self.h[5] = (6 * 0x3D4D51CB + self.word + b & M) * 0x2C1B3C6D & M
        n = len(self.seen)
        if self.length and self.seen[self.at] == b:
            self.length, self.at = min(self.length + 1, 31), self.at + 1
        else:
            self.length = 0
        if n < 5:
            return
        h = 0
        for x in self.seen[-5:]:
            h = fold(mix(h, x))
        h >>= 17
        if not self.length and h in self.ends:
            self.at = self.ends[h]
            while self.length < min(31, self.at) and self.seen[self.at - 1 - self.length] == self.seen[n - 1 - self.length]:
                self.length += 1
            self.length = self.length if self.length >= 5 else 0
        self.ends[h] = n


def lengthen(model, b, size):
    low, high, at = 0, M, 4
    x = int.from_bytes((b + bytes(4))[:4], "big")
    for _ in range(size * 8):
        mid = low + ((high - low) * model.odds >> 12)
        bit = int(x <= mid)
        low, high = (low, mid) if bit else (mid + 1, high)
        model.learn(bit)
        while low >> 24 == high >> 24:
            low, high = low << 8 & M, high << 8 & M | 255
            x, at = x << 8 & M | (b[at] if at < len(b) else 0), at + 1
    return bytes(model.seen[-size:])


KINDS = [("domain-name", "domain-name:value"), ("ipv4-addr", "ipv4-addr:value"), ("ipv6-addr", "ipv6-addr:value"), ("url", "url:value"),
         ("email-addr", "email-addr:value"), ("md5", "file:hashes.MD5"), ("sha-1", "file:hashes.'SHA-1'"),
         ("sha-256", "file:hashes.'SHA-256'"), ("sha-512", "file:hashes.'SHA-512'")]


def listed(packed, lines):
    self, name, at, size, _ = read(packed)
    assert size == len(lines.encode())
    objects = []
    for line in lines.splitlines():
        if line[0] == "\x01":
            kind, path = KINDS[ord(line[1]) - 65]
            line = line[2:]
        value, _, nth = line.partition("\x02")
        i = uuid.uuid5(uuid.UUID(bytes=self), "\n".join([name, kind, value] + ([nth] if nth else [])))
        objects.append([0, (f'{{"type":"indicator","spec_version":"2.1","id":"indicator--{i}","created_by_ref":"identity--{uuid.UUID(bytes=self)}",'
                            f'"created":"{at}","modified":"{at}","name":"{name}","indicator_types":["malicious-activity"],'
                            f'"pattern":"[{path} = \'{value}\']","pattern_type":"stix","pattern_version":"2.1","valid_from":"{at}"}}').encode()])
    return enc(objects)


model = Model()
for c in (here / "../../internal/message/dictionary/2.txt").read_bytes():
    for i in range(7, -1, -1):
        model.learn(c >> i & 1)
for v in load("packings.json"):
    content, packed = H(v["content"]), H(v["packed"])
    if v["number"] == 129:
        assert lengthen(copy.deepcopy(model), packed, len(content)) == content
    if v["number"] == 128:
        assert listed(packed, v["lines"]) == content
print("all vectors hold")
