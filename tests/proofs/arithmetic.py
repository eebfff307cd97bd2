"""Proves claims about the orders' arithmetic for all inputs, by the SMT solver z3. `pip install z3-solver`, then
`python3 tests/proofs/arithmetic.py`, which takes seconds. A heading names the source of the code that the claims are
about.

tests/all/exhaustive.rs shows for all sequences of small words that draws and shuffles are uniform.
"""

from z3 import And, BitVec, BitVecVal, If, Implies, Ints, Not, Solver, UGE, ULE, ULT, ZeroExt, unsat


def shown(name, claim, solver=None):
    solver = solver or Solver()
    solver.set("timeout", 120_000)
    solver.add(Not(claim))
    result = solver.check()
    assert result == unsat, f"{name}: {result} {solver.model() if str(result) == 'sat' else ''}"
    print("shown:", name)


# src/order/permutation.rs -------------------------------------------------------------------------------------------

a, b, m = BitVec("a", 32), BitVec("b", 32), BitVec("m", 32)


def least(x, y):
    return If(ULT(x, y), x, y)


def add_mod(a, b, m):
    return least(a + b, a + b - m)


def sub_mod(a, b, m):
    return add_mod(a, m - b, m)


valid = And(ULT(a, m), ULT(b, m), ULE(m, BitVecVal(1 << 31, 32)))
wide = ZeroExt(1, a) + ZeroExt(1, b)  # does not wrap around
wide_m = ZeroExt(1, m)
exact = If(UGE(wide, wide_m), wide - wide_m, wide)
shown("a + b does not wrap around", Implies(And(ULT(a, m), ULE(b, m), ULE(m, 1 << 31)), UGE(a + b, a)))
shown("add_mod is (a + b) mod m", Implies(valid, ZeroExt(1, add_mod(a, b, m)) == exact))
shown("sub_mod undoes add_mod, so a round of the network is undone by its inverse",
      Implies(valid, sub_mod(add_mod(a, b, m), b, m) == a))
shown("add_mod undoes sub_mod", Implies(valid, add_mod(sub_mod(a, b, m), b, m) == a))

hash_, bound = Ints("hash bound")
shown("a round's hash is below its bound",
      Implies(And(0 <= hash_, hash_ < 2**32, 1 <= bound, bound <= 2**31), hash_ * bound / 2**32 < bound))

# src/order/shuffle.rs -----------------------------------------------------------------------------------------------

rest, bound = Ints("rest bound")
one = And(0 <= rest, rest < 2**64, 1 <= bound, bound <= 2**32)
shown("a draw is below its bound", Implies(one, And(0 <= rest * bound / 2**64, rest * bound / 2**64 < bound)))
shown("rest · bound fits 128 bits", Implies(one, rest * bound < 2**128))
for most, k in ((2**32, 2), (2**20, 3), (2**15, 4), (2**12, 5), (2**10, 6)):
    product = 1
    for i in range(k):
        product *= most - i
    assert product < 2**64, (most, k)
print("shown: the product of the bounds of one word fits 64 bits, since it grows with the first bound")

# src/order/blocks.rs and src/batch/shard.rs: part i of `total` things in `parts` parts ------------------------------

i, parts, total = Ints("i parts total")
start = lambda i: i * total / parts
valid = And(parts >= 1, total >= 0)  # the shards of an empty batch are empty
shown("i · total fits 128 bits", Implies(And(0 <= i, i < 2**64, 0 <= total, total < 2**64), i * total < 2**128))
shown("parts begin at 0 and end at total", Implies(valid, And(start(0) == 0, start(parts) == total)))
q, r, s, t = Ints("q r s t")
# i total = q parts + r, (i + 1) total = s parts + t
shown("a part ends where the next one begins, and not before it begins",
      Implies(And(valid, i >= 0, i * total == q * parts + r, 0 <= r, r < parts,
                  i * total + total == s * parts + t, 0 <= t, t < parts), s >= q))
x, w = Ints("x w")
# which_part returns the quotient w; parts w and w + 1 start at q and s.
shown("which_part names the part that holds a thing",
      Implies(And(valid, 0 <= x, x < total,
                  w * total <= (x + 1) * parts - 1, (x + 1) * parts - 1 < w * total + total,
                  w * total == q * parts + r, 0 <= r, r < parts,
                  w * total + total == s * parts + t, 0 <= t, t < parts), And(q <= x, x < s)))

# Each outcome of a draw comes from equally many of the 2^64 words, those that are rejected aside. With p the product of
# the bounds, a word w gives w p = v 2^64 + rest, where v is the number of the outcome. The rests of an outcome are
# those equal to -v 2^64 mod p, one per word. The rests that are kept, from 2^64 mod p up to 2^64, are a multiple of p
# in number, so each remainder comes equally often.
