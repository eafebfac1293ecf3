"""What is generated from a contract: JSON Schema, TypeScript, AsyncAPI, and a check of changes."""
