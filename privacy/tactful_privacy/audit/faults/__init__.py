"""Planted faults: would the checks notice if the software were wrong?

A target brings its own faults, each put into the product's own code path; here they are run and counted.
"""

from tactful_privacy.audit.faults.model import (
    NO_VIOLATION,
    NONE,
    SOUND,
    Check,
    FaultResult,
    FaultTable,
    FaultyTarget,
    PlantedFault,
    Trial,
    can_plant,
)
from tactful_privacy.audit.faults.rounds import audit_difference, audit_one
from tactful_privacy.audit.faults.run import most_alarms, run_faults, summarise

__all__ = [
    "NONE",
    "NO_VIOLATION",
    "SOUND",
    "Check",
    "FaultResult",
    "FaultTable",
    "FaultyTarget",
    "PlantedFault",
    "Trial",
    "audit_difference",
    "audit_one",
    "can_plant",
    "most_alarms",
    "run_faults",
    "summarise",
]
