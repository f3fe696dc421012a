"""Systems that are there beside each other."""

from dataclasses import astuple

from local_system.system import Ports, free_ports


def ports_of_systems(count: int) -> list[Ports]:
    """Free ports for *count* systems that start beside each other: none of them twice."""
    while True:
        systems = [free_ports() for _ in range(count)]
        ports = [port for system in systems for port in astuple(system)]
        if len(set(ports)) == len(ports):
            return systems
