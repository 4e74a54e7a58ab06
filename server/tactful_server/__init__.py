"""The server of a federation: rounds, aggregation, registry, enrolment, store, and Flower as its transport."""
