"""The ClientApp; the node's configuration says where its host lives."""

from tactful.federation.flower import client_app
from tactful.federation.participant import RoundParticipant
from tactful_check.host import DiskHost

app = client_app(lambda context: RoundParticipant(DiskHost(context.node_config["host-home"])))
