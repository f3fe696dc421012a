"""The whole system on one machine: local cloud, functions, ingest, and a sample broadcast."""
