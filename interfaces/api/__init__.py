"""REST: every tool, lists with cursors, decisions, chat over SSE, and an OpenAI-compatible endpoint.

One file a resource, each a thin adapter: who asks is found in `callers`, what goes wrong is told in `problems`, and
what is to be done once is kept in `once`.
"""
