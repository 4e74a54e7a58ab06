"""Erasure: rows, key and every copy of ours go; the account stays under a keyed token."""

from datetime import UTC
from typing import TYPE_CHECKING

from tactful._migrations import forget_copies
from tactful.receipts import CANNOT_UNDO, ErasureReceipt

if TYPE_CHECKING:
    from tactful.host import Host


def erase(host: "Host", device: int) -> ErasureReceipt:
    """Delete a device and return the signed receipt; see `Device.erase`."""
    token = host.vault.token_of(device)
    rows = host.vault.count(device)
    with host.guard.change():
        account = host.rounds.bury(device, token)
    host.vault.forget_cipher(device)
    host.forget(device)
    forget_copies(host.vault.path)
    receipt = ErasureReceipt(
        device_token=token.hex(),
        erased_at=host.now().astimezone(UTC).isoformat(),
        rows=rows,
        spent_rho=str(account.spent),
        log_truncated=host.vault.checkpoint(),
        cannot_undo=CANNOT_UNDO,
        host_public_key=host.public_key.hex(),
    )
    return receipt.signed(host.identity_key)
