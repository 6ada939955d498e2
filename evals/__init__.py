"""Measured answers: cases as data, and the scripted model that tests and benchmarks talk to."""
