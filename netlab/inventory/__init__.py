"""Inventories: which machines there are and how to reach them, from whatever file says so."""
