"""`/mcp`: the way in for clients of the Model Context Protocol, which `service.mcp` speaks."""
