"""Values of schedules worked out in 150 decimal digits and rounded once: schedule_values.csv.

`python3 tests/data/schedules.py [directory]` writes next to itself unless told where, in some seconds.
"""

import sys
from decimal import Decimal, getcontext
from pathlib import Path

DIRECTORY = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
getcontext().prec = 150
TRILLION, LAST = 10**12, 2**64 - 1
MAX, LEAST_NORMAL, LEAST, E = sys.float_info.max, sys.float_info.min, 5e-324, 2.718281828459045


def arctan_of_inverse(n):
    x = total = 1 / Decimal(n)
    for k in range(3, 500, 2):
        x /= -n * n
        total += x / k
    return total


PI = 16 * arctan_of_inverse(5) - 4 * arctan_of_inverse(239)


def cos(x):
    term = total = Decimal(1)
    for k in range(2, 400, 2):
        term *= -x * x / (k * (k - 1))
        total += term
    return total


def step_decay(rate, factor, every, k):
    return rate * factor ** (k // every)


def linear(start, end, steps, k):
    return start + (end - start) * k / steps


def cosine(start, end, steps, k):
    return end + (start - end) * (1 + cos(PI * k / steps)) / 2


def polynomial(start, end, power, steps, k):
    return end + (start - end) * ((steps - k) / steps) ** power


def geometric(start, end, steps, k):
    return start ** (1 - k / steps) * end ** (k / steps)


def inverse_time(rate, power, steps, k):
    return rate * (steps / (steps + k)) ** power


# The schedule, its arguments and the step; how far off the crate may be: for `linear` and `cosine` in 2^-53 of the larger
# rate, for all others in units in the last place.
CASES = [
    # At any exponent.
    (step_decay, (1.0, 0.999999999999, 1, TRILLION), 1),
    (step_decay, (1.0, 0.9999999, 1, 3_000_000_000), 1),
    (step_decay, (1.0, 0.9999, 1, 123_456), 1),
    (step_decay, (1.0, 0.99, 1, 50_000), 1),
    (step_decay, (1.0, 0.9, 1, 6000), 1),
    (step_decay, (1.0, 0.3, 1, 400), 1),
    (step_decay, (1.0, 0.1, 1, 300), 1),
    (cosine, (1.0, 0.0, 4, 1), 1),
    (cosine, (1.0, 0.0, 4, 3), 1),
    (cosine, (1.0, 0.0, 6, 1), 1),
    (cosine, (1.0, 0.0, 6, 5), 1),
    (cosine, (0.1, 0.001, 100, 1), 1),
    (cosine, (0.1, 0.001, 100, 37), 1),
    (cosine, (0.1, 0.001, 100, 63), 1),
    (cosine, (0.1, 0.001, 100, 99), 1),
    (cosine, (0.3, 0.7, 1000, 17), 1),
    (cosine, (0.5, 0.0, TRILLION, 123_456_789_012), 1),
    (cosine, (0.5, 0.0, TRILLION, 999_999_000_000), 1),
    (cosine, (1.0, 0.0, 1_000_000, 999_999), 1),
    (polynomial, (1.0, 0.0, 1e9, TRILLION, 3), 0),
    (polynomial, (1.0, 0.0, 4294967295.0, LAST, 12_345_678_901), 0),
    (polynomial, (1.0, 0.0, 3.0, TRILLION, TRILLION - 7), 0),
    (polynomial, (0.1, 0.001, 3.0, 100, 33), 0),
    (polynomial, (0.1, 0.001, 3.0, 100, 66), 0),
    (polynomial, (0.3, 0.7, 5.0, 1_000, 17), 0),
    (polynomial, (0.7, 0.3, 3.0, 1_000, 4), 0),
    (polynomial, (1.0, 0.0, 1.0, LAST, LAST - 3), 0),
    (polynomial, (0.5, 0.1, 2.0, LAST, 2**63 + 12_345), 0),
    (polynomial, (0.0, 1.0, 1.0, TRILLION, 1), 0),
    (polynomial, (0.0, 1.0, 1e9, TRILLION, 3), 0),
    (polynomial, (1e-8, 0.1, 7.0, 1_000_000, 1), 0),
    (polynomial, (MAX, 1e300, 3.0, 7, 2), 0),
    (polynomial, (3e-300, 1e-300, 2.0, 7, 3), 0),
    # Powers that are not whole.
    (polynomial, (0.1, 0.0, 0.9, 20_000, 1), 0),
    (polynomial, (0.1, 0.0, 0.9, 20_000, 19_999), 0),
    (polynomial, (0.1, 0.001, 0.5, 100, 33), 0),
    (polynomial, (0.3, 0.7, 1.5, 1_000, 17), 0),
    (polynomial, (1.0, 0.0, 0.1, LAST, LAST - 1), 0),
    (polynomial, (1.0, 0.0, 1_000_000_000.5, TRILLION, 3), 0),
    (polynomial, (0.7, 0.3, E, 1_000, 4), 0),
    (polynomial, (1.0, 0.0, 1e-5, 100, 50), 0),
    (polynomial, (1.0, 0.0, 1e-30, 100, 50), 0),
    (geometric, (1e-8, 10.0, 100, 1), 1),
    (geometric, (1e-8, 10.0, 100, 37), 1),
    (geometric, (1e-8, 10.0, 100, 99), 1),
    (geometric, (0.1, 0.001, 7, 3), 1),
    (geometric, (0.3, 0.7, TRILLION, 123_456_789), 1),
    (geometric, (1.0, 8.0, 3, 1), 1),
    (geometric, (1e300, 1e-300, 3, 1), 1),
    (geometric, (LEAST, MAX, 1_000, 1), 1),
    (geometric, (LEAST, MAX, 1_000, 500), 1),
    (geometric, (LEAST, MAX, 1_000, 999), 1),
    (geometric, (LEAST_NORMAL, 1e300, LAST, 2**63 + 12_345), 1),
    # Near the largest f64, where a part of the product overflows.
    (geometric, (MAX, LEAST, TRILLION, 1), 1),
    (geometric, (MAX, LEAST, LAST, 2**23), 1),
    (inverse_time, (0.5, 0.5, 4_000, 1), 1),
    (inverse_time, (0.1, 1.0, 100, 50), 1),
    (inverse_time, (0.1, 1.0, 100, TRILLION), 1),
    (inverse_time, (0.3, 0.75, 10_000, 12_345), 1),
    (inverse_time, (0.3, 2.5, 7, LAST), 1),
    (inverse_time, (0.3, 0.1, LAST, LAST), 1),
    (inverse_time, (1.0, 4294967295.0, LAST, 12_345_678_901), 1),
    (inverse_time, (0.7, 1e-3, 3, 1_000_000_000), 1),
    (inverse_time, (0.7, 1e-9, 1, LAST), 1),
]
# Where k and steps are rounded to f64, a line and a cosine each.
for case in [
    (0.1, 0.3, LAST, 2**53 + 1),
    (0.1, 0.3, LAST, 2**63 + 12_345),
    (0.3, 0.1, LAST - 2, LAST - 4097),
    (1.0, 0.0, 2**60 + 1, 2**60 - 4096),
    (0.7, 0.001, 10_000_000 * TRILLION, 3_000_000 * TRILLION + 1),
    (0.0, 1.0, 2**53 + 1, 2**53),
]:
    CASES.extend((kind, case, 8) for kind in (linear, cosine))

lines = ["# Written by tests/data/schedules.py. within: of the value, see there.", "schedule,step,value,within"]
for kind, arguments, within in CASES:
    *settings, k = arguments
    value = float(kind(*map(Decimal, arguments)))
    lines.append(f"{kind.__name__} {' '.join(map(repr, settings))},{k},{value!r},{within}")
(DIRECTORY / "schedule_values.csv").write_text("\n".join(lines) + "\n")
