"""The doors: terminal, MCP, and later REST, web and bots. No business rule lives here."""
