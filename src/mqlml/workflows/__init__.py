"""Workflows: the only place where the stages meet; each is one command of the command line."""
