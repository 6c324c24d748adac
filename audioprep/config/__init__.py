"""Parameters: one pydantic model per section of params.yaml."""
