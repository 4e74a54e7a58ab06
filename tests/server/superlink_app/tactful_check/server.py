"""The ServerApp."""

from tactful_check.terms import open_federation
from tactful_server.federation import SecureRounds, server_app


def _strategy(context):
    office = open_federation(context.run_config["home"]).office
    return SecureRounds(office, stage_timeout_s=90.0, tries=1, gather_timeout_s=60.0)


app = server_app(_strategy)
