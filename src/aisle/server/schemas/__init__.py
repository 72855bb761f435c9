"""Requests and responses of the API; the examples are those of its documentation."""
