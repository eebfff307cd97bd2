"""The order, version 1, written from the words of src/order/order.md alone, and the golden vectors it gives.

`python3 tests/data/order.py` checks the ChaCha8 below against published output and writes order_batcher.csv,
order_permutation.csv and order_split.csv next to itself. Slow and plain on purpose: standard library only, some two minutes.
"""

import math
import platform
import struct
from itertools import accumulate, groupby, islice
from pathlib import Path

M32, M64 = 2**32 - 1, 2**64 - 1


# Words ---------------------------------------------------------------------------------------------------------------


def quarter_round(s, a, b, c, d):
    for x, y, z, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & M32
        mixed = s[z] ^ s[x]
        s[z] = (mixed << bits | mixed >> (32 - bits)) & M32


def chacha8(key, nonce):
    """The 32-bit output words, without end."""
    constants = struct.unpack("<4I", b"expand 32-byte k")
    counter = 0
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
    """The 64-bit words of one stream: `zip` takes two at a time."""
    out = chacha8(key, nonce)
    return (low | high << 32 for low, high in zip(out, out))


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
    key = key_of(tag, seed, length, epoch)
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
    """The function from position to sample."""
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


# Split ---------------------------------------------------------------------------------------------------------------


def exact(shares):
    total = 0.0
    for share in shares:  # not `sum`, which compensates from Python 3.12 on
        total += share
    return [share / total for share in shares]


def split(labels, shares, seed):
    """The part of each sample; for one class, all labels are the same."""
    shares = exact(shares)
    x = sorted(batcher(len(labels), seed, 0, b"split v1"), key=lambda sample: labels[sample])
    given, seen = [0] * len(shares), 0
    parts = [0] * len(labels)
    for _, run in groupby(x, key=lambda sample: labels[sample]):
        run = list(run)
        seen += len(run)
        counts = [math.floor(share * len(run)) for share in shares]
        lacks = [share * seen - (g + m) for share, g, m in zip(shares, given, counts)]
        for j in sorted(range(len(shares)), key=lambda j: (-lacks[j], j))[: len(run) - sum(counts)]:
            counts[j] += 1
        dealt = [j for j, count in enumerate(counts) for _ in range(count)]
        for sample, part in zip(run, dealt, strict=True):
            parts[sample] = part
        given = [g + m for g, m in zip(given, counts)]
    return parts


# Keys ----------------------------------------------------------------------------------------------------------------


def stable_hash(name):
    h = 14695981039346656037
    for byte in name:
        h = (h ^ byte) * 1099511628211 % 2**64
    return h


def by_key(keys, shares, seed):
    ends = list(accumulate(exact(shares)))[:-1]  # one sum after another
    units = (next(words(key_of(b"keys  v1", seed, key, 0), 0)) // 2**11 * 2.0**-53 for key in keys)
    return [sum(end <= unit for end in ends) for unit in units]


# Golden vectors ------------------------------------------------------------------------------------------------------


def digest(indices):
    """FNV-1a of 64 bits over each index as 8 little-endian bytes."""
    h = 0xCBF29CE484222325
    for index in indices:
        for byte in index.to_bytes(8, "little"):
            h = (h ^ byte) * 0x100000001B3 & M64
    return f"{h:016x}"


SEEDS = (0, 1, 42, 2**64 - 1)
EPOCHS = (0, 1, 7, 2**64 - 1)
CROSS = [(seed, epoch) for seed in SEEDS for epoch in EPOCHS]
FEW = [(0, 0), (1, 7), (42, 1), (2**64 - 1, 2**64 - 1)]


def batcher_rows():
    around = lambda *powers: [2**k + d for k in powers for d in (-1, 0, 1)]
    whole = [*range(1, 18), *around(5)]
    digested = [*around(6, 7, 8, 9, 10), 1000, *around(12, 15, 16, 18, 20), 10**6 + 3, *around(21), 3_000_017]
    for length in whole + digested:
        # The fewer, the longer: the debug build of the Rust test goes through them all.
        for seed, epoch in CROSS if length <= 33 else FEW if length <= 2**16 + 1 else [(42, 1)]:
            x = batcher(length, seed, epoch)
            assert sorted(x) == list(range(length))
            yield length, seed, epoch, digest(x), x if length in whole else x[:8] + x[-8:]


def permutation_rows():
    lengths = [2**16, 2**16 + 1, 100_000, 2**20 - 1, 2**20 + 1, 10**6 + 3, 10**9 + 7, 10**12, 2**48, 2**62]
    for length in lengths:
        for seed, epoch in FEW:
            get = permutation(length, seed, epoch)
            positions = [*range(8), length // 2, *range(length - 4, length)]
            yield length, seed, epoch, digest(map(get, range(5000))), map(get, positions)


# Shares that are exact, that are not, that round down to one sample less, unequal and small ones.
SHARES = ([1.0], [0.5, 0.5], [0.2] * 5, [0.1] * 10, [0.8, 0.1, 0.1], [0.29, 0.71], [0.7, 0.299, 0.001], [1 / 3] * 3, [0.1, 0.2, 0.7])


def split_rows():
    """Kind, len, seed, shares, digest, parts. Sample i has the label i * i mod 3 or mod 7, or the key i or of a name."""
    kinds = {
        "plain": lambda n: [0] * n,
        "squares mod 3": lambda n: [i * i % 3 for i in range(n)],
        "squares mod 7": lambda n: [i * i % 7 for i in range(n)],
    }
    for length in [10, 11, 33, 100, 1000, 4099]:
        for kind, labels in kinds.items():
            for k, shares in enumerate(SHARES):
                classes = [labels(length).count(label) for label in set(labels(length))]
                if min(classes) >= len(shares):
                    seed = SEEDS[(k + length) % 4]
                    yield kind, length, seed, shares, split(labels(length), shares, seed)
    for shares in SHARES[3:5]:
        yield "plain", 2**20 + 5, 42, shares, split([0] * (2**20 + 5), shares, 42)
    for kind, key in (("key i", lambda i: i), ("key of sample-i", lambda i: stable_hash(b"sample-%d" % i))):
        for seed in SEEDS:
            for shares in SHARES:
                yield kind, 200, seed, shares, by_key(map(key, range(200)), shares, seed)
    big = [2**64 - 1 - i for i in range(200)]
    yield "key 2^64 - 1 - i", 200, 2**64 - 1, SHARES[4], by_key(big, SHARES[4], 2**64 - 1)


def write_splits():
    with open(Path(__file__).with_name("order_split.csv"), "w", newline="\n") as file:
        print(f"# Written by tests/data/order.py, {platform.python_implementation()} {platform.python_version()}.", file=file)
        print("# digest: FNV-1a of the part of each sample. parts: of the first 33 samples.", file=file)
        print("kind,len,seed,shares,digest,parts", file=file)
        for kind, length, seed, shares, parts in split_rows():
            shares, first = " ".join(map(repr, shares)), " ".join(map(str, parts[:33]))
            print(kind, length, seed, shares, digest(parts), first, sep=",", file=file)


def write(name, rows, comment):
    with open(Path(__file__).with_name(name), "w", newline="\n") as file:
        print(f"# Written by tests/data/order.py, {platform.python_implementation()} {platform.python_version()}.", file=file)
        print(f"# {comment}", file=file)
        print("len,seed,epoch,digest,values", file=file)
        for length, seed, epoch, digest_, values in rows:
            print(length, seed, epoch, digest_, " ".join(map(str, values)), sep=",", file=file)


if __name__ == "__main__":
    check_chacha8()
    write(
        "order_batcher.csv",
        batcher_rows(),
        "digest: FNV-1a of the whole order. values: the whole order up to len 33, else its first 8 and last 8.",
    )
    write(
        "order_permutation.csv",
        permutation_rows(),
        "digest: FNV-1a of positions 0..5000. values: at positions 0..8, len / 2, and the last 4.",
    )
    write_splits()
    bucket = list(range(2**20 + 5))
    shuffle(bucket, words(key_of(b"order v1", 42, 7, 3), 1))
    print("src/order/shuffle.rs, a bucket of 2^20 + 5 under seed 42, len 7, epoch 3, stream 1:", digest(bucket))
