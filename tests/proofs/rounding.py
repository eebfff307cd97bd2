"""Proves bounds of the rounding errors in the f64 normal numbers for all inputs, by gappa. `apt-get install gappa`,
then `python3 tests/proofs/rounding.py`, which takes two minutes.

A number is N(u) / D(u), and q N(u) / D(u) in the centre. The bounds hold for the rounding in both polynomials, the
division and the product, for exact u and q. They leave out the errors of u, of q and of the formulas: normal.py
measures all errors together, and a test in src/order/normal32.rs tries all f32 numbers.
"""

import math
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
import order  # noqa: E402


def exact(c):
    """The number in gappa's notation: an integer times a power of two."""
    m, e = math.frexp(c)
    return f"{int(m * 2**53)}b{e - 53}"


def polynomial(c):
    """Operations in the order of src/order/order.md."""
    c = [exact(c) for c in c]
    low, high = (f"(({a} + {b} * u) + ({c} + {d} * u) * (u * u))" for a, b, c, d in (c[:4], c[4:]))
    return f"({low} + {high} * ((u * u) * (u * u)))"


def shown(name, n, d, most, bound, times=""):
    """Proves the bound for u in 0..=most and q in 2^-65..=0.425."""
    quotient = f"{times}{polynomial(n)} / {polynomial(d)}"
    lines = [
        "@rnd = float<ieee_64, ne>;",
        "u = rnd(any_u); q = rnd(any_q);",
        f"rounded rnd= {quotient}; exact = {quotient};",
        f"{{ u in [0, {most}] /\\ q in [1b-65, 0.425] -> |(rounded - exact) / exact| <= {bound} }}",
        "$ u in 60;",
    ]
    gappa = subprocess.run(["gappa"], input="\n".join(lines), capture_output=True, text=True)
    assert gappa.returncode == 0, f"{name}: {gappa.stderr}"
    print(f"shown: {name}, the relative rounding error of the quotient is less than {bound}")


shown("in the centre", order.A, order.B, 0.180625, "1.24e-15", times="q * ")
shown("near it", order.C, order.D, 3.4, "1.24e-15")
# √(−ln p) is at most √(65 ln 2), 6.72.
shown("far from it", order.E, order.F, 1.72, "0.82e-15")
