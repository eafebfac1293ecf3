"""Wheel, sdist and npm package, each installed and used outside this repository."""
