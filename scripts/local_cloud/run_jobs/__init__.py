"""Cloud Run jobs in the local cloud: the v2 REST API, whose tasks are processes on this machine."""

from local_cloud.run_jobs.api import RunJobsApi
from local_cloud.run_jobs.job import InvalidJob, JobOptions, parse_job
from local_cloud.run_jobs.runner import JobRunner

__all__ = ["InvalidJob", "JobOptions", "JobRunner", "RunJobsApi", "parse_job"]
