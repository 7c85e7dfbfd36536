"""What the integration tests, the demo and the benchmarks are built from: a broker, devices, an operator, a link shaper.

Standard library only. Every process started here is ended by its own id, also when a test fails.
"""
