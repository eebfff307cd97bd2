"""How numbers are written in a text: spelling.csv, from the definition in src/saved/exact.rs.

`python3 tests/data/spelling.py [directory]` writes next to itself unless told where. A float has as few digits as read back as
the same number (`struct` rounds to f32), and a half is written as the f32 of the same value.
"""

import math
import struct
import sys
from pathlib import Path

DIRECTORY = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
FORMATS = {"f64": "<d", "f32": "<f", "f16": "<e"}


def value(kind, bits):
    if kind == "bf16":
        return value("f32", bits << 16)
    form = FORMATS[kind]
    return struct.unpack(form, bits.to_bytes(struct.calcsize(form), "little"))[0]


def spelled(kind, bits):
    if kind == "u64":
        return str(bits)
    number = value(kind, bits)
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "inf" if number > 0 else "-inf"
    form = "<d" if kind == "f64" else "<f"
    for digits in range(17):
        text = f"{number:.{digits}e}"
        try:
            read = struct.unpack(form, struct.pack(form, float(text)))[0]
        except OverflowError:
            continue
        if read == number:
            digits, exponent = text.split("e")
            return f"{digits}e{int(exponent)}"


F64S = [0.0, -0.0, 1.0, -1500.0, 0.1, 1 / 3, 1e23, 9_007_199_254_740_993e3, 5e-324, 2.225073858507201e-308]
F64S += [sys.float_info.min, -sys.float_info.max]
# Half-way between two of 17 digits, which both read back: the even one.
F64S += [1_500_000_000_000_000.25, 1_500_000_000_000_000.75]
# Powers of two: 5.960464477539063e-8 and 5.684341886080802e-14 read back too, but are not the nearest.
F64S += [2.0**-24, 2.0**-44, math.inf, -math.inf]
F32S = [0.1, 1e-45, 1.1754942e-38, 1.1754944e-38, 3.4028234663852886e38, 3_000_000.25, 3_000_000.75, 2.0**-96, 2.0**90, -math.inf]

rows = [("f64", *struct.unpack("<Q", struct.pack("<d", number))) for number in F64S]
rows += [("f64", 0x7FF8000000000000), ("f64", 0xFFF8000000000000)]
rows += [("f32", *struct.unpack("<I", struct.pack("<f", number))) for number in F32S]
rows += [("f32", 0x7FC00000)]
# A tenth, the largest and the smallest number, and what is none.
rows += [("bf16", bits) for bits in (0x3DCD, 0x7F7F, 0x0001, 0x8000)]
rows += [("f16", bits) for bits in (0x2E66, 0x7BFF, 0x0001, 0xFC00, 0x7E00)]
rows += [("u64", number) for number in (0, 2**53, 2**64 - 1)]
lines = ["# Written by tests/data/spelling.py.", "type,bits,text"]
lines += [f"{kind},{bits:x},{spelled(kind, bits)}" for kind, bits in rows]
(DIRECTORY / "spelling.csv").write_text("\n".join(lines) + "\n")
