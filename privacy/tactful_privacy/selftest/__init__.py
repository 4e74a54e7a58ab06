"""The host's self-test: before a host takes part in a round, it tries the functions through which its data would go.

It runs on invented numbers and says nothing about anybody. What it looks at: entropy, sampler (known answers, the exact
pmf at small sigma, the scale at large sigma, freshness), clip, weight, integer norm check, statistics, values that are
not finite, rounding, keys, masks, quorum, the one survivor list and the one kind of share. A sound host fails with
probability below `bounds.FALSE_ALARMS_PER_START`.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tactful_privacy.errors import SelfTestFailed
from tactful_privacy.selftest.bounds import FALSE_ALARMS_PER_START
from tactful_privacy.selftest.encoding import encoding_checks
from tactful_privacy.selftest.findings import Finding, HostPath
from tactful_privacy.selftest.noise import noise_checks
from tactful_privacy.selftest.protocol import protocol_checks

__all__ = ["FALSE_ALARMS_PER_START", "Finding", "HostPath", "SelfTestFailed", "SelfTestReport", "inspect", "self_test"]

_GROUPS: tuple[tuple[str, Callable[[HostPath], Iterator[Finding]]], ...] = (
    ("noise", noise_checks),
    ("encoding", encoding_checks),
    ("secure_aggregation", protocol_checks),
)


@dataclass(frozen=True, slots=True)
class SelfTestReport:
    """What a self-test found.

    Attributes:
        findings: every check, in order; one name may stand several times.
        seconds: how long it took.
    """

    findings: tuple[Finding, ...]
    seconds: float

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks which do not hold, each once, in order."""
        return tuple(dict.fromkeys(finding.check for finding in self.findings if not finding.holds))


def inspect(path: HostPath) -> SelfTestReport:
    """Run every check on these functions; never raises for what it finds."""
    started = time.perf_counter()
    findings: list[Finding] = []
    for group, checks in _GROUPS:
        try:
            findings.extend(checks(path))
        except Exception as error:  # noqa: BLE001 - whatever a broken function raises, the host must not take part
            findings.append(Finding(group, holds=False, seen=type(error).__name__))
    return SelfTestReport(tuple(findings), time.perf_counter() - started)


def self_test(path: HostPath) -> SelfTestReport:
    """Run every check on these functions.

    Raises:
        SelfTestFailed: names the checks that do not hold.
    """
    report = inspect(path)
    if report.failed:
        raise SelfTestFailed(report.failed)
    return report
