"""Apply trained networks to complete videos, and describe networks and the machine."""
