"""A batch on a Dask cluster."""

from __future__ import annotations

from distributed import Client, LocalCluster

from jobs import arguments, jobs_of, kill_a_worker, tell, work


def main() -> None:
    args = arguments(__doc__)
    jobs = jobs_of(args)
    # Workers are started by spawn, one job at a time each; `pure_sound` uses more threads inside when there are any.
    with (
        LocalCluster(n_workers=args.workers, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.upload_file(__file__.replace("dask_batch", "jobs"))
        futures = client.map(work, jobs, pure=False)
        kill_a_worker(jobs[0])
        # A job whose worker died goes to another one.
        tell(client.gather(futures), jobs)


if __name__ == "__main__":
    main()
