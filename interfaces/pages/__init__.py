"""The web page: server-rendered pages and forms that work before any script runs, and our own scripts on top."""
