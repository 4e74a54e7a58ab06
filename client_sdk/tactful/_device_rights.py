"""What a person's enrolment holds of them and owes them: consent, the way out, the privacy budget, their rights."""

import json
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tactful import _deciding, _erasure, _export, budget, links
from tactful._state import DeviceState
from tactful.budget import PrivacyBudget
from tactful.clock import to_ms, zone
from tactful.consent import consent
from tactful.errors import InvalidInput
from tactful.links import Link
from tactful.receipts import ErasureReceipt
from tactful.vault import NewRow

if TYPE_CHECKING:
    from tactful.host import Host

OPT_OUTS = ("promotional", "transactional")


class DeviceRights:
    """The part of `tactful.device.Device` that belongs to the person: the app reaches it through the device."""

    __slots__ = ("_host", "_id")

    def __init__(self, host: "Host", device: int) -> None:
        self._host = host
        self._id = device

    @property
    def id(self) -> int:
        """The number by which the vault knows the device."""
        return self._id

    @property
    def user_id(self) -> str:
        """The app's name for the person."""
        return self._state.profile.user_id

    @property
    def timezone(self) -> str:
        """IANA name of where the person is."""
        return self._state.profile.timezone

    @property
    def consents(self) -> frozenset[str]:
        """The purposes granted now."""
        return self._state.granted

    @property
    def _state(self) -> DeviceState:
        return self._host.state(self._id)

    def _write(self, *rows: tuple[str, Any, str | None]) -> None:
        self._host.vault.write([self._row(*row) for row in rows])

    def _row(self, kind: str, plain: Any, name: str | None) -> NewRow:
        return NewRow(self._id, kind, json.dumps(plain).encode(), name)

    def set_consent(self, purpose: str, *, granted: bool, policy_version: str, policy_text: str | None = None) -> None:
        """Record a statement of consent. Withdrawing stops recording and use at once; `erase` deletes.

        Raises:
            UnknownPurpose, InvalidInput: an argument is unfit.
        """
        state = self._state
        statement = consent(purpose, granted, policy_version, to_ms(self._host.now()), policy_text)
        rows = [("consent", statement.to_dict(), None)]
        if purpose == "marketing_push" and granted and state.opt_outs.get("promotional"):
            rows.append(("opt_out", {"kind": "promotional", "at_ms": statement.at_ms, "out": False}, None))
        self._write(*rows)
        state.agree(statement)

    def opt_out(self, kind: str = "promotional") -> None:
        """Stop pushes of a kind ("promotional" or "transactional") from now on."""
        if kind not in OPT_OUTS:
            raise InvalidInput(f"unknown kind {kind!r}", field="kind", remedy=f"use one of {', '.join(OPT_OUTS)}")
        state = self._state
        self._write(("opt_out", {"kind": kind, "at_ms": to_ms(self._host.now()), "out": True}, None))
        state.opt_outs[kind] = True

    def set_timezone(self, timezone: str) -> None:
        """Say where the person is now; raises `UnknownTimeZone`."""
        zone(timezone)
        profile = replace(self._state.profile, timezone=timezone)
        self._host.vault.write([NewRow(self._id, "profile", profile.to_bytes(), "")])
        self._host.forget(self._id)

    def privacy_budget(self) -> PrivacyBudget:
        """Return what was spent, earlier enrolments included, and what may be spent."""
        return budget.of_device(self._host, self._id)

    def set_privacy_budget(self, epsilon: float, delta: float) -> None:
        """Lower the most that this device may spend; raises `InvalidInput` above what it is now."""
        budget.lower(self._host, self._id, epsilon, delta)

    def renew_budget(
        self, epsilon: float, delta: float, *, policy_version: str, rounds: int | None = None
    ) -> PrivacyBudget:
        """Begin the next period of the budget, on a consent to ``federated_learning`` newer than the present period.

        What was spent before stays in ``epsilon_total``. ``policy_version`` is of the text that named the new budget
        and was consented to; after ``rounds`` participations the period is over, whatever is left.

        Raises:
            RenewalRefused, InvalidInput, VaultRolledBack: see `tactful.budget.renew`.
        """
        return budget.renew(self._host, self._id, epsilon, delta, policy_version=policy_version, rounds=rounds)

    def link(self, share: Fraction, peer_key: bytes) -> bytes:
        """Give a part of the ceiling to the person's device on another host; return the signed grant to take there.

        Raises:
            LinkRefused: the part is more than this device has left.
        """
        return links.give(self._host, self._id, share, peer_key)

    def accept_link(self, token: bytes, peer_key: bytes) -> Fraction:
        """Take the part that a linked device granted and return this device's share; raises `LinkRefused`."""
        return links.accept(self._host, self._id, token, peer_key)

    def unlink(self, link_id: str) -> bytes:
        """End a link that this device received; return the signed return of what is left of its part."""
        return links.end(self._host, self._id, link_id)

    def accept_unlink(self, token: bytes, peer_key: bytes) -> Fraction:
        """Take back what a linked device returned and return this device's share; raises `LinkRefused`."""
        return links.take_back(self._host, self._id, token, peer_key)

    def links(self) -> list[Link]:
        """Return the links that this device gave and received."""
        return links.of_device(self._host, self._id)

    def export(self) -> dict[str, Any]:
        """Return everything held about the person as plain JSON values; see `tactful._export`."""
        budget_now = self.privacy_budget().to_dict()
        return _export.export(self._host, self._state, budget_now, _deciding.profile(self._host, self._id))

    def erase(self) -> ErasureReceipt:
        """Delete everything held about the person, destroy their key, and return a signed receipt.

        Later calls on this device raise `UnknownDevice`; enrolled again, the person goes on from the budget spent.
        """
        return _erasure.erase(self._host, self._id)
