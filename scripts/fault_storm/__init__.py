"""The storm: hours of broadcasts in minutes, under every fault that the local cloud has, and then the auditor.

The story (who broadcasts what, who crashes when) and the weather (which faults are on when) are pure and follow
from one seed. The handlers, the delivery side of the ingest and Google's client libraries are the real ones;
only the clock runs faster.
"""
