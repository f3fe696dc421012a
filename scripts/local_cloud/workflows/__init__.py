"""Workflows in the local cloud: an interpreter of workflow files behind the official clients' gRPC APIs."""

from local_cloud.workflows.errors import InvalidWorkflow
from local_cloud.workflows.server import WorkflowsOptions, WorkflowsServer

__all__ = ["InvalidWorkflow", "WorkflowsOptions", "WorkflowsServer"]
