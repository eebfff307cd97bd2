"""Compares normal numbers with their quantiles, computed to 60 digits. `pip install mpmath`, then
`python3 tests/proofs/normal.py`, which takes half a minute.

The numbers are those of tests/data/order.py; the golden vectors compare their bits with the crate's. A test in
src/order/normal32.rs compares all numbers of 32 bits.
"""

import random
import sys
from pathlib import Path

from mpmath import erfc, exp, mp, mpf, pi, sqrt

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
from order import normal, normal32  # noqa: E402

mp.dps = 60


def error(x, outside):
    """The relative error of x as the number that is exceeded with probability `outside`.

    It is Newton's step from x, up to a term of second order.
    """
    x = mpf(x)
    return abs((erfc(x / sqrt(2)) / 2 - outside) / (exp(-x * x / 2) / sqrt(2 * pi)) / x)


def furthest(bits, number, step, points, bound):
    """Tries `points` magnitudes of `bits` bits: all ends, and a third each uniform, near 0 and in the tail."""
    half = 2 ** (bits - 1)
    rng = random.Random(42)
    words = {0, 1, half - 1, half - 2}
    for end in ENDS[bits]:
        words |= set(range(end - 50, end + 50))
    while len(words) < points:
        some = rng.randrange(half) >> rng.randrange(bits - 1) * (len(words) % 3 > 0)
        words.add(half - 1 - some if len(words) % 3 == 1 else some)
    errors = ((error(number(word), mpf(half - word) * step - step / 2), word) for word in words)
    most, word = max(errors)
    print(f"of {len(words)} normal numbers of {bits} bits, {word:#x} is furthest from its quantile: {float(most):.3e}")
    assert most < bound


# The words at which the central numbers end, and at which the middle ones do in f64.
ENDS = {32: [0x6CCCCCC0], 64: [0x6CCCCCCCCCCCCC00, 0x7FFFFFFFF85D7000]}

furthest(32, normal32, mpf(2) ** -32, 50_000, 5e-7)
furthest(64, normal, mpf(2) ** -64, 50_000, 1e-15)
