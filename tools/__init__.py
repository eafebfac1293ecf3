"""Code that the project's own commands run and its tests import."""
