"""Documents generated from a contract (JSON Schema, TypeScript, AsyncAPI), and the check of its changes."""
