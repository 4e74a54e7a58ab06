"""The smallest app bundle: the ServerApp and the ClientApp of this project, with hosts on disk."""
