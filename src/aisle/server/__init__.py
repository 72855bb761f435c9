"""Serving: one process that classifies, suggests, collects corrections and shows them to reviewers.

It answers and never learns: no training code is imported here, and torch only once a model is loaded.
"""
