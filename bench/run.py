"""All benchmarks in one run (``make bench``): ratios measured side by side; --check fails below the targets."""

import subprocess
import sys

BENCHMARKS = (
    "bench_sigv4",
    "bench_session_token",
    "bench_authorize",
    "bench_journal",
    "bench_delivery",
    "bench_validate",
    "bench_gateway",
)


def main() -> int:
    """Run every benchmark with our arguments; the number of those that fell short."""
    failed = 0
    for name in BENCHMARKS:
        print(f"\n== {name.removeprefix('bench_')} ==", flush=True)
        failed += subprocess.run([sys.executable, "-m", f"bench.{name}", *sys.argv[1:]], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
