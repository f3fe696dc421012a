"""Firestore on loopback: the part of google.firestore.v1 that the official client libraries use of it."""

from local_cloud.firestore.server import FirestoreServer
from local_cloud.firestore.store import Operations

__all__ = ["FirestoreServer", "Operations"]
