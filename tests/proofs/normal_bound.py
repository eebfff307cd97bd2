"""Proves that each normal number in f64 is within a relative 2e-15 of its quantile. `pip install python-flint`, then
`python3 tests/proofs/normal_bound.py`, which takes seconds.

It goes through the range piece by piece, in ball arithmetic: each number here is an interval that holds the number
meant, everywhere in the piece. The polynomials are those of tests/data/order.py, the other operations those of
src/order/order.md; the golden vectors compare the bits of order.py with the crate's.
"""

import sys
from pathlib import Path

from flint import arb, arb_series, ctx

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
from order import A, B, C, D, E, F, LN_2, polynomial  # noqa: E402

ctx.prec = 200
UNIT = arb(2) ** -53  # the largest relative error of one rounding
EDGE = arb(2) ** -45  # how far a piece reaches beyond its ends: further than an argument is rounded
TERMS = 12  # of a Taylor series


# Rounding ------------------------------------------------------------------------------------------------------------


class Rounded:
    """An exact number, and how far the computed one is from it at most. Each operation rounds once."""

    def __init__(self, value, error=0):
        self.value, self.error = arb(value), arb(error).abs_upper()

    def __add__(self, other):
        other = exact(other)
        return rounded(self.value + other.value, self.error + other.error)

    def __sub__(self, other):
        return self + Rounded(-other.value, other.error)

    def __mul__(self, other):
        other = exact(other)
        error = abs(self.value) * other.error + abs(other.value) * self.error + self.error * other.error
        return rounded(self.value * other.value, error)

    def __truediv__(self, other):
        value = self.value / other.value
        return rounded(value, (self.error + abs(value) * other.error) / (abs(other.value) - other.error))

    __radd__, __rmul__ = __add__, __mul__

    def computed(self):
        return self.value + arb(0, self.error)


def exact(x):
    return x if isinstance(x, Rounded) else Rounded(x)


def rounded(value, error=0):
    return Rounded(value, error + UNIT * (abs(value) + error))


def relative(x):
    return x.error / abs(x.value)


# Pieces and Taylor series --------------------------------------------------------------------------------------------


def pieces(low, high):
    count = int(float((high - low) * 1024)) + 1
    half = (high - low) / (2 * count)
    return [(low + half * (2 * i + 1)).mid() + arb(0, (half + EDGE).upper()) for i in range(count)]


def most(f, piece, power=0):
    """The most that |f(x) / (x - middle)^power| is in the piece, by Taylor's theorem. The terms below `power` are 0."""
    half = arb(piece.rad())
    terms = f(arb_series([piece.mid(), 1], prec=TERMS))
    rest = f(arb_series([piece, 1], prec=TERMS + 1))[TERMS]
    return sum((abs(terms[k]) * half ** (k - power) for k in range(power, TERMS)), abs(rest) * half ** (TERMS - power))


def slope(f, piece):
    """The relative change of f per change of its argument."""
    terms = f(arb_series([piece, 1], prec=2))
    return abs(terms[1] / terms[0])


# The numbers ---------------------------------------------------------------------------------------------------------


def density(x):
    return (-x * x / 2).exp() / (2 * arb.pi()).sqrt()


def central(q):
    """The errors at the distance q of the probability from 1/2: of the formula, of its argument, by rounding."""

    def r_at(q):
        return 0.180625 - q * q

    def x_by_q(r):
        return polynomial(A, r) / polynomial(B, r)

    def off(q):
        return (q * x_by_q(r_at(q)) / arb(2).sqrt()).erf() / 2 - q

    r = Rounded(r_at(q), (exact(0.180625) - exact(q) * exact(q)).error)
    x = q * x_by_q(r.computed())
    # The error of a probability, relative to q, times this is that of x.
    to_x = 1 / (x_by_q(r.computed()) * density(x))
    if q.contains(0):
        # There off(0) is 0, so that it can be divided by q term by term.
        formula = most(off, arb(0, q.upper()), 1) * to_x
    else:
        formula = most(off, q) / abs(q) * to_x
    # q itself is rounded too.
    argument = r.error * slope(x_by_q, r.computed()) + UNIT * to_x
    u = exact(r.computed())
    # Multiplying by q rounds once, as multiplying by 1 does here.
    return formula, argument, relative(1 * polynomial(A, u) / polynomial(B, u))


def logarithm_error():
    """How far the computed 2 artanh s is from −ln m at most, for √½ <= m < √2."""
    errors = []
    for m in pieces(arb(0.5).sqrt(), arb(2).sqrt()):
        s = Rounded(1 - m) / rounded(1 + m)  # 1 - m is exact from 1/2 to 2
        s2 = s * s
        s4 = s2 * s2
        terms = [rounded(arb(1) / (2 * i + 1)) for i in range(10)]
        t = polynomial(terms, s2) + (terms[8] + terms[9] * s2) * (s4 * s4) * (s4 * s4)
        power = 2 * len(terms) + 1
        left_out = 2 * abs(s.value) ** power / power / (1 - s2.value)
        errors.append((2 * (s * t).error + left_out).upper())
    return max(errors)


LOGARITHM = logarithm_error()


def tail(z, start, c, d):
    """The same at the depth z = √(−ln p). The argument of the polynomials is z - start."""

    def x_at(u):
        return polynomial(c, u) / polynomial(d, u)

    def off(z):
        return (x_at(z - start) / arb(2).sqrt()).erfc() / 2 - (-z * z).exp()

    x = x_at(z - start)
    formula = most(off, z) / (x * density(x))
    # z² = k ln 2 - ln m, where |ln m| is at most ln(2) / 2, plus what the rounding of p changes.
    ln_2 = arb(2).log()
    k_ln_2 = z * z + arb(0, 0.347)
    k_ln_2 = rounded(k_ln_2, k_ln_2 * abs(LN_2 / ln_2 - 1))
    square = rounded(z * z, k_ln_2.error + LOGARITHM + UNIT * (1 + UNIT))
    depth = rounded(z, square.error / (z + (z * z - square.error).sqrt()))
    u = rounded(z - start, depth.error)
    argument = u.error * slope(x_at, u.computed())
    return formula, argument, relative(polynomial(c, exact(u.computed())) / polynomial(d, exact(u.computed())))


def shown(name, errors):
    # off / density(x) is the formula's error in x to first order. Higher orders add a share below 2^-40 to errors below
    # 1e-15.
    assert all(formula < 1e-15 for formula, _, _ in errors), name
    total = max(((1 + a * (1 + arb(2) ** -40)) * (1 + b) * (1 + c) - 1).upper() for a, b, c in errors)
    assert total < 2e-15, f"{name}: {total}"
    parts = ", ".join(f"{part} {float(max(e[i].upper() for e in errors)):.3e}"
                      for i, part in enumerate(("formula", "argument", "rounding")))
    print(f"shown: {name}, the relative error is less than {float(total):.3e} (at most by the {parts})")


shown("in the centre", [central(q) for q in pieces(arb(0), arb(0.425))])
shown("near it", [tail(z, 1.6, C, D) for z in pieces((-(arb(0.5) - 0.425).log()).sqrt(), arb(5))])
# p is at least 2^-65.
shown("far from it", [tail(z, 5, E, F) for z in pieces(arb(5), (65 * arb(2).log()).sqrt())])
