"""The agent: understands a sentence, calls tools, answers. One turn is a stream of typed events (`agent.events`)."""
