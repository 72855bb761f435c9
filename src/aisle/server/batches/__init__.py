"""Uploaded files of products: read, classified in the background, decided, and written back."""
