"""Firestore on loopback: the part of google.firestore.v1 that the official client libraries use of it."""

from local_cloud.firestore.server import FirestoreServer

__all__ = ["FirestoreServer"]
