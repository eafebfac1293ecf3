"""Build the documentation site, and check what the site builder does not check: `make docs`."""
