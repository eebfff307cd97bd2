"""Writes the golden vectors of the orders and the draws, by a program written from src/order/order.md alone.

`python3 tests/data/order.py` compares the ChaCha8 below with published output, and writes draws.csv and the order_*.csv
next to itself, in some two minutes. With names, such as `order_blocks draws`, it writes only these files. It uses only
the standard library, and is slow because it is plain.
"""

import math
import platform
import struct
import sys
from collections import Counter
from fractions import Fraction
from itertools import accumulate, islice
from pathlib import Path

M32, M64 = 2**32 - 1, 2**64 - 1


# Words ---------------------------------------------------------------------------------------------------------------


def quarter_round(s, a, b, c, d):
    for x, y, z, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & M32
        mixed = s[z] ^ s[x]
        s[z] = (mixed << bits | mixed >> (32 - bits)) & M32


def chacha8(key, nonce, counter=0):
    """The 32-bit output words, an endless generator."""
    constants = struct.unpack("<4I", b"expand 32-byte k")
    while True:
        start = [*constants, *struct.unpack("<8I", key), counter & M32, counter >> 32, nonce & M32, nonce >> 32]
        s = start[:]
        for _ in range(4):
            for column in range(4):
                quarter_round(s, column, column + 4, column + 8, column + 12)
            for i in range(4):  # diagonals
                quarter_round(s, i, (i + 1) % 4 + 4, (i + 2) % 4 + 8, (i + 3) % 4 + 12)
        yield from ((x + y) & M32 for x, y in zip(s, start))
        counter += 1


def words(key, nonce):
    """The 64-bit words of one stream."""
    out = chacha8(key, nonce)
    return (low | high << 32 for low, high in zip(out, out))  # two from the same generator


def key_of(tag, seed, length, epoch):
    return tag + struct.pack("<3Q", seed, length, epoch)


def check_chacha8():
    # draft-strombergson-chacha-test-vectors, TC1 (all-zero key and IV), 256-bit key, 8 rounds: both blocks.
    published = (
        "3e00ef2f895f40d67f5bb8e81f09a5a12c840ec3ce9a7f3b181be188ef711a1e"
        "984ce172b9216f419f445367456d5619314a42a3da86b001387bfdb80e0cfe42"
        "d2aefa0deaa5c151bf0adb6c01f2a5adc0fd581259f9a2aadcf20f8fd566a26b"
        "5032ec38bbc5da98ee0c6f568b872a65a08abf251deb21bb4b56e5d8821e68aa"
    )
    assert struct.pack("<32I", *islice(chacha8(bytes(32), 0), 32)).hex() == published


# Batcher -------------------------------------------------------------------------------------------------------------


def draw(n, k, stream):
    p = math.prod(range(n - k + 1, n + 1))
    for r in stream:
        numbers = []
        for i in range(k):
            t = r * (n - i)
            numbers.append(t >> 64)
            r = t & M64
        if r >= 2**64 % p:
            return numbers


def shuffle(x, stream):
    steps = ((2**20, 2), (2**15, 3), (2**12, 4), (2**10, 5), (6, 6), (0, 1))
    n = len(x)
    while n > 1:
        k = next(k for above, k in steps if n > above)
        for i, j in enumerate(draw(n, k, stream)):
            x[n - 1 - i], x[j] = x[j], x[n - 1 - i]
        n -= k


def batcher(length, seed, epoch, tag=b"order v1"):
    return ordered(length, key_of(tag, seed, length, epoch))


def ordered(length, key):
    x = list(range(length))
    if length <= 2**20:
        shuffle(x, words(key, 0))
        return x
    b = min((length - 1).bit_length() - 17, 10)
    lanes = (word >> shift & 0xFFFF for word in words(key, 0) for shift in (0, 16, 32, 48))
    buckets = [[] for _ in range(2**b)]
    for index, lane in zip(x, lanes):
        buckets[lane // 2 ** (16 - b)].append(index)
    for k, bucket in enumerate(buckets):
        shuffle(bucket, words(key, k + 1))
    return [index for bucket in buckets for index in bucket]


# Permutation ---------------------------------------------------------------------------------------------------------


def permutation(length, seed, epoch):
    """Returns the function from position to sample."""
    a = (math.isqrt(length - 1) + 2) // 2 * 2
    b = -(-length // a)
    out = chacha8(key_of(b"permut 1", seed, length, epoch), 0)
    keys = [(next(out), next(out) | 1) for _ in range(8)]

    def f(x, key, n):
        u, v = key
        h = (x ^ u) * 2654435769 & M32
        h ^= h >> 15
        h = h * v & M32
        h ^= h >> 16
        return h * n // 2**32

    def get(i):
        while True:
            left, right = divmod(i, b)
            for round_, key in enumerate(keys):
                if round_ % 2 == 0:
                    left = (left + f(right, key, a)) % a
                else:
                    right = (right + f(left, key, b)) % b
            i = left * b + right
            if i < length:
                return i

    return get


# Draws ---------------------------------------------------------------------------------------------------------------

# The page itself is read for the coefficients.
PAGE = Path(__file__).parents[2] / "src/order/order.md"


def coefficients(name):
    column = None
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == "" and name in cells[1:]:
            column, values = cells.index(name), []
        elif column and cells[0] in "₀₁₂₃₄₅₆₇":
            numerator, _, denominator = cells[column].partition("/")
            values.append(float(numerator) / float(denominator or 1))
            if len(values) == (4 if name.endswith("32") else 8):
                return values


A, B, C, D, E, F, L = map(coefficients, "abcdefl")
LN_2, ROOT_HALF = struct.unpack(">2d", bytes.fromhex("3FE62E42FEFA39EF 3FE6A09E667F3BCD"))


def stable_hash(data):
    h = 14695981039346656037
    for b in data:
        h = (h ^ b) * 1099511628211 & M64
    return h


def polynomial(u, x):
    x2 = x * x
    x4 = x2 * x2
    return ((u[0] + u[1] * x) + (u[2] + u[3] * x) * x2) + ((u[4] + u[5] * x) + (u[6] + u[7] * x) * x2) * x4


def normal(w):
    o = (2 * w + 1) % 2**64
    if o <= 15679732462653118464:
        q = float(o) * 2.0**-65
        r = 0.180625 - q * q
        x = q * polynomial(A, r) / polynomial(B, r)
    else:
        m, exponent = math.frexp(float(2**64 - o) * 2.0**-65)
        if m < ROOT_HALF:
            m, exponent = 2 * m, exponent - 1
        k = -exponent
        s = (1 - m) / (1 + m)
        s2 = s * s
        s4 = s2 * s2
        t = polynomial(L, s2) + (1 / 17 + 1 / 19 * s2) * (s4 * s4) * (s4 * s4)
        z = math.sqrt(k * LN_2 + 2 * s * t)
        x = polynomial(C, z - 1.6) / polynomial(D, z - 1.6) if z <= 5 else polynomial(E, z - 5) / polynomial(F, z - 5)
    return -x if w >= 2**63 else x


class F32:
    """An f32. For +, −, ·, / and √ of two, rounding the f64 result once more gives the nearest f32."""

    def __init__(self, x):
        self.x = struct.unpack("f", struct.pack("f", x))[0]

    def __add__(self, other):
        return F32(self.x + other.x)

    def __sub__(self, other):
        return F32(self.x - other.x)

    def __mul__(self, other):
        return F32(self.x * other.x)

    def __truediv__(self, other):
        return F32(self.x / other.x)


def coefficients32(name):
    return [F32(c) for c in coefficients(name)]


A32, B32, C32, D32, L32 = map(coefficients32, ("a32", "b32", "c32", "d32", "l32"))
LN_2_32, ROOT_HALF_32 = map(F32, struct.unpack(">2f", bytes.fromhex("3F317218 3F3504F3")))


def polynomial32(u, x):
    return (u[0] + u[1] * x) + (u[2] + u[3] * x) * (x * x)


def normal32(w):
    i = w % 2**31
    q = (F32(i) + F32(0.5)) * F32(2.0**-32)
    if q.x <= F32(0.425).x:
        r = F32(0.180625) - q * q
        x = q * polynomial32(A32, r) / polynomial32(B32, r)
    else:
        m, exponent = math.frexp(((F32(2**31 - 1 - i) + F32(0.5)) * F32(2.0**-32)).x)
        if m < ROOT_HALF_32.x:
            m, exponent = 2 * m, exponent - 1
        k, m = F32(-exponent), F32(m)
        s = (F32(1) - m) / (F32(1) + m)
        z = F32(math.sqrt((k * LN_2_32 + F32(2) * s * polynomial32(L32, s * s)).x))
        x = polynomial32(C32, z - F32(1.6)) / polynomial32(D32, z - F32(1.6))
    return -x.x if w >= 2**31 else x.x


def draws(seed, purpose, counters, position=0):
    """The 32-bit output words from `position` on."""
    key = key_of(b"draws  1", seed, stable_hash(purpose.encode()), counters[0])
    return islice(chacha8(key, counters[1], position // 16), position % 16, None)


def word(out):
    return next(out) | next(out) << 32


# Each draw from the 32-bit output words, as an integer with its bits.
DRAWS = {
    "word": lambda out, _: word(out),
    "below": lambda out, n: draw(n, 1, iter(lambda: word(out), None))[0],
    "uniform32": lambda out, _: bits("f", (next(out) >> 8) * 2.0**-24),
    "uniform64": lambda out, _: bits("d", (word(out) >> 11) * 2.0**-53),
    "normal32": lambda out, _: bits("f", normal32(next(out))),
    "normal64": lambda out, _: bits("d", normal(word(out))),
    "coin": lambda out, p: int((word(out) >> 11) * 2.0**-53 < p),
}


def bits(kind, x):
    return int.from_bytes(struct.pack(">" + kind, x), "big")


# Weighted ------------------------------------------------------------------------------------------------------------


def integers(weights):
    # Fractions are exact, so this follows the page's definition and not its integer arithmetic.
    exact = [Fraction(w) for w in weights]
    greatest = max(exact)
    u = next(u for u in range(-1000, 1200) if greatest * Fraction(2) ** u >= 2**93)
    assert greatest * Fraction(2) ** u < 2**94
    s = [math.floor(w * Fraction(2) ** u) for w in exact]
    assert 94 <= sum(s).bit_length() <= 126
    d = sum(s).bit_length() - 64
    t = sum(s) // 2**d
    q = [2**63 * (s_i // 2**d) // t for s_i in s]
    r = 2**63 - sum(q)
    above_zero = [i for i, w in enumerate(weights) if w > 0]
    for given in range(r):
        q[above_zero[given % len(above_zero)]] += 1
    total = sum(exact)
    assert sum(q) == 2**63
    assert all(abs(Fraction(q_i, 2**63) - w / total) < Fraction(1, 2**60) for q_i, w in zip(q, exact))
    return q


def table(q):
    """Returns b, c and a."""
    b = max(1, (len(q) - 1).bit_length())
    q = q + [0] * (2**b - len(q))
    full = 2 ** (63 - b)
    c, a = [None] * 2**b, [None] * 2**b
    heavy = iter([i for i in range(2**b) if q[i] > full])
    g = next(heavy, None)
    r = q[g] if g is not None else None
    for i in range(2**b):
        if q[i] > full:
            continue
        c[i], a[i] = q[i], g
        if g is None:
            assert c[i] == full
            continue
        r -= full - q[i]
        while g is not None and r <= full:
            c[g], a[g] = r, next(heavy, None)
            if a[g] is None:
                assert r == full
            else:
                r = q[a[g]] - (full - r)
            g = a[g]
    # What a sample keeps and what others give it add up to its integer.
    shares = [c_i for c_i in c]
    for c_i, a_i in zip(c, a):
        if c_i < full:
            shares[a_i] += full - c_i
    assert shares == q
    return b, c, a


def weighted(weights, seed, epoch, places):
    b, c, a = table(integers(weights))
    out = []
    for p in places:
        stream = chacha8(key_of(b"weight 1", seed, len(weights), epoch), 0, 2 * p // 16)
        w = word(islice(stream, 2 * p % 16, None))
        i, f = w >> 64 - b, w % 2 ** (64 - b)
        out.append(i if f < 2 * c[i] else a[i])
    return out


# Mixture -------------------------------------------------------------------------------------------------------------


def period(shares):
    length = sum(shares)
    had, out = [0] * len(shares), []
    for t in range(length):
        ready = [j for j, w in enumerate(shares) if had[j] < w and had[j] * length // w <= t]
        j = min(ready, key=lambda j: (-(-(had[j] + 1) * length // shares[j]), j))
        out.append(j)
        had[j] += 1
    return out


def mixture(sources, blends, n, numbers):
    """Returns the source and the sample at each place number. A source is (length, function from epoch to list), and a
    blend is (its first place number, shares)."""
    had, out, orders = [0] * len(sources), {}, {}
    periods = []
    for start, shares in blends:
        divisor = math.gcd(*shares)
        periods.append((start, period([share // divisor for share in shares])))
    for number in range(max(numbers) + 1):
        start, cycle = [blend for blend in periods if blend[0] <= number][-1]
        j = cycle[(number - start) % len(cycle)]
        length, order = sources[j]
        if number in numbers:
            key = j, had[j] // length
            if key not in orders:
                orders[key] = order(had[j] // length)
            out[number] = j, orders[key][had[j] % length]
        had[j] += 1
    return [out[number] for number in numbers]


def blocks(length, c, k, lanes, seed, epoch, windows=None):
    """Yields for each window the samples of each lane, and all samples in the order in which the lanes take turns."""
    n = -(-length // c)
    w = -(-n // k)
    key = key_of(b"blocks 1", seed, n, epoch)
    (q,) = draw(n, 1, words(key, 1))
    if n - 1 < 2**16:
        others = ordered(n - 1, key).__getitem__
    else:
        others = permutation(n - 1, next(words(key_of(b"blocks 1", seed, n, 0), 2)), epoch)
    at = lambda place: n - 1 if place == q else others(place - (place > q))
    part = lambda i, parts, t: range(i * t // parts, (i + 1) * t // parts)
    for j in windows or range(w):
        places = part(j, w, n)
        given = []
        for l in range(lanes):
            numbers = [at(places[i]) for i in part(l, lanes, len(places))]
            numbers.sort(key=lambda number: number == n - 1)  # stable
            m = sum(min(length, (number + 1) * c) - number * c for number in numbers)
            x = ordered(m, key_of(b"window 1", seed, j * lanes + l, epoch))
            given.append([numbers[i // c] * c + i % c for i in x])
        most = max(map(len, given))
        turns = [iter(lane) for lane in given]
        due = lambda t, lane: (t + 1) * len(lane) // most > t * len(lane) // most
        yield given, [next(turn) for t in range(most) for turn, lane in zip(turns, given) if due(t, lane)]


def classes(labels, seed):
    lists = {}
    for i, label in enumerate(labels):
        lists.setdefault(label, []).append(i)
    sources = []
    for j, label in enumerate(sorted(lists)):
        y = lists[label]
        own = next(words(key_of(b"classes1", seed, j, 0), 0))
        sources.append((len(y), lambda epoch, y=y, own=own: [y[x] for x in batcher(len(y), own, epoch)]))
    return sources


def settings_hash(sources):
    """The hash of the sources' settings, which are lists of (name, value)."""
    data = b""
    for settings in sources:
        data += struct.pack("<Q", len(settings))
        for name, value in settings:
            data += struct.pack("<Q", len(name)) + name.encode() + struct.pack("<Q", value)
    return stable_hash(data)


# Golden vectors ------------------------------------------------------------------------------------------------------


def digest(indices):
    """FNV-1a of 64 bits over each index as 8 little-endian bytes."""
    h = 0xCBF29CE484222325
    for index in indices:
        for byte in index.to_bytes(8, "little"):
            h = (h ^ byte) * 0x100000001B3 & M64
    return f"{h:016x}"


def units(shares):
    """The u of shares, or of counts, which are integers already."""
    return [max(math.floor(Fraction(share) * 2**62), 1) if isinstance(share, float) else share for share in shares]


def sure(u, n):
    """The number of samples, of n, that each part gets for sure."""
    return [(uj * n + sum(u) // 2**20) // sum(u) for uj in u]


def parts(shares, class_of, length, seed):
    """The part of each sample. `class_of` returns its class, which may be anything hashable."""
    u = units(shares)
    x = batcher(length, seed, 0, b"split v1")
    classes = {}  # in the order in which their first samples come
    for sample in x:
        classes.setdefault(class_of(sample), []).append(sample)
    given, seen = [0] * len(u), 0
    part = [None] * length
    for y in classes.values():
        seen += len(y)
        m = sure(u, len(y))
        assert len(classes) == 1 or min(m) > 0, "a class that is rejected"
        lacks = [uj * seen - sum(u) * (g + mj) for uj, g, mj in zip(u, given, m)]
        for j in sorted(range(len(u)), key=lambda j: (-lacks[j], j))[: len(y) - sum(m)]:
            m[j] += 1
        dealt = [j for j, mj in enumerate(m) for _ in range(mj)]
        for sample, j in zip(y, dealt, strict=True):
            part[sample] = j
        given = [g + mj for g, mj in zip(given, m)]
    return part


def parts_in_order(shares, length, gap):
    u = units(shares)
    n = length - gap * (len(u) - 1)
    m = sure(u, n)
    lacks = [uj * n - sum(u) * mj for uj, mj in zip(u, m)]
    for j in sorted(range(len(u)), key=lambda j: (-lacks[j], j))[: n - sum(m)]:
        m[j] += 1
    part = []
    for j, mj in enumerate(m):
        part += [None] * (gap if j else 0) + [j] * mj
    return part


def parts_again(shares, length, seed):
    """Part 0 of a plain split, split again by the next seed."""
    z = [i for i, j in enumerate(parts(shares, WHOLE, length, seed)) if j == 0]
    part = [None] * length
    for i, j in enumerate(parts(shares, WHOLE, len(z), (seed + 1) % 2**64)):
        part[z[i]] = j
    return part


def parts_by_group(shares, class_of, group_of, length, seed):
    u = units(shares)
    groups = {}  # in the order in which their first samples stand in x
    for sample in batcher(length, seed, 0, b"split v1"):
        groups.setdefault(group_of(sample), []).append(sample)
    assert len(groups) >= len(u)
    total = Counter(map(class_of, range(length)))
    g = [Counter() for _ in u]
    part = [None] * length
    queue = sorted(groups.values(), key=len, reverse=True)  # stable
    for done, group in enumerate(queue):
        q = Counter(map(class_of, group))
        e = [sum(2**32 * q[c] * gj[c] // total[c] for c in q) for gj in g]
        without = [j for j, gj in enumerate(g) if not gj]
        choice = without if len(queue) - done <= len(without) else range(len(u))
        best = max(choice, key=lambda j: (2**32 * u[j] * len(group) - sum(u) * e[j], -j))
        g[best] += q
        for sample in group:
            part[sample] = best
    return part


def parts_by_key(shares, keys, seed):
    u = units(shares)
    begins = list(accumulate(u))[:-1]
    value = lambda key: next(words(key_of(b"keys  v1", seed, key, 0), 0)) * sum(u) // 2**64
    return [sum(begin <= v for begin in begins) for v in map(value, keys)]


SEEDS = (0, 1, 42, 2**64 - 1)
EPOCHS = (0, 1, 7, 2**64 - 1)
CROSS = [(seed, epoch) for seed in SEEDS for epoch in EPOCHS]
FEW = [(0, 0), (1, 7), (42, 1), (2**64 - 1, 2**64 - 1)]


def batcher_rows():
    around = lambda *powers: [2**k + d for k in powers for d in (-1, 0, 1)]
    whole = [*range(1, 18), *around(5)]
    digested = [*around(6, 7, 8, 9, 10), 1000, *around(12, 15, 16, 18, 20), 10**6 + 3, *around(21), 3_000_017]
    for length in whole + digested:
        # Few seeds for the long ones, since the Rust test goes through all of them in a debug build.
        for seed, epoch in CROSS if length <= 33 else FEW if length <= 2**16 + 1 else [(42, 1)]:
            x = batcher(length, seed, epoch)
            assert sorted(x) == list(range(length))
            yield length, seed, epoch, digest(x), " ".join(map(str, x if length in whole else x[:8] + x[-8:]))


def permutation_rows():
    lengths = [2**16, 2**16 + 1, 100_000, 2**20 - 1, 2**20 + 1, 10**6 + 3, 10**9 + 7, 10**12, 2**48, 2**62]
    for length in lengths:
        for seed, epoch in FEW:
            get = permutation(length, seed, epoch)
            positions = [*range(8), length // 2, *range(length - 4, length)]
            yield length, seed, epoch, digest(map(get, range(5000))), " ".join(str(get(i)) for i in positions)


def draws_streams():
    streams = [
        (0, "", (0, 0)),
        (42, "weights", (0, 0)),
        (42, "weights", (1, 0)),
        (42, "weights", (0, 1)),
        (43, "weights", (0, 0)),
        (1, "Rauschen: Größe θ", (7, 2**32)),
        (2**64 - 1, "dropout", (2**64 - 1, 2**64 - 1)),
    ]
    arguments = {"below": [1, 2, 3, 10**6, 2**32 + 1, 2**63 + 1, 2**64 - 1], "coin": [0.0, 2.0**-53, 0.3, 0.5, 1.0]}
    # At the ends of blocks of 16 words and of buffers of 64 and 256, and far away.
    positions = [0, 1, 15, 62, 63, 255, 2**32 - 1, 2**36 - 3, 2**63 + 5]
    for seed, purpose, counters in streams:
        for position in positions if seed == 42 else positions[:1]:
            for kind in DRAWS:
                for argument in arguments.get(kind, [""]):
                    yield kind, argument, seed, purpose, counters, position, 12
    # Around the first two draws of this stream that are more than 6.6 standard deviations from 0.
    for kind in ("normal64", "word"):
        for place in FAR:
            yield kind, "", 42, "tails", (0, 0), 2 * place - 10, 12


# Found by a search through the stream.
FAR = (1207513883, 34157073052)

# The words at the ends of the ranges (the least magnitude, the ends of the centre and of the middle, the largest), two
# for which the last term of the logarithm counts, and one whose probability is √½ times a power of two.
QUANTILES = [
    0x7FF4AFB0CCC06219,
    8815720120268562943,
    9223371259465837331,
    0,
    1,
    2**62,
    7839866231326559231,
    7839866231326559232,
    2**63 - 1 - 2**12,
    2**63 - 128100000,
    2**63 - 128050000,
    2**63 - 1,
]
# The least magnitude, the last integer i for which i + 1/2 is an f32 and the next, the ends of the centre, the largest,
# and one whose probability is √½ times a power of two.
QUANTILES_32 = [0, 1, 2**23 - 1, 2**23, 2**30, 0x6CCCCD40, 0x6CCCCD41, 2**31 - 2**23, 2**31 - 2, 2**31 - 1, 0x7E95F619]


def draws_rows():
    for kind, argument, seed, purpose, counters, position, count in draws_streams():
        out = draws(seed, purpose, counters, position)
        values = " ".join(f"{DRAWS[kind](out, argument):x}" for _ in range(count))
        yield kind, argument, seed, purpose, *counters, position, values
    for w in QUANTILES:
        for w in (w, w + 2**63):
            print(f"src/order/normal64.rs: (0x{w:016X}, 0x{bits('d', normal(w)):016X}),")
    for w in QUANTILES_32:
        print(f"src/order/normal32.rs: (0x{w:08X}, 0x{bits('f', normal32(w)):08X}),")


def write(name, rows, columns, *comments):
    with open(Path(__file__).with_name(f"{name}.csv"), "w", newline="\n", encoding="utf-8") as file:
        version = f"{platform.python_implementation()} {platform.python_version()}"
        for comment in (f"Written by tests/data/order.py, {version}.", *comments):
            print(f"# {comment}", file=file)
        print(columns, file=file)
        for row in rows():
            print(*row, sep=",", file=file)


# The label of sample i, a label with many small classes, its group and its key.
LABEL = lambda i: (7 * i + i // 4) % 4
SMALL = lambda i: i * i % 97
GROUP = lambda i: i * i // 5 % 29
KEY = lambda i: i * 0x9E3779B97F4A7C15 & M64
WHOLE = lambda i: 0
f32 = lambda *shares: [struct.unpack("f", struct.pack("f", share))[0] for share in shares]
# Exact shares, rounded ones, some that lose a sample by rounding or add up to less than 1, some in f32, unequal ones.
SHARES = (
    [1.0],
    [0.5, 0.5],
    [0.8, 0.1, 0.1],
    [0.2] * 5,
    [0.3, 0.3, 0.4],
    [0.7, 0.2, 0.1],
    [0.29, 0.71],
    [0.1] * 10,
    f32(0.6, 0.2, 0.2),
    f32(*[1 / 3] * 3),
    [0.35, 0.25, 0.2, 0.15, 0.05],
)


def split_rows():
    def row(kind, length, shares, seed, part):
        part = [len(shares) if j is None else j for j in part]
        if len(set(part) - {len(shares)}) == len(shares):  # else the split is rejected
            yield kind, length, " ".join(map(repr, shares)), seed, digest(part), " ".join(map(str, part[:40]))

    for length in (40, 43, 100, 1001, 4099):
        for shares in SHARES:
            for seed in (0, 42, 2**64 - 1):
                yield from row("plain", length, shares, seed, parts(shares, WHOLE, length, seed))
                if length >= 100:
                    yield from row("stratified", length, shares, seed, parts(shares, LABEL, length, seed))
                if length == 4099:
                    yield from row("small", length, shares, seed, parts(shares, SMALL, length, seed))
                yield from row("group", length, shares, seed, parts_by_group(shares, WHOLE, GROUP, length, seed))
                part = parts_by_group(shares, LABEL, GROUP, length, seed)
                yield from row("stratified group", length, shares, seed, part)
                yield from row("key", length, shares, seed, parts_by_key(shares, map(KEY, range(length)), seed))
                yield from row("again", length, shares, seed, parts_again(shares, length, seed))
            for gap in (0, 1, 5):
                if length >= (len(shares) - 1) * gap + len(shares):
                    yield from row("in order", length, shares, gap, parts_in_order(shares, length, gap))
    for counts in [40], [39, 1], [1] * 40, [800, 100, 101], [1, 4097, 1], [2**20 + 5 - 7, 7]:
        for seed in (0, 42, 2**64 - 1):
            yield from row("counts", sum(counts), counts, seed, parts(counts, WHOLE, sum(counts), seed))
    length, shares = 2**20 + 5, [0.8, 0.1, 0.1]
    yield from row("plain", length, shares, 42, parts(shares, WHOLE, length, 42))
    yield from row("small", length, shares, 42, parts(shares, SMALL, length, 42))


# The weight of sample i in the golden rows, by name.
WEIGHTS = {
    "ones": lambda i: 1.0,
    "thirds": lambda i: 0.1 + i % 3,
    "squares": lambda i: float(i * i % 97),  # zeros among them
    "wide": lambda i: 2.0 ** (i * 37 % 2046 - 1022),
    "subnormal": lambda i: (i + 1) * 5e-324,
    "one": lambda i: 3.5 if i == 2 else 0.0,
}


def weighted_rows():
    for name, weight in WEIGHTS.items():
        for n in (1, 2, 3, 4, 5, 31, 32, 33, 256, 257, 1000):
            if name == "one" and n < 3 or name == "squares" and n < 2:
                continue
            weights = [weight(i) for i in range(n)]
            seed, epoch = FEW[n % 4]
            hash_ = stable_hash(struct.pack(f"<{n}d", *weights))
            samples = weighted(weights, seed, epoch, [*range(16), 2**31 - 2, 2**31 - 1])
            yield name, n, seed, epoch, f"{hash_:016x}", " ".join(map(str, samples))
    for name, n in (("thirds", 5), ("squares", 6), ("wide", 5), ("subnormal", 3)):
        q = integers([WEIGHTS[name](i) for i in range(n)])
        print(f"src/order/weighted.rs: {name} of {n}: {q}")


def mixture_rows():
    shuffled = lambda length, seed: (length, lambda epoch: batcher(length, seed, epoch))
    changes = [(0, [1, 3]), (3 * 12, [2, 1]), (5 * 12, [30, 50])]
    sets = [shuffled(5, 1), shuffled(40, 2)]
    settings = [[("shuffle", 1), ("len", 5), ("seed", 1)], [("shuffle", 1), ("len", 40), ("seed", 2)]]
    numbers = range(8 * 12)
    samples = [sample * 2 + j for j, sample in mixture(sets, changes, 12, numbers)]
    blends = [(0, [1, 3]), (36, [2, 1]), (60, [3, 5])]
    data = b"".join(start.to_bytes(16, "little") + struct.pack("<2Q", *shares) for start, shares in blends)
    print(f"tests/all/mixture.rs: hash of the sources 0x{settings_hash(settings):016X}")
    print(f"tests/all/mixture.rs: hash of the shares 0x{stable_hash(data):016X}")
    yield "sets", 12, digest(samples), " ".join(map(str, samples[:40]))
    for length, label in ((40, LABEL), (1001, SMALL)):
        labels = [label(i) for i in range(length)]
        for seed in (0, 42, 2**64 - 1):
            sources = classes(labels, seed)
            shares = [size for size, _ in sources]
            samples = [sample for _, sample in mixture(sources, [(0, shares)], length, range(2 * length))]
            assert sorted(samples) == sorted(2 * list(range(length)))
            yield f"stratified {seed}", length, digest(samples), " ".join(map(str, samples[:40]))
            samples = [sample for _, sample in mixture(sources, [(0, [1] * len(shares))], 300, range(600))]
            yield f"balanced {seed}", length, digest(samples), " ".join(map(str, samples[:40]))
    pairs = [1, 1], [1, 3], [3, 1]
    for shares in ([1], [7], *pairs, [2, 3, 5], [5, 5, 5], [1, 2, 4, 8, 16], [97, 1, 1, 1], [1, 1, 97, 1], [6, 10, 15]):
        divisor = math.gcd(*shares)
        cycle = period([share // divisor for share in shares])
        yield "period " + " ".join(map(str, shares)), len(cycle), digest(cycle), " ".join(map(str, cycle[:40]))


def blocks_rows():
    for length, c, k in ((1, 1, 1), (2, 1, 1), (5, 2, 2), (7, 7, 1), (40, 4, 3), (40, 1, 40), (43, 4, 3), (43, 20, 2),
                         (100, 7, 15), (1001, 10, 33), (65_537, 1, 500), (70_000, 1, 1000), (300_000, 3, 5000)):
        for lanes in (1, 2, 3, 5):
            n = -(-length // c)
            if lanes > n // -(-n // k):
                continue
            for seed, epoch in FEW if length < 1000 else FEW[2:]:
                samples = [sample for _, window in blocks(length, c, k, lanes, seed, epoch) for sample in window]
                assert sorted(samples) == list(range(length))
                yield length, c, k, lanes, seed, epoch, 0, digest(samples), " ".join(map(str, samples[:40]))
    # Windows of a trillion samples and of 2^62. The last has more samples than one shuffle takes.
    long = (10**12, 1000, 50, 4, 1234), (2**62, 2**10, 2, 2, 2**50), (2**62 - 1, 2**20 + 3, 1, 1, 7)
    for length, c, k, lanes, window in long:
        for _, samples in blocks(length, c, k, lanes, 42, 1, [window]):
            yield length, c, k, lanes, 42, 1, window, digest(samples), " ".join(map(str, samples[:40]))


# For each file its rows, their columns, and what these mean.
FILES = {
    "order_batcher": (
        batcher_rows,
        "len,seed,epoch,digest,values",
        "digest: FNV-1a of the whole order. values: the whole order up to len 33, else its first 8 and last 8.",
    ),
    "order_permutation": (
        permutation_rows,
        "len,seed,epoch,digest,values",
        "digest: FNV-1a of positions 0..5000. values: at positions 0..8, len / 2, and the last 4.",
    ),
    "order_weighted": (
        weighted_rows,
        "weights,number,seed,epoch,hash,samples",
        "hash: of the weights. samples: at places 0..16, 2^31 - 2 and 2^31 - 1.",
    ),
    "order_mixture": (
        mixture_rows,
        "what,len,digest,values",
        "digest: FNV-1a of all samples, or of the sources of a period. values: the first 40.",
    ),
    "order_blocks": (
        blocks_rows,
        "len,block_len,blocks_per_window,lanes,seed,epoch,window,digest,values",
        "digest: FNV-1a of the samples of an epoch, or of one window of a long one. values: the first 40.",
    ),
    "order_split": (
        split_rows,
        "kind,len,shares,seed,digest,values",
        "digest: FNV-1a of the parts of all samples. values: those of the first 40.",
        "label of sample i: (7 i + i / 4) mod 4, small: i^2 mod 97. group: i^2 / 5 mod 29. "
        "key: i * 0x9E3779B97F4A7C15 mod 2^64.",
        "in order: the seed is the gap; again: part 0 of a plain split, by seed + 1. The part of no part is k.",
    ),
    "draws": (
        draws_rows,
        "draw,argument,seed,purpose,counter0,counter1,position,values",
        "position: the 32-bit output word at which the first of the draws begins. values: bits, in hexadecimal.",
    ),
}

if __name__ == "__main__":
    check_chacha8()
    for name in sys.argv[1:] or FILES:
        write(name, *FILES[name])
    if not sys.argv[1:]:
        print("tests/all/subset.rs, the hash of the samples:", digest([92, 3, 14, 3, 65]))
        bucket = list(range(2**20 + 5))
        shuffle(bucket, words(key_of(b"order v1", 42, 7, 3), 1))
        print("src/order/shuffle.rs, a bucket of 2^20 + 5 under seed 42, len 7, epoch 3, stream 1:", digest(bucket))
