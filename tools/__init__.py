"""What the project's own commands run, and its tests look at."""
