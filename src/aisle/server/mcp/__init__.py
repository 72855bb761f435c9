"""The Model Context Protocol: agents classify, search and explain with the shop's own model."""
