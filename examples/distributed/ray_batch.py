"""A batch on a Ray cluster."""

from __future__ import annotations

import os
from pathlib import Path

import ray

from jobs import arguments, jobs_of, kill_a_worker, tell, work


def main() -> None:
    args = arguments(__doc__)
    jobs = jobs_of(args)
    # Workers find `jobs` where this file is.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    ray.init(num_cpus=args.workers, include_dashboard=False, configure_logging=False)
    try:
        # A job whose worker died is run again.
        remote = ray.remote(num_cpus=1, max_retries=3)(work)
        results = [remote.remote(job) for job in jobs]
        kill_a_worker(jobs[0])
        tell(ray.get(results), jobs)
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
