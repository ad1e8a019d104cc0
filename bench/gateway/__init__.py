"""The parts of ``bench_gateway``: its servers, its load, and its profiler."""
