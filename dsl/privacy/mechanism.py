"""What stands after `with`, or `noise=`: which noise, and how much of it.

For: `Mechanism`, `read_mechanism`, `parameter_of` (the law's parameter for a sensitivity).
Leaves to others: sensitivities (`queries`, `arrays`), adding noise (`noised`).

One statement gets one epsilon.  Of `parts` numbers or arrays that it reveals, each has noise for its own sensitivity,
so that all of them together cost the epsilon: Laplace for epsilon / parts each; Gaussian with the variance times parts,
since in units of their own deviations the whole changes by sqrt(parts).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal

from dsl import syntax
from dsl.source import Span
from dsl.values import Array
from dsl.walker import Walker
from mpc.discrete import law

__all__ = ["Mechanism", "natural", "parameter_of", "read_mechanism"]

DEVIATION: Final = 2.0**-52
"""At most the total variation distance of each number drawn from its exact law (`mpc.discrete`)."""

TAKES: Final = {"laplace": ("epsilon",), "gaussian": ("epsilon", "delta")}


@dataclass(frozen=True, slots=True)
class Mechanism:
    """Noise that costs epsilon, and with probability delta more; delta is 0 for Laplace."""

    kind: Literal["laplace", "gaussian"]
    epsilon: Decimal
    delta: Decimal
    span: Span

    def __str__(self) -> str:
        more = f", delta {self.delta}" if self.kind == "gaussian" else ""
        return f"{self.kind} noise, epsilon {self.epsilon}{more}"


def read_mechanism(w: Walker, e: syntax.Expression) -> Mechanism:
    """The mechanism that is written; E0703 where it is none."""
    if not isinstance(e, syntax.Call) or not isinstance(e.function, syntax.Name) or e.function.id not in TAKES:
        helps = ["`laplace(epsilon=1.0)` or `gaussian(epsilon=1.0, delta=1e-6)`"]
        w.fail("E0703", "this is no noise", e.span, helps=helps)
    kind = e.function.id
    wanted = TAKES[kind]
    if e.arguments:
        first = e.arguments[0]
        helps = [f"`{kind}({', '.join(f'{n}=0.5' for n in wanted)})`"]
        w.fail("E0703", f"the parameters of `{kind}` are named", first.span, helps=helps)
    found: dict[str, Decimal] = {}
    for keyword in e.keywords:
        name = keyword.name.text
        if name not in wanted or name in found:
            w.fail("E0703", f"`{kind}` takes {' and '.join(wanted)}", keyword.span)
        found[name] = _number(w, keyword.value, name)
    lacking = [n for n in wanted if n not in found]
    if lacking:
        w.fail("E0703", f"`{kind}` needs {' and '.join(lacking)}", e.span)
    epsilon, delta = found["epsilon"], found.get("delta", Decimal(0))
    if not 0 < epsilon <= 100:
        w.fail("E0703", "epsilon is above 0 and at most 100", e.span, f"{epsilon}")
    if kind == "gaussian" and not 0 < delta < 1:
        w.fail("E0703", "delta is between 0 and 1", e.span, f"{delta}")
    return Mechanism("laplace" if kind == "laplace" else "gaussian", epsilon, delta, e.span)


def _number(w: Walker, e: syntax.Expression, name: str) -> Decimal:
    a = w.array(w.evaluate_known(e), e.span, "a number")
    if a.shape or a.valid is not None or a.stype.kind not in {"int", "fixed", "decimal"}:
        w.fail("E0703", f"{name} is a public number", e.span)
    if not a.value.type.public:
        w.fail("E0703", f"{name} is a public number", e.span, secret=a)
    known = w.concrete(a.value, e.span, name)
    if not known.is_const:
        w.fail("E0703", f"{name} must be known before the data are", e.span)
    return natural(a, known.constant.item())


def natural(a: Array, number: float) -> Decimal:
    """A known number as it was written, or as it is held."""
    if a.exact is not None:
        return a.exact
    if a.stype.kind == "decimal":
        return Decimal(int(number)).scaleb(-a.stype.places)
    return Decimal(repr(number))


def parameter_of(w: Walker, m: Mechanism, change: Fraction, parts: int, numbers: int) -> tuple[int, int]:
    """The scale of Laplace or the variance of Gaussian noise, in units, as numerator and denominator.

    change: how far one of `parts` results may move, in units, not rounded down: by the sum of magnitudes for Laplace,
    by the Euclidean norm for Gaussian. numbers: how many the statement reveals in all. E0703 if it does not fit.
    """
    epsilon = Fraction(m.epsilon)
    if m.kind == "laplace":
        parameter = max(change, Fraction(1)) * parts / epsilon
    else:
        # What the drawn numbers deviate from their laws comes off delta.
        delta = float(m.delta) - (1 + math.exp(float(m.epsilon))) * numbers * DEVIATION
        if delta < float(m.delta) / 2:
            many = "one number" if numbers == 1 else f"{numbers} numbers"
            least = 2 * (float(m.delta) - delta)
            helps = ["take a smaller epsilon: at a large one Laplace's noise is the smaller, and needs no delta"]
            if least >= 1:
                w.fail("E0703", "epsilon is too large for gaussian noise", m.span, f"{many} and any delta", helps=helps)
            label = f"{many} at this epsilon need a delta of {least:.1g} or more"
            w.fail("E0703", "delta is too small", m.span, label, helps=helps)
        parameter = max(change, Fraction(1)) ** 2 * parts / (2 * concentrated(float(m.epsilon), delta))
    try:
        _ = law(m.kind, parameter.as_integer_ratio()).bound
    except ValueError as error:
        w.fail("E0703", str(error), m.span, helps=["take a larger epsilon, or clamp to a narrower range"])
    return parameter.as_integer_ratio()


def concentrated(epsilon: float, delta: float) -> Fraction:
    """The largest rho, rounded down, for which rho-concentrated privacy gives (epsilon, delta).

    delta = min over a > 1 of exp((a - 1) (a rho - epsilon)) (1 - 1/a)^a / (a - 1) [Canonne, Kamath, Steinke 2020,
    corollary 13]; every `a` gives a bound that holds.  Discrete Gaussian noise of variance v on whole numbers that move
    by d in Euclidean norm is rho = d^2 / (2 v) concentrated [theorem 14 there].
    """

    def spent(rho: float) -> float:
        def at(a: float) -> float:
            return (a - 1) * (a * rho - epsilon) + a * math.log1p(-1 / a) - math.log(a - 1)

        low, high = math.log(1e-6), math.log(2 + 2 * (epsilon + rho) / rho)
        for _ in range(100):
            one, two = low + (high - low) / 3, high - (high - low) / 3
            if at(1 + math.exp(one)) < at(1 + math.exp(two)):
                high = two
            else:
                low = one
        return at(1 + math.exp(low))

    root = math.sqrt(math.log(1 / delta))
    low = (math.sqrt(epsilon + root * root) - root) ** 2  # [Bun, Steinke, TCC 2016, proposition 1.3]
    high = 8 * low + epsilon
    for _ in range(60):
        middle = (low + high) / 2
        if spent(middle) <= math.log(delta):
            low = middle
        else:
            high = middle
    # Six digits, rounded down: the same wherever logarithms are computed a little differently.
    step = Decimal(10) ** (math.floor(math.log10(low)) - 5)
    return Fraction((Decimal(low * (1 - 1e-9)) // step) * step)
