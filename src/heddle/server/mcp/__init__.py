"""Tools for agents, over the Model Context Protocol: no session, no stream, one answer to one request."""
