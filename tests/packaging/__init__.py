"""What people install: wheel, sdist and npm package, each used where nothing of this repository is."""
