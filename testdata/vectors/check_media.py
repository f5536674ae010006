"""Second reading of docs/wire.md, Media and Paper receipts, with nothing of noroshi.

Needs Python 3.11 alone. Run: python3 check_media.py
"""
import base64, hashlib, hmac, json, pathlib

v = json.loads((pathlib.Path(__file__).parent / "media.json").read_text())
H = bytes.fromhex
sha = lambda b: hashlib.sha256(b).digest()

# GF(2^8), x^8+x^4+x^3+x^2+1
EXP, LOG, x = [0] * 510, [0] * 256, 1
for i in range(255):
    EXP[i] = EXP[i + 255] = x
    LOG[x] = i
    x = x << 1 ^ (0x11d if x & 0x80 else 0)
mul = lambda a, b: EXP[LOG[a] + LOG[b]] if a and b else 0
power = lambda a, n: 1 if n == 0 else 0 if a == 0 else EXP[LOG[a] * n % 255]


def times(a, b):
    out = []
    for row in a:
        line = [0] * len(b[0])
        for f, other in zip(row, b):
            line = [p ^ mul(f, q) for p, q in zip(line, other)]
        out.append(line)
    return out


def inverse(m):
    n = len(m)
    m = [list(r) + [int(i == j) for j in range(n)] for i, r in enumerate(m)]
    for c in range(n):
        p = next(r for r in range(c, n) if m[r][c])
        m[c], m[p] = m[p], m[c]
        d = EXP[255 - LOG[m[c][c]]]
        m[c] = [mul(d, q) for q in m[c]]
        for r in range(n):
            if r != c and m[r][c]:
                f = m[r][c]
                m[r] = [p ^ mul(f, q) for p, q in zip(m[r], m[c])]
    return [r[n:] for r in m]


stream = b"".join(len(H(e)).to_bytes(4, "big") + H(e) for e in v["envelopes"])
part = sha(stream)[:16]
assert part == H(v["part"])
blocks = {}
for encoded, name in zip(map(H, v["blocks"]), v["names"], strict=True):
    u = lambda at, n: int.from_bytes(encoded[at:at + n], "big")
    assert encoded[0] == 0x21 and encoded[1:17] == part and len(encoded) % 64 == 0
    set_, sets, index, data, parity, size, length = u(17, 2), u(19, 2), u(21, 1), u(22, 1), u(23, 1), u(24, 4), u(28, 4)
    shard = encoded[48:]
    assert len(shard) == length and size == len(stream)
    n = -(-size // length)
    assert sets == -(-n // 128) == 1 and data == -(-n // sets) and parity == (max(4, data) if data <= 16 else -(-data // 2))
    assert encoded[32:48] == sha(encoded[:32] + shard)[:16] and name == sha(encoded)[:16].hex() + ".nx"
    blocks[index] = shard
assert len(blocks) == data + parity > 2 * data
square = [[power(r, c) for c in range(data)] for r in range(data + parity)]
matrix = times(square, inverse(square[:data]))
for kept in (range(data), range(parity, data + parity), [0, *range(data + 1, 2 * data)]):
    back = times(inverse([matrix[i] for i in kept]), [list(blocks[i]) for i in kept])
    assert b"".join(map(bytes, back))[:size] == stream, "parity does not give it back"
code = sha(b"NX/1 medium" + part)
assert v["code"] == " ".join("%05d" % (int.from_bytes(code[8 * i:8 * i + 8], "big") % 100000) for i in range(4))
assert base64.b32decode(v["frame"] + "=" * (-len(v["frame"]) % 8)) == H(v["blocks"][0])

DAMM = ["0317598642", "7092154863", "4206871359", "1750983426", "6123045978", "3674209581", "5869720134", "8945362017", "9438617205", "2581436790"]


def head(major, n):
    return bytes([major << 5 | n]) if n < 24 else bytes([major << 5 | 24, n])


def enc(*items):
    out = head(4, len(items))
    for i in items:
        b = i.encode() if isinstance(i, str) else i
        out += head(3 if isinstance(i, str) else 2, len(b)) + b
    return out


for p in v["paper"]:
    numbers, end = [p["counter"], p["cum"] + 1], p["cum"]
    for r in p["ranges"]:
        numbers += [r["A"] - end - 1, r["B"] - r["A"] + 1]
        end = r["B"]
    report = ("1" if p["applied"] else "2") + "".join(f"{len(str(n))}{n}" for n in numbers)
    report += "0" * (-len(report) % 4)
    assert report == p["report"] and len(report) <= 40
    info = enc("NX/1 voice", b"", H(p["from"]), H(p["to"]))
    key = hmac.digest(H(p["gate_secret"]), info + b"\x01", "sha256")
    check = int.from_bytes(hmac.digest(key, enc(H(p["epoch"]), report), "sha256")[:8], "big") % 10**10
    assert check == p["check"]
    groups = []
    for i in range(0, len(report), 4):
        c = i // 4 % 10
        for d in report[i:i + 4]:
            c = int(DAMM[c][int(d)])
        groups.append(f"{report[i:i + 4]}{c}")
    assert " ".join([*groups, "%05d" % (check // 100000), "%05d" % (check % 100000)]) == p["groups"]
print("all vectors of media hold")
