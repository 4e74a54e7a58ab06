"""A uniform real number of which only as many bits are drawn as a comparison needs; integers only, so exact."""

from fractions import Fraction

from tactful_privacy.mechanisms.entropy import Entropy, read

_GUARD_BITS = 24  # covers the error terms of `exp_minus_bounds` for exponents below 2^12 and results up to 2^12 bits


def exp_minus_bounds(exponent: Fraction, bits: int) -> tuple[int, int]:
    """Return integers ``(low, high)`` with low <= 2^bits * exp(-exponent) <= high, a few units apart at most.

    The exponent (>= 0) is halved ``halvings`` times until it is at most 1/2, the alternating Taylor series is summed in
    fixed point, and the interval is squared back with directed rounding. Error of the sum, in units of the last place:
    a term is ``floor(floor(term*x) / k)`` with x itself floored, so its error e_k obeys e_k <= (e_(k-1)/2 + 1 + 1)/k +
    1, hence e_k <= 4; with the first omitted term (0, as the loop ends when a term vanishes, plus its error) ``4*(terms
    + 1)`` bounds the whole.
    """
    halvings = max(0, (exponent.numerator // exponent.denominator + 1).bit_length())
    work = bits + 2 * halvings + bits.bit_length() + _GUARD_BITS
    x = (exponent.numerator << work) // (exponent.denominator << halvings)
    total = term = 1 << work
    terms = 0
    while term:
        terms += 1
        term = ((term * x) >> work) // terms
        total += -term if terms % 2 else term
    low, high = max(0, total - 4 * (terms + 1)), total + 4 * (terms + 1)
    for _ in range(halvings):
        low, high = (low * low) >> work, ((high * high) >> work) + 1
    shift = work - bits
    return low >> shift, -(-high >> shift)


class LazyUniform:
    """A uniform number in [0, 1) whose leading ``bits`` bits are ``prefix``; further bits are drawn when needed."""

    def __init__(self, prefix: int, bits: int, entropy: Entropy) -> None:
        self._prefix = prefix
        self._bits = bits
        self._entropy = entropy

    def below_exp_minus(self, exponent: Fraction) -> bool:
        """Return whether the number is below exp(-exponent): True with exactly that probability.

        Ends with probability one: exp(-q) is irrational for rational q > 0 (Lindemann), and each further 64 bits leave
        the question open with probability below 2^-60.
        """
        if exponent == 0:
            return True
        while True:
            low, high = exp_minus_bounds(exponent, self._bits)
            if self._prefix + 1 <= low:
                return True
            if self._prefix >= high:
                return False
            self._prefix = (self._prefix << 64) | int.from_bytes(read(self._entropy, 8), "big")
            self._bits += 64
