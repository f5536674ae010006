"""Second reading of docs/wire.md: checks the vectors with nothing of noroshi.

Needs Python 3.11 and `cryptography` 48 (Ed25519, ML-KEM, X25519); HPKE is built of them.
Compressed contents are left to the Go tests. Run: python3 check.py
"""
import hashlib, hmac, json, pathlib, re
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, mlkem, x25519
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


def extract(suite, label, ikm, salt=b""):
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")


def expand(suite, prk, label, info, n):
    return HKDFExpand(hashes.SHA256(), n, n.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info).derive(prk)


def unseal(seed, e, info):
    """HPKE base mode (RFC 9180 5.1.1), KEM 0x647a, KDF 1, AEAD 2; e is an S1 envelope."""
    wide = hashlib.shake_256(seed).digest(96)
    x = x25519.X25519PrivateKey.from_private_bytes(wide[64:])
    ct_m, ct_x = e[25:25 + 1088], e[25 + 1088:25 + 1120]
    ss_m = mlkem.MLKEM768PrivateKey.from_seed_bytes(wide[:64]).decapsulate(ct_m)
    ss_x = x.exchange(x25519.X25519PublicKey.from_public_bytes(ct_x))
    shared = hashlib.sha3_256(ss_m + ss_x + ct_x + x.public_key().public_bytes_raw() + b"\\.//^\\").digest()
    suite = b"HPKE" + bytes.fromhex("647a00010002")
    context = b"\0" + extract(suite, b"psk_id_hash", b"") + extract(suite, b"info_hash", info)
    secret = extract(suite, b"secret", b"", shared)
    key = expand(suite, secret, b"key", context, 32)
    nonce = expand(suite, secret, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, e[25 + 1120:], e[:9])


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


bodies = {2: check_recall, 3: check_recall_done}
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
assert seen == set(range(1, 8))
for v in load("statements.json"):
    signed, body = read(H(v["encoded"]))
    assert check_signed(signed, 2) == H(v["sig_structure"]) and sha(body) == signed[3] and body == H(v["body"])
    read(body)
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
print("all vectors hold")
