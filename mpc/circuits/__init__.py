"""Every operation of the surface language, one topic a file; importing the package fills the catalogue."""

from mpc.circuits import arithmetic, structure

__all__ = ["arithmetic", "structure"]
