"""Enrolment: hosts prove that they hold their identity key, and become the roster."""

from tactful_privacy.wire import HostEntry, KeyDirectory, Signed, WireError, open_signed
from tactful_server.errors import EnrolmentRefused, StoreConflict
from tactful_server.records import Store


class Enrolment:
    """The hosts of one federation."""

    def __init__(self, store: Store, federation: str) -> None:
        self._store = store
        self.federation = federation
        store.add_federation(federation)

    def enrol(self, signed_entry: Signed | bytes) -> HostEntry:
        """Take a host in, or take over its new number of planned devices.

        Args:
            signed_entry: a `HostEntry` signed with the identity key that it names: proof that the host holds it.

        Raises:
            EnrolmentRefused: signed by another key, or the name or the key belongs to another host.
        """
        try:
            signed = Signed.decode(signed_entry) if isinstance(signed_entry, bytes) else signed_entry
            entry = open_signed(signed, HostEntry, signed.signer)
        except WireError as error:
            raise EnrolmentRefused(str(error), field="host entry", remedy="sign it with the identity key") from error
        if entry.identity_key != signed.signer:
            remedy = "sign the entry with the key that it names"
            raise EnrolmentRefused("names a key that did not sign it", field="identity_key", remedy=remedy)
        try:
            self._store.put_host(self.federation, entry)
        except StoreConflict as error:
            raise EnrolmentRefused(str(error), field="host entry", remedy="enrol under a new name and key") from error
        return entry

    def leave(self, host_id: str) -> None:
        """Take a host out of later rosters; its name and key stay taken."""
        self._store.remove_host(self.federation, host_id)

    def directory(self) -> KeyDirectory:
        """The roster of all active hosts."""
        return KeyDirectory(self.federation, self._store.hosts(self.federation))
