"""Which federated optimiser learns most from the same privacy: every variant at equal ε, each round of it charged."""
