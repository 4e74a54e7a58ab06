"""The audit on one page for people: the claim, its cost, what attacks got, what leaves, what is not protected."""

from tactful_privacy.audit.report.findings import Findings, load_json
from tactful_privacy.audit.report.write import write_report

__all__ = ["Findings", "load_json", "write_report"]
