"""The lead history: the data contract, reading and checking it, writing tables, samples and examples."""
