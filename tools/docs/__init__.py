"""Builds the documentation site, and checks what no builder checks: ``make docs``."""
