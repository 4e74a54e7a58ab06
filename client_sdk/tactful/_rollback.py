"""Whether a vault is older than what its keeper remembers: a number that rises in both with every change to a budget.

The vault's number is written in the transaction of the change, the keeper's after it and before anything leaves. So the
keeper never runs ahead of the vault's true history: a keeper ahead means that an older copy of the vault was put back.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tactful.errors import KeyProblem, VaultRolledBack
from tactful.keys import RollbackCounter

if TYPE_CHECKING:
    from tactful.vault import Vault
    from tactful.vault_rounds import RoundStore

_DOMAIN: Final = b"tactful/v1/vault-counter\0"
_NAME_DIGITS: Final = 16
_LEFT: Final = "rounds left"


@dataclass(frozen=True, slots=True)
class Gap:
    """How the vault's number compares with its keeper's.

    ``vault`` counts the changes which the vault knows, ``kept`` those its keeper remembers (None: it has forgotten).
    """

    vault: int
    kept: int | None

    @property
    def missing(self) -> int | None:
        """How many changes the vault does not know; None where nobody can tell."""
        return None if self.kept is None else max(0, self.kept - self.vault)

    @property
    def rolled_back(self) -> bool:
        """Whether budgets are frozen: changes are missing, or the keeper lost the number which it once had."""
        return self.vault > 0 if self.missing is None else self.missing > 0


class RollbackGuard:
    """Compares and advances the two numbers; without a keeper it counts nothing and never freezes.

    Args:
        vault: whose number it is.
        rounds: keeps the number in it.
        public_key: the host's; names the vault to the keeper.
    """

    def __init__(self, vault: "Vault", rounds: "RoundStore", public_key: bytes) -> None:
        self._vault = vault
        # By the host's key, which is as old as the vault: every backup of it goes by the same name.
        self._name = hashlib.sha256(_DOMAIN + public_key).hexdigest()[:_NAME_DIGITS]
        self._rounds = rounds
        provider = vault.provider
        # A vault in memory cannot be put back, and shares its key's provider with nobody.
        self._keeper = provider if isinstance(provider, RollbackCounter) and vault.path is not None else None

    @property
    def kept(self) -> bool:
        """Whether somebody keeps a number outside the vault."""
        return self._keeper is not None

    def gap(self) -> Gap:
        """Return both numbers, the keeper's read first: it may lag behind a writer, but never lead."""
        if self._keeper is None:
            return Gap(0, 0)
        kept = self._keeper.counter(self._name)
        return Gap(self._number(), kept)

    def require_current(self) -> None:
        """Return if the vault knows every change.

        Raises:
            VaultRolledBack: it does not; see `Host.replay_ledger` and `Host.accept_vault`.
        """
        gap = self.gap()
        if gap.rolled_back:
            missing = "the counter is gone" if gap.missing is None else f"{gap.missing} changes are missing"
            raise VaultRolledBack(
                f"an older copy was put back: {missing}",
                field="vault",
                remedy="replay the federation's ledger with Host.replay_ledger, or decide with Host.accept_vault",
            )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Run the block as one power-safe transaction; what memory holds of accounts is dropped where it fails."""
        try:
            with self._vault.transaction(power=True):
                yield
        except BaseException:
            self._rounds.forget()
            raise

    @contextmanager
    def change(self) -> Iterator[None]:
        """Run a change to budgets as one power-safe transaction, and count it before the block's caller goes on.

        A vault that was rolled back is changed all the same and not counted, so that it stays known for what it is:
        callers for whom that is wrong ask `require_current` first.
        """
        with self.writing():
            yield
            self.count()
        self.publish()

    def count(self) -> None:
        """Raise the vault's number by one; call inside the transaction of the change."""
        if self._ready() and not self.gap().rolled_back:
            self._rounds.save_note("counter", b"%d" % (self._number() + 1))

    def publish(self) -> None:
        """Bring the keeper's number up to the vault's; call after the commit and before anything leaves."""
        if self._keeper is None:
            return
        with self._vault.transaction():  # one process at a time
            gap = self.gap()
            if gap.kept is not None and gap.kept < gap.vault:
                self._keeper.advance(self._name, gap.vault)

    def leave_rounds(self) -> None:
        """Give up the rounds that a copy was in, once for each time that it was put back; nothing where it was not.

        Such a round may have been answered since. To answer it again would be to use its masks again: the difference of
        the two answers is the contribution, with the noise of this one host. Rounds begun afterwards have fresh masks.
        """
        gap = self.gap()
        mark = b"%d" % (-1 if gap.kept is None else gap.kept)
        if gap.rolled_back and self._rounds.note(_LEFT) != mark:
            with self.writing():
                self._rounds.leave_rounds()
                self._rounds.save_note(_LEFT, mark)

    def accept(self) -> None:
        """Take the vault for current as it is, and the higher of the numbers for both; the rounds it is in are left."""
        with self._vault.transaction(power=True):
            gap = self.gap()
            if self._keeper is not None and gap.rolled_back:
                self._rounds.leave_rounds()
                self._rounds.save_note(_LEFT, b"")
                number = max(gap.vault, gap.kept or 0)
                self._rounds.save_note("counter", b"%d" % number)
                self._keeper.advance(self._name, number)

    def _ready(self) -> bool:
        """Whether the number is kept; the first use finds out if it can be, for a key may lie in a read-only folder."""
        if self._keeper is None:
            return False
        if self._keeper.counter(self._name) is None and self._number() == 0:
            try:
                self._keeper.advance(self._name, 0)
            except KeyProblem:
                self._keeper = None
        return self._keeper is not None

    def _number(self) -> int:
        return self._rounds.number("counter")
